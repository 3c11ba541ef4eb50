"""Exports a fine-tuned model as a SavedModel: what `export_saved_model.py` does."""

import dataclasses
import os

import numpy as np
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path
from ambert_tf.finetuning.classifiers import Classifier, load_classifier
from ambert_tf.serving.card import model_card, read_scores
from ambert_tf.serving.check import Report, check_saved_model
from ambert_tf.serving.check_inputs import RIGHT_ANSWERS, Requests, built_in, read_requests
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.serving.layout import Facts, write_warmup_requests
from ambert_tf.serving.served_model import SERVING_DEFAULT, ServedModel


def run_export(settings: ExportSettings) -> None:
    """Exports what the flags say; see `export_saved_model`."""
    export_saved_model(**dataclasses.asdict(settings))


def export_saved_model(
    model_dir: str,
    export_dir: str,
    inference: str = "joint",
    overwrite: bool = False,
    check: bool = True,
    check_file: str | None = None,
    weights_dtype: str = "float32",
    version: int | None = None,
    null_score_diff_threshold: float = 0.0,
) -> Report | None:
    """Writes the SavedModel of a model directory that `run_classifier.py` or `run_squad.py` made.

    Args:
      model_dir: the model directory.
      export_dir: where to; it appears when it is complete.
      inference: `joint`; `fine` or `coarse` to leave the other grain out (`fine` is the paper's AMBERT-Single).
      overwrite: replace an export that exists.
      check: load the result in a process without this package and compare it with the checkpoint.
      check_file: what to compare on, see `read_requests`; texts of all kinds by default.
      weights_dtype: `float32`, `float16`, `bfloat16` or `int8`.
      version: write to `export_dir/VERSION`, with warm-up requests, as TensorFlow Serving takes it.
      null_score_diff_threshold: odds of no answer above which there is none, for spans.

    Returns:
      What the check found.

    Raises:
      InputError: the model directory is none or its model cannot run so, the export exists, or the check fails.
    """
    ExportSettings(
        model_dir=model_dir,
        export_dir=export_dir,
        inference=inference,
        weights_dtype=weights_dtype,
        version=version,
    ).validate()
    if os.path.isfile(export_dir):
        raise InputError(f"--export_dir={export_dir}: is a file; a directory is to be written")
    target = export_dir if version is None else os.path.join(export_dir, str(version))
    if os.path.lexists(target) and not overwrite:
        other = "directory" if version is None else "--version"
        raise InputError(f"--export_dir={target}: exists; name another {other}, or replace it by --overwrite")
    _check_replaceable(target, model_dir)
    classifier = load_classifier(model_dir, inference)
    task = classifier.task
    requests = read_requests(check_file, task) if check_file else built_in(task)

    def served_model(weights_dtype: str) -> ServedModel:
        return ServedModel(
            classifier.tokenizer,
            classifier.model,
            task,
            weights_dtype=weights_dtype,
            null_score_diff_threshold=null_score_diff_threshold,
        )

    served = served_model(weights_dtype)
    # TensorFlow Serving's model is called as its directory, unless its flags say otherwise.
    served_name = os.path.basename(os.path.abspath(export_dir)) if version is not None else None
    with atomic_path(target) as temporary:
        served.save(temporary)
        facts = Facts(
            task, classifier.model.config, inference, weights_dtype, classifier.tokenizer.language,
            {name: tuple(specs) for name, specs in served.specs.items()},
        )  # fmt: skip
        facts.write(temporary)
        if served_name is not None:
            dtypes = {name: spec.dtype for name, spec in served.specs[SERVING_DEFAULT].items()}
            write_warmup_requests(temporary, served_name, built_in(task).columns, dtypes)
        report = None
        if check:
            exact = weights_dtype == "float32"
            report = _check(temporary, classifier, served if exact else served_model("float32"), requests, exact)
        _write_card(temporary, facts, classifier, read_scores(model_dir, inference), report, served_name)
    logging.info("%s: written; signatures %s", target, ", ".join(served.functions))
    return report


def _check_replaceable(target: str, model_dir: str) -> None:
    """Raises an InputError where --overwrite would delete something else than an export."""
    if not os.path.lexists(target):
        return
    if os.path.commonpath([os.path.realpath(target), os.path.realpath(model_dir)]) == os.path.realpath(target):
        raise InputError(f"--export_dir={target}: holds the model of --model_dir, which --overwrite would delete")
    if os.listdir(target) and not os.path.isfile(os.path.join(target, "saved_model.pb")):
        raise InputError(f"--export_dir={target}: is no SavedModel, and --overwrite replaces nothing else")


def _check(
    directory: str, classifier: Classifier, reference: ServedModel, requests: Requests, exact: bool
) -> Report:
    report = check_saved_model(directory, reference, requests.columns, requests.right, exact)
    logging.info(
        "loaded by another process, it differs by %.1e from %s on %d examples", report.difference,
        classifier.checkpoint, report.examples,
    )  # fmt: skip
    if not exact and report.accuracy is None:
        logging.warning(
            "what smaller weights cost was not checked: give --check_file with the right %s",
            RIGHT_ANSWERS[classifier.task.form],
        )
    for size, seconds in report.latency_seconds.items():
        logging.info("latency of a batch of %d: %.1f ms", size, 1000 * seconds)
    return report


def _write_card(
    directory: str, facts: Facts, classifier: Classifier, scores: dict, report: Report | None, served_name: str | None
) -> None:
    size = sum(
        os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(directory) for name in names
    )
    parameters = sum(int(np.prod(variable.shape)) for variable in classifier.model.variables)
    with open(os.path.join(directory, "README.md"), "w", encoding="utf-8") as file:
        file.write(model_card(facts, size / 1e6, parameters, scores, report, served_name))
