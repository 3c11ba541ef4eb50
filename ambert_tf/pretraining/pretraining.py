"""The pre-training program, run_pretraining.py."""

import dataclasses
import functools
import json
import math
import os
from collections.abc import Mapping

import tensorflow as tf
from absl import logging

from ambert_tf.conversion.initial import bert_model, check_vocab_sizes, is_bert, new_model_config, restore_initial
from ambert_tf.errors import InputError, one_line
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig
from ambert_tf.outputs import atomic_path
from ambert_tf.pretraining.initial_embeddings import read_initial_embeddings
from ambert_tf.pretraining.pretraining_input import PretrainingInput, find_tokenizer, longest_lengths, read_stats
from ambert_tf.pretraining.pretraining_objective import HeldOutEvaluation, PretrainingObjective, evaluation_results
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings
from ambert_tf.pretraining_data.records import naming_damaged_files, record_files, record_kind
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import is_model_directory, load_model_directory, prepare_model_directory
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.loop import Metrics
from ambert_tf.training.precision import POLICIES
from ambert_tf.training.trainer import Trainer, strategy_for

EVAL_RESULTS = "eval_results"
_MAX_FIRST_LOSS = 1.5  # in units of ln V, the loss of a uniform prediction


def run_pretraining(settings: PretrainingSettings) -> dict[str, float]:
    """Pre-trains a model, resuming from the latest checkpoint in `output_dir`.

    Writes a model directory with `metrics.jsonl`, `tensorboard/` and, with `eval_input_file`,
    `eval_results.json` and `eval_results.txt`.

    Returns:
      The held-out results at the last step. They are empty without `eval_input_file` and on workers other than the
      chief.

    Raises:
      InputError: a setting or a file is invalid, or a loss is not finite.
    """
    settings.validate()
    files = record_files(settings.input_file, "input_file")
    eval_files = record_files(settings.eval_input_file, "eval_input_file") if settings.eval_input_file else []
    strategy = strategy_for(settings)
    tokenizer_dir = settings.tokenizer_dir or find_tokenizer(files)
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    stats = read_stats(files, tokenizer.fingerprint, tokenizer_dir)
    longest = longest_lengths(read_stats([*files, *eval_files], tokenizer.fingerprint, tokenizer_dir))
    kind = record_kind(files)
    if eval_files and record_kind(eval_files).next_sentence != kind.next_sentence:
        raise InputError(
            f"--eval_input_file={settings.eval_input_file}: next sentence labels must be in both the training and the "
            "held-out records, or in neither; create both with --do_nsp or both without"
        )
    config = initial_config(settings, tokenizer, tokenizer_dir)
    check_lengths(longest, config)
    embeddings = None
    if settings.init_embeddings:
        embeddings = read_initial_embeddings(settings.init_embeddings, tokenizer, config)
    data = PretrainingInput(settings, tokenizer, stats, longest, kind.masked)
    if is_chief(strategy):
        prepare_model_directory(settings.output_dir, config, tokenizer)

    def make_objective() -> PretrainingObjective:
        backbone = AmbertBackbone.from_model_config(
            settings.training_config(config),
            seed=settings.random_seed,
            static_shapes=settings.use_xla,
            dtype=POLICIES[settings.precision],
        )
        model = AmbertMaskedLM(backbone, kind.next_sentence, compile=False)
        if embeddings is not None:
            embeddings.assign(model)
        return PretrainingObjective(model)

    trainer = Trainer(
        settings,
        strategy,
        make_objective,
        settings.num_train_steps,
        settings.warmup_steps,
        functools.partial(
            restore_initial, tokenizer=tokenizer, heads=settings.init_heads, do_lower_case=settings.do_lower_case
        ),
    )
    evaluation = HeldOutEvaluation(trainer.objective, lambda: data.evaluation(eval_files))
    results: dict[str, float] = {}

    def check_metrics(step: int, metrics: Metrics) -> None:
        if step == 0:
            check_heads({name: float(values[0]) for name, values in metrics.items()}, config, settings)

    def evaluate(step: int) -> dict[str, float]:
        try:
            with naming_damaged_files(eval_files):
                sums = evaluation(settings.max_eval_steps)
        except tf.errors.InvalidArgumentError as error:
            raise InputError(
                f"--eval_input_file={settings.eval_input_file}: a record does not match the model: "
                f"{one_line(error)[:300]}"
            ) from None
        results.update(evaluation_results(sums, config.grains))
        write_results(settings.output_dir, {"step": step, **results})
        return results

    try:
        with naming_damaged_files(files):
            trainer.train(
                lambda step, context: data.training(files, step, context),
                evaluate if eval_files else None,
                describe_batch=lambda step: data.describe_batch(files, step),
                check_metrics=check_metrics if settings.init_checkpoint and settings.init_heads else None,
            )
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"--input_file={settings.input_file}: a record does not match the model: {one_line(error)[:300]}"
        ) from None
    if trainer.finished and eval_files and not results and is_chief(strategy):
        evaluate(trainer.step)
    return results


def initial_config(settings: PretrainingSettings, tokenizer: MultiGrainedTokenizer, tokenizer_dir: str) -> ModelConfig:
    """Returns the configuration to train, from `config` or, if it is not given, `init_checkpoint`, or `base` otherwise.

    Raises:
      InputError: the configuration does not exist or has other vocabulary sizes, or `init_checkpoint` is a model with
        another tokenizer, whose embeddings would be those of other tokens.
    """
    config, start = settings.config, settings.init_checkpoint
    if start and not is_bert(start) and is_model_directory(start):
        directory = load_model_directory(start).tokenizer_directory
        if MultiGrainedTokenizer.load(directory).fingerprint != tokenizer.fingerprint:
            raise InputError(
                f"--init_checkpoint={start}: was trained with another tokenizer than that of the records in "
                f"{tokenizer_dir}; create the records with --tokenizer_dir={directory}"
            )
    if config is None and start and is_bert(start):
        return bert_model(start, settings.model_type, tokenizer_dir, do_lower_case=settings.do_lower_case)[0]
    if config is None and start and is_model_directory(start):
        found = load_model_directory(start).config
        found = dataclasses.replace(found, model_type=settings.model_type or found.model_type)
        check_vocab_sizes(found, tokenizer, f"--init_checkpoint={start}", tokenizer_dir)
        return found
    return new_model_config(config or "base", settings.model_type, tokenizer, tokenizer_dir)


def check_lengths(longest: Mapping[str, int], config: ModelConfig) -> None:
    """Raises an InputError if records may be longer than the model's position embeddings."""
    for grain, name in (("fine", "max_seq_length"), ("coarse", "max_coarse_seq_length")):
        if grain in config.grains and longest.get(name, 0) > config.max_position_embeddings:
            raise InputError(
                f"the records were created with --{name}={longest[name]}, but the model has only "
                f"{config.max_position_embeddings} position embeddings; recreate the records, or change "
                "max_position_embeddings in --config"
            )


def check_heads(metrics: Mapping[str, float], config: ModelConfig, settings: PretrainingSettings) -> None:
    """Warns if the masked LM loss of the first step is far above that of a uniform prediction."""
    for grain in config.grains:
        loss, uniform = metrics[f"{grain}_masked_lm_loss"], math.log(config.grain_vocab_size(grain))
        if loss > _MAX_FIRST_LOSS * uniform:
            logging.warning(
                "--init_checkpoint=%s: the first %s masked LM loss is %.1f, but that of a uniform prediction is %.1f: "
                "its masked LM head does not match its encoder; start over with --init_heads=false",
                settings.init_checkpoint, grain, loss, uniform,
            )  # fmt: skip


def write_results(output_dir: str, results: Mapping[str, float]) -> None:
    """Writes `eval_results.json`, and `eval_results.txt` with one `name = value` per line."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    with atomic_path(base + ".json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(results), file, indent=2)
        file.write("\n")
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
