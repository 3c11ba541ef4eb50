"""Evaluates and predicts with a fine-tuned model, and writes the results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from ambert_tf.finetuning.classifiers import Classifier
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.finetuning.form import Form, Split, evaluation_loss
from ambert_tf.finetuning.prediction import Logits, Predictor
from ambert_tf.finetuning.result_files import write_eval_results

OtherTasks = Sequence[tuple[Form, Mapping[str, Split]]]


def reported_heads(logits: Logits) -> tuple[str, ...]:
    """Returns the heads whose scores are reported: the joint one, and both single ones where there are three."""
    return ("joint", "fine", "coarse") if len(logits.by_head) > 2 else ("joint",)


def evaluation_scores(
    form: Form, logits: Logits, split: Split, agreement: Mapping[str, Any], heads: Sequence[str]
) -> dict[str, float]:
    """Returns the metrics, and eq. (2) with its parts, over a split."""
    assert split.data is not None
    results = form.scores(logits, split, heads)
    if len(heads) > 1:  # the joint head's beside the others', under a name of the same kind
        results.update({f"joint_{name}": results[name] for name in form.task.metrics})
    results.update(evaluation_loss(form.fine_tuned.form, logits.by_head, split.data.targets, agreement))
    return results


def evaluate(
    settings: FineTuningSettings,
    classifier: Classifier,
    form: Form,
    split: Split,
    others: OtherTasks = (),
    runs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluates, and writes `eval_results.json` and `eval_results.txt`.

    Args:
      settings: of the run.
      classifier: the model.
      form: of the task.
      split: with labels.
      others: further tasks to evaluate on, whose results bear their names.
      runs: what to say of several runs.

    Returns:
      The results: `task_name`, `step`, `inference`; the task's metrics, the first one is the one that counts
      (`metric`), of the single heads as `fine_…` and `coarse_…`; the loss and its parts; what was read and how fast.
    """
    predictor = Predictor(classifier.model)
    task = classifier.task
    if split.data is None:
        form.tokenize(split, classifier.tokenizer)
    assert split.data is not None
    logits = predictor(split.data, settings.eval_batch_size)
    step = int(classifier.checkpoint.rsplit("-", 1)[-1])
    results: dict[str, Any] = {
        "task_name": form.task.name,
        "step": step,
        "inference": settings.inference,
        "model_type": classifier.model.config.model_type,
        "metric": form.task.metrics[0],
    }
    results.update(evaluation_scores(form, logits, split, settings.agreement, reported_heads(logits)))
    results.update(form.write_evaluation(settings.output_dir, logits, split))
    results["examples"] = len(split.examples)
    results.update(split.counts)
    results["examples_per_second"] = logits.examples_per_second
    results["data_augmentation"] = task.data_augmentation
    results["agreement_weight"] = settings.agreement_weight
    results["eval_file"] = " ".join(name.rsplit("/", 1)[-1] for name in split.files)
    table = form.table(logits, split)
    for other, splits in others:
        if "dev" in splits:
            own = splits["dev"]
            other.tokenize(own, classifier.tokenizer)
            assert own.data is not None
            scores = other.scores(predictor(own.data, settings.eval_batch_size), own, ("joint",))
            results.update({f"{other.task.name}_{name}": value for name, value in scores.items()})
            results[f"{other.task.name}_examples"] = len(own.examples)
    if runs:
        results["runs"] = dict(runs)
    write_eval_results(settings.output_dir, results, table)
    for name, value in results.items():
        if name != "runs":
            logging.info("%s = %s", name, value)
    return results


def predict(
    settings: FineTuningSettings, classifier: Classifier, form: Form, split: Split, others: OtherTasks = ()
) -> np.ndarray:
    """Predicts a split; writes `predictions.json` and the leaderboard's file. Returns the joint head's logits."""
    predictor = Predictor(classifier.model)
    form.tokenize(split, classifier.tokenizer)
    assert split.data is not None
    logits = predictor(split.data, settings.predict_batch_size)
    for other, splits in others:
        if "test" in splits:
            own = splits["test"]
            other.tokenize(own, classifier.tokenizer)
            assert own.data is not None
            # Its predictions.json is written over by the task's own.
            other.write_predictions(settings.output_dir, predictor(own.data, settings.predict_batch_size), own)
    form.write_predictions(settings.output_dir, logits, split)
    return logits.by_head["joint"]
