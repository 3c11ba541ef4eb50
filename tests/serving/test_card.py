import dataclasses
import json
import shutil

from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import SpanSettings
from ambert_tf.serving.card import _scores, read_scores
from tests.serving.models import TASKS, model_directory


def test_scores_are_of_the_same_inference(tmp_path):
    assert read_scores(str(tmp_path), "joint", TASKS["sentence"]) == {}
    (tmp_path / "eval_results.json").write_text('{"inference": "joint", "accuracy": 0.5}')
    assert read_scores(str(tmp_path), "joint", TASKS["sentence"])["accuracy"] == 0.5
    assert read_scores(str(tmp_path), "fine", TASKS["sentence"]) == {}


def test_scores_of_spans_are_of_the_same_search(tmp_path):
    model = shutil.copytree(model_directory("spans"), tmp_path / "model")
    question = {"id": "1", "question": "南京", "answers": [{"text": "长江大桥", "answer_start": 3}]}
    (tmp_path / "dev.json").write_text(
        json.dumps({"data": [{"paragraphs": [{"context": "南京市长江大桥", "qas": [question]}]}]}), encoding="utf-8"
    )
    run_fine_tuning(
        SpanSettings(
            task_name="squad2", data_dir=str(tmp_path), output_dir=str(model), do_eval=True,
            null_score_diff_threshold=1.5,
        )
    )  # fmt: skip
    task = TASKS["spans"]  # its threshold is 0
    assert read_scores(str(model), "joint", task) == {}
    found = read_scores(str(model), "joint", dataclasses.replace(task, null_score_diff_threshold=1.5))
    assert (found["null_score_diff_threshold"], found["n_best_size"], found["max_answer_length"]) == (1.5, 20, 5)

    assert _scores({}, task) == (
        "The model was not evaluated with this `--inference` and these values of `--max_answer_length`, "
        "`--n_best_size`, `--null_score_diff_threshold`."
    )
    shown = _scores(found, task)
    assert f"| f1 | {found['f1']:.6g} |" in shown
    assert "n_best_size" not in shown
