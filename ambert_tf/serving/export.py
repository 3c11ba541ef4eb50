"""Exports a fine-tuned model as a SavedModel: what `export_saved_model.py` does."""

import os

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path
from ambert_tf.serving.check import check_saved_model
from ambert_tf.serving.classifier import ServedClassifier
from ambert_tf.training.classifiers import load_classifier
from ambert_tf.training.fine_tuned import CLASSIFICATION


def export_saved_model(
    model_dir: str, export_dir: str, inference: str = "joint", overwrite: bool = False, check: bool = True
) -> None:
    """Writes the SavedModel of a model directory that `run_classifier.py` made.

    Args:
      model_dir: the model directory.
      export_dir: where to; it appears when it is complete.
      inference: `joint`, or `fine` to leave the coarse grain out (the paper's AMBERT-Single).
      overwrite: replace an `export_dir` that exists.
      check: load the result in a process without this package and compare its probabilities with the checkpoint's.

    Raises:
      InputError: the model directory is none or its model cannot run so, `export_dir` exists, or the check fails.
    """
    for name, value in (("model_dir", model_dir), ("export_dir", export_dir)):
        if not value:
            raise InputError(f"--{name} is needed")
    if os.path.lexists(export_dir) and not overwrite:
        raise InputError(f"--export_dir={export_dir}: exists; name another directory, or replace it by --overwrite")
    if os.path.isfile(export_dir):
        raise InputError(f"--export_dir={export_dir}: is a file; a directory is to be written")
    classifier = load_classifier(model_dir, inference)
    if classifier.task.form != CLASSIFICATION:
        raise InputError(f"--model_dir={model_dir}: is a model of {classifier.task.form}; classifiers can be exported")
    served = ServedClassifier(classifier)
    with atomic_path(export_dir) as temporary:
        served.save(temporary)
        if check:
            difference = check_saved_model(temporary, classifier)
            logging.info("loaded by another process, it differs by %.1e from %s", difference, classifier.checkpoint)
    logging.info("%s: written; signature %s", export_dir, ", ".join(served.input_names))
