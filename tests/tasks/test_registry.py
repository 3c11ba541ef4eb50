import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.registry import TASKS, find_task


def test_names_are_found_however_they_are_written():
    assert find_task("tnews") is find_task("TNEWS") is TNEWS
    assert find_task("sentence-pair").name == "sentence_pair"


def test_every_task_is_found_under_its_own_name():
    assert all(task.name == name for name, task in TASKS.items())


@pytest.mark.parametrize(
    ("name", "hint"), [("tnew", "did you mean tnews"), ("xyz", "the tasks are tnews"), ("", "the tasks are tnews")]
)
def test_unknown_names(name, hint):
    with pytest.raises(InputError, match=hint):
        find_task(name)
