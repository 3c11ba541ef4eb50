"""Evaluates a fine-tuned model, predicts with it, and writes the results."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from ambert_tf.finetuning.fine_tuning_objective import fine_tuning_loss
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.finetuning.form import Form, Logits
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.result_files import write_eval_results
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.task_config import DECODING_FIELDS, SPANS
from ambert_tf.training.loaded_model import LoadedModel

OtherTasks = Sequence[tuple[Form, Mapping[str, Split]]]


def reported_heads(logits: Logits) -> tuple[str, ...]:
    """Returns the heads whose scores are reported: the joint head and, if there are three heads, the single ones."""
    return ("joint", "fine", "coarse") if len(logits.by_head) > 2 else ("joint",)


def evaluation_scores(
    form: Form, logits: Logits, data: TokenizedExamples, agreement: Mapping[str, Any], heads: Sequence[str]
) -> dict[str, float]:
    """Returns the metrics of a split, and the loss of eq. (2) with its parts."""
    results = form.scores(logits, data, heads)
    if len(heads) > 1:  # for uniformity with the other heads, also report the joint head's metrics with a prefix
        results.update({f"joint_{name}": results[name] for name in form.task.metrics if name in results})
    loss, parts = fine_tuning_loss(
        form.config.form,
        {name: tf.constant(values) for name, values in logits.by_head.items()},
        {name: tf.constant(values) for name, values in data.targets.items()},
        {name: tf.constant(values) for name, values in logits.transitions.items()} if form.config.crf else None,
        **agreement,
    )
    return results | {"loss": float(loss), **{name: float(value) for name, value in parts.items()}}


def evaluate(
    settings: FineTuningSettings,
    loaded: LoadedModel,
    predictor: Predictor,
    form: Form,
    data: TokenizedExamples,
    others: OtherTasks = (),
    runs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluates a model and writes `eval_results.json` and `eval_results.txt`.

    Args:
      settings: the program's settings.
      loaded: the model.
      predictor: predicts with it.
      form: the form of the task.
      data: examples with labels.
      others: additional tasks to evaluate on. Their results are prefixed with their names.
      runs: statistics of several runs.

    Returns:
      The results: `task_name`, `step` and `inference`; the task's metrics, with those of the single heads as `fine_...`
      and `coarse_...`; `metric`, the name of the main metric; the loss and its parts; counts and speed; for spans, the
      parameters of the search.
    """
    logits = predictor(data, settings.eval_batch_size)
    results: dict[str, Any] = {
        "task_name": form.task.name,
        "step": int(loaded.checkpoint.rsplit("-", 1)[-1]),
        "inference": settings.inference,
        "model_type": loaded.config.model_type,
        "metric": form.task.metrics[0],
    }
    results.update(evaluation_scores(form, logits, data, settings.agreement, reported_heads(logits)))
    results.update(form.write_evaluation(settings.output_dir, logits, data))
    results["examples"] = len(data.split.examples)
    results.update(data.split.counts)
    if data.windows:
        results["windows"] = len(data)
    results["examples_per_second"] = logits.examples_per_second
    results["data_augmentation"] = form.config.data_augmentation
    if form.config.form == SPANS:
        results.update({name: getattr(form.config, name) for name in DECODING_FIELDS})
    results["agreement_weight"] = settings.agreement_weight
    results["eval_file"] = " ".join(name.rsplit("/", 1)[-1] for name in data.split.files)
    table = form.table(logits, data)
    for other, splits in others:
        if "dev" in splits:
            others_data = TokenizedExamples(splits["dev"], other.config, loaded.tokenizer)
            scores = other.scores(predictor(others_data, settings.eval_batch_size), others_data, ("joint",))
            results.update({f"{other.task.name}_{name}": value for name, value in scores.items()})
            results[f"{other.task.name}_examples"] = len(splits["dev"].examples)
    if runs:
        results["runs"] = dict(runs)
    write_eval_results(settings.output_dir, results, table)
    for name, value in results.items():
        if name != "runs":
            logging.info("%s = %s", name, value)
    return results


def predict(
    settings: FineTuningSettings,
    loaded: LoadedModel,
    predictor: Predictor,
    form: Form,
    split: Split,
    others: OtherTasks = (),
) -> None:
    """Predicts a split, and writes `predictions.json` and the leaderboard files of this and of additional tasks."""
    wanted = [(other, splits["test"]) for other, splits in others if "test" in splits]
    for each, examples in (*wanted, (form, split)):  # the task itself last, so that its predictions.json remains
        data = TokenizedExamples(examples, each.config, loaded.tokenizer)
        each.write_predictions(settings.output_dir, predictor(data, settings.predict_batch_size), data)
