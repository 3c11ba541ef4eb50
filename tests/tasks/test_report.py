import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.report import ReportSettings, read_results, run_report, table

RESULTS = {"task_name": "mrpc", "model_type": "ambert", "inference": "joint", "metric": "accuracy"}


def test_our_results_are_next_to_the_published_figures():
    runs = {"count": 3, "mean": 0.8, "deviation": 0.0123}
    mrpc = {**RESULTS, "accuracy": 0.8123, "f1": 0.9, "runs": runs}
    tnews = {**RESULTS, "task_name": "tnews", "accuracy": 0.5, "inference": "fine"}
    own = {**RESULTS, "task_name": "reviews", "accuracy": 1.0}
    lines = table([own, mrpc, tnews])
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert [row[0] for row in cells[2:]] == ["tnews", "mrpc", "reviews"]
    assert cells[0][-1] == "published: AMBERT"
    assert cells[3][2:7] == ["joint", "accuracy/f1", "81.23/90.00", "80.00 ± 1.23 (3)", "test F1/accuracy"]
    assert cells[3][-1] == "89.7/86.1"
    assert cells[2][4:6] == ["50.00", ""]
    assert cells[4][-1] == "-"
    assert "not ours" in lines[-1]


def test_directories(tmp_path, capsys):
    (tmp_path / "eval_results.json").write_text(json.dumps({**RESULTS, "accuracy": 0.75}))
    run_report(ReportSettings(run_dirs=(str(tmp_path),)))
    assert "| mrpc | ambert | joint | accuracy | 75.00 |" in capsys.readouterr().out


def test_other_directories_are_named_and_left_out(tmp_path, capsys):
    for name in ("mrpc", "pretrained", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "mrpc" / "eval_results.json").write_text(json.dumps({**RESULTS, "accuracy": 0.75}))
    (tmp_path / "pretrained" / "eval_results.json").write_text('{"loss": 1}')
    empty, pretrained = str(tmp_path / "empty"), str(tmp_path / "pretrained")
    run_report(ReportSettings(run_dirs=(empty, pretrained, str(tmp_path / "mrpc"))))
    lines = capsys.readouterr().out.splitlines()
    assert "| mrpc | ambert | joint | accuracy | 75.00 |" in "\n".join(lines)
    assert lines[-2] == f"not included: {empty} (has no eval_results.json; evaluate it with --do_eval)"
    assert lines[-1].startswith(f"not included: {pretrained} (")
    with pytest.raises(InputError, match=r"^.*/empty: has no eval_results.json"):
        run_report(ReportSettings(run_dirs=(empty, pretrained)))
    with pytest.raises(InputError, match=r"/none: no such directory"):
        run_report(ReportSettings(run_dirs=(str(tmp_path / "mrpc"), str(tmp_path / "none"))))


def test_directories_without_results(tmp_path):
    with pytest.raises(InputError, match="name one or more directories"):
        run_report(ReportSettings())
    with pytest.raises(InputError, match=r"has no eval_results.json; evaluate it with --do_eval"):
        read_results(str(tmp_path))
    (tmp_path / "eval_results.json").write_text('{"loss": 1}')
    with pytest.raises(InputError, match="is not an evaluation of fine-tuning: inference, metric, task_name missing"):
        read_results(str(tmp_path))
