"""Exports a fine-tuned model as a SavedModel, as run by `export_saved_model.py`."""

import dataclasses
import os

import numpy as np
from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import exists, is_file, list_directory
from ambert_tf.outputs import atomic_path, check_replaceable
from ambert_tf.serving.card import model_card, read_scores
from ambert_tf.serving.check import Report, check_saved_model
from ambert_tf.serving.check_inputs import built_in, read_requests
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.serving.layout import Facts, write_warmup_requests
from ambert_tf.serving.served_model import PADDED, SERVING_DEFAULT, ServedModel
from ambert_tf.training.loaded_model import load_model


def run_export(settings: ExportSettings) -> Report | None:
    """Exports a model directory written by `run_classifier.py`, `run_squad.py` or `run_ner.py`.

    The export is moved to its final location once it is complete.

    Returns:
      The result of the check.

    Raises:
      InputError: a flag is invalid, the directory is not a model directory, the model does not support the inference,
        the export exists, or the check fails.
    """
    settings.validate()
    export_dir, version = settings.export_dir, settings.version
    if is_file(export_dir):
        raise InputError(f"--export_dir={export_dir}: is a file; it must be a directory")
    target = export_dir if version is None else os.path.join(export_dir, str(version))
    if exists(target) and not settings.overwrite:
        other = "directory" if version is None else "--version"
        raise InputError(f"--export_dir={target}: exists; choose another {other}, or replace it with --overwrite")
    _check_overwrite(target, settings.model_dir)
    check_replaceable(target, "export_dir")
    loaded = load_model(settings.model_dir, settings.inference, task=True)
    task = loaded.task
    assert task is not None
    if settings.null_score_diff_threshold is not None:
        task = dataclasses.replace(task, null_score_diff_threshold=settings.null_score_diff_threshold)
    requests = read_requests(settings.check_file, task) if settings.check_file else built_in(task)
    served = ServedModel(loaded.tokenizer, loaded.model, task)
    # In TensorFlow Serving, a model is usually named after its directory.
    served_name = os.path.basename(os.path.abspath(export_dir)) if version is not None else None
    with atomic_path(target) as temporary:
        served.save(temporary)
        signatures = {name: tuple(specs) for name, specs in served.specs.items()}
        facts = Facts(task, loaded.config, settings.inference, loaded.tokenizer.language, signatures)
        facts.write(temporary)
        if served_name is not None:
            signature = PADDED if PADDED in served.specs else SERVING_DEFAULT
            dtypes = {name: spec.dtype for name, spec in served.specs[signature].items()}
            write_warmup_requests(temporary, served_name, signature, built_in(task).columns, dtypes)
        report = None
        if settings.check:
            report = check_saved_model(temporary, served, requests.columns, requests.right)
            logging.info(
                "loaded in another process, it differs from %s by at most %.1e on %d examples",
                loaded.checkpoint, report.difference, report.examples,
            )  # fmt: skip
            for size, seconds in report.latency_seconds.items():
                logging.info("latency of a batch of %d: %.1f ms", size, 1000 * seconds)
        size_bytes = sum(
            os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(temporary) for name in names
        )
        parameters = sum(int(np.prod(variable.shape)) for variable in loaded.model.variables)
        scores = read_scores(settings.model_dir, settings.inference, task)
        with open(os.path.join(temporary, "README.md"), "w", encoding="utf-8") as file:
            file.write(model_card(facts, size_bytes / 1e6, parameters, scores, report, served_name))
    logging.info("%s: written; signatures %s", target, ", ".join(served.functions))
    return report


def _check_overwrite(target: str, model_dir: str) -> None:
    """Raises an InputError if --overwrite would delete anything other than an export."""
    if not exists(target):
        return
    if os.path.commonpath([os.path.realpath(target), os.path.realpath(model_dir)]) == os.path.realpath(target):
        raise InputError(f"--export_dir={target}: contains the model of --model_dir, which --overwrite would delete")
    if list_directory(target) and not is_file(os.path.join(target, "saved_model.pb")):
        raise InputError(f"--export_dir={target}: is not a SavedModel; --overwrite only replaces SavedModels")
