import dataclasses

import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning_settings import ClassificationSettings, SpanSettings
from ambert_tf.finetuning.splits import settings_for_task
from ambert_tf.tasks.labels import labels_directory
from ambert_tf.tasks.registry import TASKS


def test_flags_override_the_task_which_overrides_bert(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ClassificationSettings(learning_rate=0.5).for_task(TASKS["csl"], "data/csl", has_test=False)
    # CSL's defaults are 1e-5, 8, 5 epochs and 256. It has no default for the warm-up.
    assert settings.learning_rate == 0.5
    assert (settings.train_batch_size, settings.num_train_epochs, settings.max_seq_length) == (8, 5, 256)
    assert (settings.warmup_proportion, settings.agreement_weight) == (0.1, 1.0)
    assert (settings.data_dir, settings.output_dir) == ("data/csl", "output/csl")
    assert (settings.do_train, settings.do_eval, settings.do_predict) == (True, True, False)
    assert settings.init_checkpoint is None
    (tmp_path / "pretrained").mkdir()
    assert settings.for_task(TASKS["csl"], None, has_test=True).init_checkpoint == "pretrained"


def test_answers_of_cmrc2018_are_longer():
    settings = SpanSettings(do_eval=True).for_task(TASKS["cmrc2018"], None, has_test=True)
    assert (settings.max_answer_length, settings.doc_stride, settings.n_best_size) == (50, None, None)
    assert SpanSettings(max_answer_length=7).for_task(TASKS["cmrc2018"], None, has_test=True).max_answer_length == 7


def test_a_default_that_is_not_a_flag():
    task = dataclasses.replace(TASKS["sentence"], defaults={"lr": 1e-5})
    with pytest.raises(InputError, match="task sentence: its defaults name lr, which is not a flag"):
        ClassificationSettings().for_task(task, None, has_test=False)


def test_named_training_and_evaluation_files_need_no_data_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "sentence").mkdir(parents=True)  # another data set of this kind
    (tmp_path / "data" / "sentence" / "labels.json").write_text('["x", "y"]')
    (tmp_path / "test.json").write_text("{}")  # not named, so not to be predicted
    given = ClassificationSettings(task_name="sentence", train_file="my/train.csv", eval_file="my/dev.csv")
    settings = settings_for_task(TASKS["sentence"], given)
    assert (settings.data_dir, settings.do_train, settings.do_eval, settings.do_predict) == ("", True, True, False)


def test_labels_are_looked_for_beside_the_training_file_first(tmp_path):
    beside, data_dir = tmp_path / "my", tmp_path / "data"
    for directory in (beside, data_dir):
        directory.mkdir()
    (data_dir / "labels.json").write_text("[]")
    assert labels_directory(str(data_dir), (str(beside / "train.csv"),)) == str(data_dir)
    (beside / "labels.json").write_text("[]")
    assert labels_directory(str(data_dir), (str(beside / "train.csv"),)) == str(beside)
