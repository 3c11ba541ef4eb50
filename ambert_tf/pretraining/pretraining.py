"""Pre-training, the program run_pretraining.py."""

import functools
import json
import os
from collections.abc import Mapping

import tensorflow as tf

from ambert_tf.conversion.initial import new_model_config, restore_initial
from ambert_tf.errors import InputError, one_line
from ambert_tf.files import atomic_path
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.pretraining.pretraining_input import PretrainingInput, find_tokenizer, read_stats
from ambert_tf.pretraining.pretraining_objective import HeldOutEvaluation, PretrainingObjective, evaluation_results
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings
from ambert_tf.pretraining_data.records import naming_damaged_files, record_files, record_kind
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import prepare_model_directory
from ambert_tf.training.cluster import is_chief
from ambert_tf.training.precision import POLICIES
from ambert_tf.training.trainer import Trainer, strategy_for

EVAL_RESULTS = "eval_results"


def run_pretraining(settings: PretrainingSettings) -> dict[str, float]:
    """Pre-trains a model; resumes from the newest checkpoint in `output_dir`.

    Writes a model directory with `metrics.jsonl`, `tensorboard/` and, with `eval_input_file`,
    `eval_results.json` and `eval_results.txt`.

    Returns:
      The held-out results of the last step; empty without `eval_input_file`, and for workers other than the first.

    Raises:
      InputError: a setting or a file is wrong, or a loss is not finite.
    """
    settings.validate()
    files = record_files(settings.input_file, "input_file")
    eval_files = record_files(settings.eval_input_file, "eval_input_file") if settings.eval_input_file else []
    strategy = strategy_for(settings)
    tokenizer_dir = settings.tokenizer_dir or find_tokenizer(files)
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    stats = read_stats([*files, *eval_files], tokenizer.fingerprint, tokenizer_dir)
    next_sentence = record_kind(files).next_sentence
    if eval_files and record_kind(eval_files).next_sentence != next_sentence:
        raise InputError(
            f"--eval_input_file={settings.eval_input_file}: next sentence labels must be in both the training and the "
            "held-out records, or in neither; create both with --do_nsp or both without"
        )
    config = new_model_config(settings.config, settings.model_type, tokenizer, tokenizer_dir)
    if is_chief(strategy):
        prepare_model_directory(settings.output_dir, config, tokenizer)
    data = PretrainingInput(settings, tokenizer, stats)

    def make_objective() -> PretrainingObjective:
        backbone = AmbertBackbone.from_model_config(
            config, seed=settings.random_seed, static_shapes=settings.use_xla, dtype=POLICIES[settings.precision]
        )
        return PretrainingObjective(AmbertMaskedLM(backbone, next_sentence, compile=False))

    trainer = Trainer(
        settings,
        strategy,
        make_objective,
        settings.num_train_steps,
        settings.warmup_steps,
        functools.partial(restore_initial, tokenizer=tokenizer),
    )
    evaluation = HeldOutEvaluation(trainer.objective, lambda: data.evaluation(eval_files))
    results: dict[str, float] = {}

    def evaluate(step: int) -> dict[str, float]:
        with naming_damaged_files(eval_files):
            sums = evaluation(settings.max_eval_steps)
        results.update(evaluation_results(sums, config.grains))
        write_results(settings.output_dir, {"step": step, **results})
        return results

    try:
        with naming_damaged_files(files):
            trainer.train(
                lambda step, context: data.training(files, step, context),
                evaluate if eval_files else None,
                describe_batch=lambda step: data.describe_batch(files, step),
            )
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"--input_file={settings.input_file}: a record does not fit the model: {one_line(error)[:300]}"
        ) from None
    if trainer.finished and eval_files and not results and is_chief(strategy):
        evaluate(trainer.step)
    return results


def write_results(output_dir: str, results: Mapping[str, float]) -> None:
    """Writes `eval_results.json`, and the same as `eval_results.txt`, one `name = value` per line."""
    base = os.path.join(output_dir, EVAL_RESULTS)
    with atomic_path(base + ".json") as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(dict(results), file, indent=2)
        file.write("\n")
    with atomic_path(base + ".txt") as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {value}\n" for name, value in results.items())
