import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.serving.check import _accuracy
from ambert_tf.serving.check_inputs import read_requests


def task(form, **changes):
    return TaskConfig(task_name="t", form=form, max_seq_length=16, max_coarse_seq_length=16, **changes)


SENTENCE = task("classification", labels=("a", "1"))
CHOICE = task("multiple_choice", pair=True, choices=2)
SCORE = task("regression", score_range=(0.0, 5.0))


def write(tmp_path, *records):
    path = tmp_path / "requests.jsonl"
    path.write_text("\n\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return str(path)


def test_unknown_answers_do_not_count(tmp_path):
    path = write(tmp_path, {"text": "x", "label": "a"}, {"text": "y", "label": None}, {"text": "z", "label": 1})
    found = read_requests(path, SENTENCE)
    assert found.right == ["a", None, "1"]
    assert _accuracy("label", ["a", "a", "a"], found.right) == 0.5
    assert read_requests(write(tmp_path, {"text": "x"}), SENTENCE).right is None


def test_labels_are_spelled_as_in_training_data(tmp_path):
    spellings = [True, 1, "1.0", " 1\u200b", 2.0, "", None]
    path = write(tmp_path, *({"text": "x", "label": label} for label in spellings))
    found = read_requests(path, task("classification", labels=("true", "1", "2")))
    assert found.right == ["true", "1", "1", "1", "2", None, None]


def test_a_correlation_may_be_undefined():
    assert _accuracy("score", [1.0, 2.0, 4.0], [2, None, 8]) == pytest.approx(1)
    assert _accuracy("score", [1.0, 2.0], [2, None]) is None


@pytest.mark.parametrize(
    ("kind", "record", "message"),
    [
        (SENTENCE, {"txt": "b"}, "line 3: a JSON object with text is expected"),
        (SENTENCE, {"text": "b", "label": "zzz"}, "line 3: label is 'zzz'; the labels are a, 1"),
        (SENTENCE, {"text": "b", "label": ["a"]}, "line 3: 'label' is .* it must be a string or an integer"),
        (SCORE, {"text": "b", "score": "high"}, "line 3: score is 'high'; a number is expected"),
        (CHOICE, {"context": "c", "question": "q", "choices": ["x"], "choice": 1}, "choice is 1; an int from 0 to 0"),
    ],
)
def test_wrong_lines_are_named(tmp_path, kind, record, message):
    good = {"text": "a"} if kind is not CHOICE else {"context": "c", "question": "q", "choices": ["x", "y"]}
    with pytest.raises(InputError, match=message):  # blank lines count
        read_requests(write(tmp_path, good, record), kind)
