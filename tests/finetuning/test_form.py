from types import SimpleNamespace

from ambert_tf.finetuning.form import Split
from ambert_tf.tasks.declaration import Example, Texts


def test_rows_are_described_by_the_ids_of_the_data():
    examples = [Example(name, (Texts("a"),), 0) for name in (7, "b", "c")]
    split = Split("train", ("x/train.json", "x/more.json"), examples, {})
    assert split.describe([2, 0, 2]) == "the examples with id c, 7 of x/train.json and x/more.json"


def test_windows_are_described_by_their_questions():
    examples = [Example(name, (Texts("a"),), 0) for name in ("q1", "q2")]
    windows = SimpleNamespace(example=[0, 1, 1])
    split = Split("train", ("squad.json",), examples, {}, details=windows)
    assert split.describe([1, 2]) == "the examples with id q2 of squad.json"
