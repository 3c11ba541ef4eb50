import json
import zipfile

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks import clue, fewclue
from ambert_tf.tasks.declaration import Leaderboard
from ambert_tf.tasks.leaderboard import Prediction, write_leaderboard_files
from ambert_tf.tasks.reading_comprehension import CMRC2018
from ambert_tf.tasks.report import ReportSettings, run_report


def predicted(tmp_path, task, *predictions, test_file="test.json", name=None):
    """Writes the leaderboard files of a task, like a run, and returns the output directory."""
    directory = tmp_path / (name or task.name)
    directory.mkdir()
    assert isinstance(task.leaderboard, Leaderboard)
    write_leaderboard_files(str(directory), task.leaderboard, predictions, test_file)
    return str(directory)


def submit(tmp_path, *directories):
    path = tmp_path / "submit.zip"
    run_report(ReportSettings(run_dirs=directories, submit=True, submit_file=str(path)))
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_clues_submission_has_the_names_and_ids_of_its_guide(tmp_path, capsys):
    directories = [
        predicted(tmp_path, CMRC2018, Prediction("TEST_0_QUERY_0", "美国"), Prediction("TEST_0_QUERY_1", "第二艘")),
        predicted(tmp_path, clue.AFQMC, Prediction(0, "0"), Prediction(1, "1")),
        predicted(tmp_path, clue.TNEWS, Prediction(0, "102", "news_entertainment"), test_file="test1.1.json"),
        predicted(tmp_path, clue.TNEWS, Prediction(0, "103"), test_file="test1.0.json", name="tnews10"),
        predicted(tmp_path, clue.CHID, Prediction("#idiom623377#", 4), test_file="test1.1.json"),
        predicted(tmp_path, clue.C3, Prediction(17, 2), test_file="test1.1.json"),
        predicted(tmp_path, clue.OCNLI, Prediction(0, "neutral")),
    ]
    files = submit(tmp_path, *directories)
    assert list(files) == [
        "tnews10_predict.json", "tnews11_predict.json", "afqmc_predict.json", "ocnli_50k_predict.json",
        "chid11_predict.json", "c311_predict.json", "cmrc2018_predict.json",
    ]  # fmt: skip
    assert files["afqmc_predict.json"] == '{"id": 0, "label": "0"}\n{"id": 1, "label": "1"}\n'
    assert files["tnews10_predict.json"] == '{"id": 0, "label": "103"}\n'
    assert json.loads(files["tnews11_predict.json"]) == {"id": 0, "label": "102", "label_desc": "news_entertainment"}
    assert json.loads(files["chid11_predict.json"]) == {"#idiom623377#": 4}
    assert json.loads(files["c311_predict.json"]) == {"id": 17, "label": 2}
    assert json.loads(files["cmrc2018_predict.json"]) == {"TEST_0_QUERY_0": "美国", "TEST_0_QUERY_1": "第二艘"}
    printed = capsys.readouterr().out
    assert "cmrc2018_predict.json: 2 predictions from" in printed
    assert "not included: iflytek, cluewsc2020, csl, cmnli" in printed


def test_other_directories_are_named_and_left_out(tmp_path, capsys):
    (tmp_path / "other").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    others = [str(tmp_path / "other"), str(tmp_path / "notes.txt")]
    files = submit(tmp_path, others[0], predicted(tmp_path, clue.AFQMC, Prediction(0, "0")), others[1])
    assert list(files) == ["afqmc_predict.json"]
    reason = "has no file for the leaderboard of CLUE or FewCLUE"
    assert capsys.readouterr().out.splitlines()[-2:] == [f"  not included: {name} ({reason})" for name in others]


def test_fewclues_submission_is_a_file_of_its_own(tmp_path):
    few = predicted(tmp_path, fewclue.CHID, Prediction(3000, 6))
    assert submit(tmp_path, few) == {"chidf_predict.json": '{"id": 3000, "answer": 6}\n'}
    with pytest.raises(InputError, match=r"different leaderboards: .*afqmc for CLUE and .*fewclue_chid for FewCLUE"):
        submit(tmp_path, predicted(tmp_path, clue.AFQMC, Prediction(0, "0")), few)


def test_wrong_directories(tmp_path):
    first = predicted(tmp_path, clue.AFQMC, Prediction(0, "0"))
    second = predicted(tmp_path, clue.AFQMC, Prediction(0, "1"), name="again")
    with pytest.raises(InputError, match=r"afqmc_predict.json is in .*afqmc and in .*again; omit one of them"):
        submit(tmp_path, first, second)
    with pytest.raises(InputError, match="none: no such directory"):
        submit(tmp_path, str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: has no file for the leaderboard of CLUE or FewCLUE"):
        submit(tmp_path, str(tmp_path / "empty"))
    for content, message in (("", "is damaged"), ("{}", "has no predictions"), ('{"id": 0,\n', "is damaged")):
        (tmp_path / "again" / "afqmc_predict.json").write_text(content)
        with pytest.raises(InputError, match=f"again/afqmc_predict.json: {message}"):
            submit(tmp_path, second)
    assert not (tmp_path / "submit.zip").exists()
