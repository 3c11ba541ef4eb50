import dataclasses
import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import TaskConfig

TASK = TaskConfig(
    task_name="sentence",
    labels=("否", "yes"),
    max_seq_length=16,
    max_coarse_seq_length=12,
)


def test_file_round_trip(tmp_path):
    TASK.write(str(tmp_path))
    assert TaskConfig.read(str(tmp_path), "model_dir") == TASK
    TASK.write(str(tmp_path))  # the same again is fine


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no task.json"),
        ("{", "not a valid task.json"),
        ("[]", "not a valid task.json"),
        ('{"format_version": 9}', "format_version is not 1"),
        ('{"format_version": 1, "labels": []}', "not a valid task.json"),
    ],
)
def test_broken_files(tmp_path, content, message):
    if content is not None:
        (tmp_path / "task.json").write_text(content)
    with pytest.raises(InputError, match=message):
        TaskConfig.read(str(tmp_path), "model_dir")


def test_a_directory_of_another_task(tmp_path):
    TASK.write(str(tmp_path))
    path = tmp_path / "task.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task_name": "tnews"}))
    with pytest.raises(InputError, match="contains a model with task_name 'tnews', not 'sentence'"):
        TASK.write(str(tmp_path))


def test_a_file_without_the_decoding_fields_gets_their_defaults(tmp_path):
    (tmp_path / "task.json").write_text(
        '{"format_version": 1, "task_name": "squad1", "labels": [], "label_descriptions": [], "pair": true,'
        ' "max_seq_length": 384, "max_coarse_seq_length": 384, "data_augmentation": "none", "form": "spans",'
        ' "choices": 0, "doc_stride": 128, "max_query_length": 64, "max_answer_length": 50, "null_answers": false,'
        ' "score_range": null, "inputs": "plain"}'
    )
    task = TaskConfig.read(str(tmp_path))
    assert (task.max_answer_length, task.n_best_size, task.null_score_diff_threshold) == (50, 20, 0.0)


def test_decoding_fields_may_change(tmp_path):
    TASK.write(str(tmp_path))
    dataclasses.replace(TASK, n_best_size=5).write(str(tmp_path))
    assert TaskConfig.read(str(tmp_path)).n_best_size == 5
