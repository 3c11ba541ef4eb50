import json

import numpy as np

from ambert_tf.finetuning.result_files import confusion_table, write_eval_results, write_json_list


def test_confusion_matrix():
    lines = confusion_table(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), ["no", "yes"])
    assert [line.split() for line in lines[1:]] == [["no", "yes"], ["no", "1", "1"], ["yes", "0", "2"]]


def test_numbers_keep_every_digit(tmp_path):
    probabilities = np.array([[0.1, 0.7], [1 / 3, 2 / 3]], np.float32)
    write_json_list(str(tmp_path), ({"id": i, "row": list(map(float, row))} for i, row in enumerate(probabilities)))
    content = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert [item["id"] for item in content] == [0, 1]
    np.testing.assert_array_equal(np.array([item["row"] for item in content], np.float32), probabilities)


def test_results_are_written_as_json_and_text(tmp_path):
    write_eval_results(str(tmp_path), {"f1": 0.5, "task_name": "mrpc"}, ["a table"])
    assert json.loads((tmp_path / "eval_results.json").read_text()) == {"f1": 0.5, "task_name": "mrpc"}
    assert (tmp_path / "eval_results.txt").read_text() == "f1 = 0.5\ntask_name = mrpc\n\na table\n"
