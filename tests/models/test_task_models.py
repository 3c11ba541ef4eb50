import json

import pytest

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION, SEQUENCE_LABELLING, SPANS, TaskConfig
from ambert_tf.models.task_models import keras_task, make_model, task_of_keras_model
from tests.small_models import small_config
from tests.tokenizers import chinese_tokenizer

COMMON = {"max_seq_length": 24, "max_coarse_seq_length": 20}
# Every field has a value other than its default.
TASKS = {
    "labels": TaskConfig(
        task_name="reviews", labels=("a", "b"), label_descriptions=("bad", "good"), pair=True,
        data_augmentation="swapped pairs", **COMMON,
    ),
    "scores": TaskConfig(task_name="similarity", form=REGRESSION, pair=True, score_range=(0.0, 5.0), **COMMON),
    "choices": TaskConfig(
        task_name="chid", form=MULTIPLE_CHOICE, inputs="idioms", pair=True, choices=10,
        data_augmentation="other candidates", **COMMON,
    ),
    "spans": TaskConfig(
        task_name="squad2", form=SPANS, pair=True, doc_stride=8, max_query_length=6, max_answer_length=5,
        null_answers=True, n_best_size=7, null_score_diff_threshold=-1.5, **COMMON,
    ),
    "tags": TaskConfig(
        task_name="segmentation", form=SEQUENCE_LABELLING, labels=("word", "sign"), tagging_scheme="BMES",
        outside=False, crf=True, doc_stride=8, **COMMON,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    """A Keras model of each task."""
    backbone = AmbertBackbone.from_model_config(small_config(max_position_embeddings=24))
    tokenizer = AmbertTokenizer(chinese_tokenizer())
    return {name: keras_task(make_model(backbone, task), task, tokenizer) for name, task in TASKS.items()}


def configured(model, without=()):
    """Returns the model described by a preset's JSON, without some of its entries."""
    config = json.loads(json.dumps(model.get_config()))
    return type(model).from_config({name: value for name, value in config.items() if name not in without})


@pytest.mark.parametrize("name", TASKS)
def test_the_config_of_a_model_contains_the_whole_task(models, name):
    assert task_of_keras_model(configured(models[name])) == TASKS[name]


def test_older_presets_get_the_defaults(models):
    older = configured(models["spans"], without=("task_details", "n_best_size", "null_score_diff_threshold"))
    task = task_of_keras_model(older)
    assert (task.task_name, task.n_best_size, task.null_score_diff_threshold) == ("keras_hub", 20, 0.0)


def test_descriptions_of_other_labels_are_dropped(models):
    config = models["labels"].get_config() | {"num_classes": 3, "labels": None}
    task = task_of_keras_model(type(models["labels"]).from_config(config))
    assert (task.labels, task.label_descriptions) == (("0", "1", "2"), ())


@pytest.mark.parametrize(
    ("name", "predicts"),
    [("labels", "the softmax of the classes"), ("choices", "the softmax of the"), ("scores", "the score without")],
)
def test_other_activations_are_refused(models, name, predicts):
    config = models[name].get_config() | {"activation": "sigmoid"}
    with pytest.raises(ValueError, match=f"predicts {predicts}.*{type(models[name]).__name__} with .*'sigmoid'"):
        task_of_keras_model(type(models[name]).from_config(config))


def test_a_head_for_classes_has_no_range_of_scores(models):
    config = models["scores"].get_config() | {"num_classes": 3}
    assert type(models["scores"]).from_config(config).score_range is None
