import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuned import FineTunedTask, read_task

TASK = FineTunedTask(
    task_name="sentence",
    labels=("否", "yes"),
    max_seq_length=16,
    max_coarse_seq_length=12,
)


def test_what_is_written_is_read(tmp_path):
    TASK.write(str(tmp_path))
    assert read_task(str(tmp_path), "model_dir") == TASK
    TASK.write(str(tmp_path))  # the same again is fine


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no task.json"),
        ("{", "is no task file"),
        ("[]", "is no task file"),
        ('{"format_version": 9}', "format_version is not 1"),
        ('{"format_version": 1, "labels": []}', "is no task file"),
    ],
)
def test_broken_files(tmp_path, content, message):
    if content is not None:
        (tmp_path / "task.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_task(str(tmp_path), "model_dir")


def test_a_directory_of_another_task(tmp_path):
    TASK.write(str(tmp_path))
    path = tmp_path / "task.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task_name": "tnews"}))
    with pytest.raises(InputError, match="holds a model whose task_name is 'tnews', not 'sentence'"):
        TASK.write(str(tmp_path))
