import json
import math

import numpy as np
import pytest

from ambert_tf.tasks.classification_results import (
    confusion_table,
    probabilities_of,
    scores,
    write_leaderboard_file,
    write_predictions,
)
from ambert_tf.tasks.declaration import Example, Texts
from ambert_tf.training.fine_tuned import FineTunedTask

EXAMPLES = [Example(0, Texts("a"), None), Example("x7", Texts("b"), None)]


def task(**changes):
    values = {
        "task_name": "tnews",
        "labels": ("100", "101"),
        "max_seq_length": 8,
        "max_coarse_seq_length": 8,
        "heads": ("fine", "coarse", "joint"),
    }
    return FineTunedTask(**{**values, **changes})


def test_scores_of_three_heads():
    logits = {
        "fine": np.array([[1, 0], [1, 0], [1, 0]], np.float32),
        "coarse": np.array([[0, 1], [0, 1], [0, 1]], np.float32),
        "joint": np.array([[2, 0], [2, 0], [0, 2]], np.float32),
    }
    results = scores(logits, np.array([0, 0, 1], np.int32))
    assert results["accuracy"] == results["joint_accuracy"] == 1
    assert results["fine_accuracy"] == pytest.approx(2 / 3)
    assert results["coarse_accuracy"] == pytest.approx(1 / 3)
    assert results["most_frequent_accuracy"] == pytest.approx(2 / 3)
    assert results["examples"] == 3
    # By hand: a head that is right by a margin m loses log(1 + e^-m), one that is wrong m more.
    assert results["joint_loss"] == pytest.approx(math.log(1 + math.exp(-2)), rel=1e-5)
    assert results["fine_loss"] == pytest.approx(math.log(1 + math.exp(-1)) + 1 / 3, rel=1e-5)
    high = 1 / (1 + math.exp(-1))
    assert results["agreement_loss"] == pytest.approx(math.sqrt(2) * (2 * high - 1), rel=1e-5)
    parts = sum(results[f"{name}_loss"] for name in ("fine", "coarse", "joint", "agreement"))
    assert results["loss"] == pytest.approx(parts, rel=1e-6)


def test_scores_of_one_head():
    values = np.array([[2, 0], [0, 2]], np.float32)
    results = scores({"fine": values, "joint": values}, np.array([0, 0], np.int32))
    assert results["accuracy"] == 0.5
    assert "fine_accuracy" not in results
    assert results["loss"] == results["joint_loss"]


def test_confusion_table():
    lines = confusion_table(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ["no", "yes"])
    assert [line.split() for line in lines[1:]] == [["no", "yes"], ["no", "1", "1"], ["yes", "0", "2"]]


def test_predictions_keep_every_digit(tmp_path):
    probabilities = probabilities_of(np.array([[0.1, 0.7], [3, -2]], np.float32))
    write_predictions(str(tmp_path), EXAMPLES, probabilities, ["否", "yes"])
    content = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert [(item["id"], item["label"]) for item in content] == [(0, "yes"), ("x7", "否")]
    assert list(content[0]["probabilities"]) == ["否", "yes"]
    read_back = np.array([list(item["probabilities"].values()) for item in content], np.float32)
    np.testing.assert_array_equal(read_back, probabilities)


def test_the_leaderboard_file_is_clues(tmp_path):
    path = tmp_path / "tnews_predict.json"
    described = task(label_descriptions=("news_story", "news_culture"))
    write_leaderboard_file(str(path), described, EXAMPLES, np.array([1, 0]))
    assert path.read_text() == (
        '{"id": 0, "label": "101", "label_desc": "news_culture"}\n'
        '{"id": "x7", "label": "100", "label_desc": "news_story"}\n'
    )
    write_leaderboard_file(str(path), task(), EXAMPLES, np.array([1, 0]))
    assert path.read_text().splitlines()[0] == '{"id": 0, "label": "101"}'
