import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.declaration import Example, Texts
from ambert_tf.tasks.own_data import SENTENCE, SENTENCE_PAIR
from ambert_tf.tasks.readers import read_examples, split_file
from tests.classifiers import write_json_lines

LABELS = ("100", "101")


def read(tmp_path, records, task=TNEWS, split="train", labels=LABELS, **options):
    return read_examples(task, write_json_lines(tmp_path / "file.json", records), split, labels, **options)


def test_tnews_joins_keywords_to_the_title(tmp_path):
    records = [
        {"label": "101", "label_desc": "news_culture", "sentence": "江疏影甜甜圈自拍", "keywords": "江疏影,美少女"},
        {"label": 100, "sentence": "我们走到一起", "keywords": "", "id": 7},
        {"label": "100", "sentence": ""},
    ]
    assert read(tmp_path, records) == [
        Example(0, Texts("江疏影甜甜圈自拍。江疏影,美少女"), 1),
        Example(7, Texts("我们走到一起"), 0),
        Example(2, Texts(""), 0),
    ]
    assert read(tmp_path, records, augment=False)[0].texts == Texts("江疏影甜甜圈自拍")


def test_pairs(tmp_path):
    records = [{"sentence1": "a", "sentence2": "b", "label": "100"}]
    assert read(tmp_path, records, SENTENCE_PAIR) == [Example(0, Texts("a", "b"), 0)]


def test_prediction_needs_no_labels_and_looks_at_none(tmp_path):
    records = [{"sentence": "a", "label": "unheard of"}, {"sentence": "b"}]
    examples = read(tmp_path, records, SENTENCE, "test", needs_labels=False)
    assert [example.label for example in examples] == [None, None]


@pytest.mark.parametrize(
    ("record", "split", "message"),
    [
        ({"label": "100"}, "train", r"file.json, line 2: the key 'sentence' is missing"),
        ({"sentence": None, "label": "100"}, "train", r"line 2: 'sentence' is null; it must be a string"),
        ({"sentence": "x"}, "train", r"line 2: the key 'label' is missing; a training example needs a label"),
        ({"sentence": "x"}, "dev", r"line 2: the key 'label' is missing; --do_eval needs a file with labels"),
        ({"sentence": "x", "label": "99"}, "dev", r"line 2: unknown label '99'; the labels are 100, 101"),
    ],
)
def test_errors_name_file_and_line(tmp_path, record, split, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, [{"sentence": "right", "label": "100"}, record], split=split)


class TestSplitFile:
    def test_the_declared_file(self, tmp_path):
        (tmp_path / "dev.json").touch()
        assert split_file(TNEWS, str(tmp_path), "dev") == str(tmp_path / "dev.json")

    def test_a_missing_one_says_what_is_expected_and_where_to_get_it(self, tmp_path):
        with pytest.raises(InputError) as error:
            split_file(TNEWS, str(tmp_path), "train")
        message = str(error.value)
        for part in ("no train.json", "dev.json, test.json", "github.com/CLUEbenchmark/CLUE", "--train_file"):
            assert part in message

    def test_another_file_in_the_data_directory_or_anywhere(self, tmp_path):
        (tmp_path / "data").mkdir()
        for name in ("data/inside.json", "outside.json"):
            (tmp_path / name).touch()
        data_dir = str(tmp_path / "data")
        assert split_file(TNEWS, data_dir, "train", "inside.json") == str(tmp_path / "data/inside.json")
        assert split_file(TNEWS, data_dir, "train", str(tmp_path / "outside.json")) == str(tmp_path / "outside.json")
        with pytest.raises(InputError, match=r"--eval_file=.*none.json: no such file"):
            split_file(TNEWS, data_dir, "dev", "none.json")

    def test_no_directory(self, tmp_path):
        with pytest.raises(InputError, match="--data_dir is needed"):
            split_file(TNEWS, "", "dev")
        with pytest.raises(InputError, match="no such directory"):
            split_file(TNEWS, str(tmp_path / "none"), "dev")
