import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.registry import TASKS, find_task


def test_names_are_found_regardless_of_their_spelling():
    assert find_task("tnews") is find_task("TNEWS") is TNEWS
    assert find_task("sentence-pair").name == "sentence_pair"


def test_every_task_is_found_under_its_own_name():
    assert all(task.name == name for name, task in TASKS.items())


def test_all_tasks_of_the_paper_are_there():
    paper = (
        "tnews iflytek cluewsc2020 afqmc csl cmnli ocnli cmrc2018 chid c3 cola sst2 mrpc stsb qqp mnli qnli rte wnli "
        "ax squad1 squad2 race"
    )
    assert set(paper.split()) <= set(TASKS)
    assert all(TASKS[name].download_page for name in paper.split())


def test_the_paper_has_no_agreement_term_for_race():
    assert [task.name for task in TASKS.values() if task.agreement_weight != 1.0] == ["race"]


def test_common_aliases():
    assert find_task("SST-2").name == "sst2"
    assert find_task("MNLI-mm").name == "mnli_mismatched"
    assert find_task("CLUEWSC").name == "cluewsc2020"


TASK = "from ambert_tf.tasks.declaration import *\nTASK = Task(name='n', description='d', texts=columns('t'), {})"


class TestTaskFile:
    def test_a_custom_declaration(self, tmp_path):
        path = tmp_path / "stars.py"
        path.write_text(
            "from ambert_tf.tasks.declaration import Task, Texts\n"
            "TASK = Task(name='stars', description='d', texts=lambda record, options: Texts(record.string('body')))\n"
        )
        assert find_task("", str(path)).name == "stars"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("TASK = 5", "does not define TASK = Task"),
            ("import nothing_like_it", "ModuleNotFoundError"),
            ("TASK = (", "Syntax"),
            (TASK.replace("{}", "form='clasification'"), "form='clasification'; the forms are class"),
            (TASK.replace("{}", "metrics=('auc',)"), "unknown metric 'auc'; the metrics are accuracy, f1"),
            (TASK.replace("{}", "metrics=()"), "metrics is empty"),
            (TASK.replace("{}", "labels=named_labels('a', 'b'), positive_label='c'"), "'c' is not one of the labels"),
        ],
    )
    def test_wrong_ones(self, tmp_path, content, message):
        path = tmp_path / "stars.py"
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            find_task("", str(path))
        with pytest.raises(InputError, match="no such file"):
            find_task("", str(tmp_path / "none.py"))


@pytest.mark.parametrize(
    ("name", "hint"), [("tnew", "did you mean tnews"), ("xyz", "the tasks are tnews"), ("", "the tasks are tnews")]
)
def test_unknown_names(name, hint):
    with pytest.raises(InputError, match=hint):
        find_task(name)
