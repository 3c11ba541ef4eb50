"""Small, randomly initialized models of every form, which need no training."""

import functools
import os
import tempfile

import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.task_config import MULTIPLE_CHOICE, PLAIN, REGRESSION, SEQUENCE_LABELLING, SPANS, TaskConfig
from ambert_tf.models.task_models import make_model
from ambert_tf.serving.export import run_export
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory
from tests.small_models import small_config
from tests.tokenizers import chinese_tokenizer

COMMON = {"max_seq_length": 24, "max_coarse_seq_length": 20}
TASKS = {
    "sentence": TaskConfig(task_name="sentence", labels=("a", "b", "c"), **COMMON),
    "pair": TaskConfig(task_name="sentence_pair", labels=("a", "b"), pair=True, **COMMON),
    "score": TaskConfig(
        task_name="stsb", form=REGRESSION, pair=True, score_range=(0.0, 5.0), inputs=PLAIN, **COMMON
    ),
    "choice": TaskConfig(task_name="c3", form=MULTIPLE_CHOICE, pair=True, choices=4, **COMMON),
    "idioms": TaskConfig(
        task_name="chid", form=MULTIPLE_CHOICE, pair=True, choices=10, inputs="idioms", **COMMON
    ),
    "marked": TaskConfig(task_name="cluewsc2020", labels=("true", "false"), inputs="marked_spans", **COMMON),
    "spans": TaskConfig(
        task_name="squad2", form=SPANS, pair=True, doc_stride=8, max_query_length=6, max_answer_length=5,
        null_answers=True, **COMMON,
    ),
    "entities": TaskConfig(
        task_name="entities", form=SEQUENCE_LABELLING, labels=("LOC", "PER"), doc_stride=8, crf=True, **COMMON
    ),
    "words": TaskConfig(
        task_name="segmentation", form=SEQUENCE_LABELLING, labels=("word",), tagging_scheme="BMES", outside=False,
        doc_stride=8, **COMMON,
    ),
}  # fmt: skip


def export(model_dir, export_dir, inference="joint", **flags):
    """Exports a model. Returns the report of the check, which only runs on request."""
    return run_export(
        ExportSettings(
            model_dir=str(model_dir), export_dir=str(export_dir), inference=inference, **{"check": False, **flags}
        )
    )


_HOLDERS = []  # directories that are deleted when the process ends


def config_of(model_type="ambert"):
    tokenizer = chinese_tokenizer()
    return small_config(
        model_type,
        vocab_size=tokenizer.fine_vocab_size,
        coarse_vocab_size=tokenizer.coarse_vocab_size,
        num_hidden_layers=1,
        max_position_embeddings=24,
        initializer_range=0.5,
    )


@functools.cache
def model_directory(form="sentence", model_type="ambert"):
    """Returns the model directory of a randomly initialized model, as written by fine-tuning."""
    holder = tempfile.TemporaryDirectory()
    _HOLDERS.append(holder)
    directory = os.path.join(holder.name, "model")
    config, task = config_of(model_type), TASKS[form]
    prepare_model_directory(directory, config, chinese_tokenizer())
    task.write(directory)
    model = make_model(AmbertBackbone.from_model_config(config, seed=3), task)
    Checkpoints(directory, model, {"step": tf.Variable(0, dtype=tf.int64)}).save(0)
    return directory
