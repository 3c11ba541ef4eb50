import pytest

from ambert_tf.tasks import clue, fewclue, glue
from ambert_tf.tasks.leaderboard import Prediction, file_names, write_leaderboard_files
from ambert_tf.tasks.reading_comprehension import CMRC2018
from ambert_tf.tasks.registry import TASKS


@pytest.mark.parametrize(
    ("leaderboard", "predictions", "content"),
    [
        (
            clue.TNEWS.leaderboard,
            [Prediction(0, "101", "news_culture"), Prediction("x7", "100", "news_story")],
            '{"id": 0, "label": "101", "label_desc": "news_culture"}\n'
            '{"id": "x7", "label": "100", "label_desc": "news_story"}\n',
        ),
        (clue.AFQMC.leaderboard, [Prediction(3, "1")], '{"id": 3, "label": "1"}\n'),
        (clue.CHID.leaderboard, [Prediction("#idiom000001#", 4)], '{\n  "#idiom000001#": 4\n}\n'),
        (clue.C3.leaderboard, [Prediction(17, 2)], '{"id": 17, "label": 2}\n'),
        (fewclue.CHID.leaderboard, [Prediction(3000, 6)], '{"id": 3000, "answer": 6}\n'),
        (CMRC2018.leaderboard, [Prediction("TEST_0_QUERY_0", "美国")], '{\n  "TEST_0_QUERY_0": "美国"\n}\n'),
        (glue.RTE.leaderboard, [Prediction("0", "entailment")], "index\tprediction\n0\tentailment\n"),
        (glue.STSB.leaderboard, [Prediction("5", 3.14159)], "index\tprediction\n5\t3.142\n"),
    ],
)
def test_each_leaderboards_format(tmp_path, leaderboard, predictions, content):
    paths = write_leaderboard_files(str(tmp_path), leaderboard, predictions, "test.json")
    with open(paths[0], encoding="utf-8") as file:
        assert file.read() == content


@pytest.mark.parametrize(
    ("task", "test_file", "names"),
    [
        ("tnews", "data/test.json", ("tnews_predict.json", "tnews11_predict.json")),
        ("tnews", "data/test1.0.json", ("tnews_predict.json", "tnews10_predict.json")),
        ("cluewsc2020", "test1.1.json", ("cluewsc_predict.json", "cluewsc11_predict.json")),
        ("c3", "test1.0.json", ("c3_predict.json", "c310_predict.json")),
        ("chid", "test1.1.json", ("chid_predict.json", "chid11_predict.json")),
        ("afqmc", "test.json", ("afqmc_predict.json",)),
        ("ocnli", "test.json", ("ocnli_50k_predict.json",)),
        ("fewclue_cluewsc", "test.json", ("cluewscf_predict.json",)),
        ("mnli", "test_matched.tsv", ("MNLI-m.tsv",)),
        ("mnli_mismatched", "test_mismatched.tsv", ("MNLI-mm.tsv",)),
        ("ax", "diagnostic.tsv", ("AX.tsv",)),
        ("sst2", "test.tsv", ("SST-2.tsv",)),
    ],
)
def test_official_names(task, test_file, names):
    assert file_names(TASKS[task].leaderboard, test_file) == names
