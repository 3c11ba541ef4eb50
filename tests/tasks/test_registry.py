import sys

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.registry import TASKS, _fault, find_task


def test_names_are_found_regardless_of_their_spelling():
    assert find_task("tnews") is find_task("TNEWS") is TNEWS
    assert find_task("sentence-pair").name == "sentence_pair"


def test_every_task_is_found_under_its_own_name():
    assert all(task.name == name for name, task in TASKS.items())


def test_every_task_would_be_accepted_as_a_task_file():
    assert {name: _fault(task) for name, task in TASKS.items()} == dict.fromkeys(TASKS)


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

    def test_a_dataclass_with_annotations_that_are_strings(self, tmp_path):
        path = tmp_path / "stars.py"
        path.write_text(
            "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass Text:\n  key: str\n"
            + TASK.replace("columns('t'), {}", "columns(Text('body').key)")
        )
        assert find_task("", str(path)).name == "n"
        path.write_text("1 / 0")
        with pytest.raises(InputError, match=r"stars.py: ZeroDivisionError: division by zero"):
            find_task("", str(path))
        assert "task_file" not in sys.modules

    @pytest.mark.parametrize(
        ("form", "metrics"),
        [
            ("classification", ("accuracy",)),
            ("multiple_choice", ("accuracy",)),
            ("regression", ("pearson", "spearman")),
            ("spans", ("f1", "exact_match")),
            ("sequence_labelling", ("f1", "precision", "recall")),
        ],
    )
    def test_metrics_default_to_those_of_the_form(self, tmp_path, form, metrics):
        path = tmp_path / "mine.py"
        path.write_text(TASK.replace("{}", f"form={form!r}"))
        assert find_task("", str(path)).metrics == metrics

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("TASK = 5", "does not define TASK = Task"),
            ("import nothing_like_it", "ModuleNotFoundError"),
            ("TASK = (", "Syntax"),
            (TASK.replace("{}", "form='clasification'"), "form='clasification'; the forms are class"),
            (TASK.replace("{}", "metrics=('auc',)"), "unknown metric 'auc'; the metrics of classification are acc"),
            (
                TASK.replace("{}", "form='regression', metrics=('accuracy',)"),
                "unknown metric 'accuracy'; the metrics of regression are pearson, spearman",
            ),
            (TASK.replace("{}", "form='spans', metrics=('mixed_f1', 'f1')"), "either all or none of them must be"),
            (
                TASK.replace("{}", "form='sequence_labelling', metrics=('oov_recall',)"),
                r"metric 'oov_recall' is for word segmentation, with labels=named_labels\('word'\)",
            ),
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
