import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import TNEWS
from ambert_tf.tasks.custom_data import SENTENCE
from ambert_tf.tasks.json_lines import read_json_lines
from ambert_tf.tasks.labels import find_labels, read_labels
from tests.classifiers import write_json_lines


def names(labels):
    return [label.name for label in labels]


def test_the_declared_labels_of_tnews_are_clues_fifteen(tmp_path):
    labels = find_labels(TNEWS, str(tmp_path), None)
    assert names(labels) == [
        "100",
        "101",
        "102",
        "103",
        "104",
        "106",
        "107",
        "108",
        "109",
        "110",
        "112",
        "113",
        "114",
        "115",
        "116",
    ]
    assert labels[0].description == "news_story"
    assert labels[-1].description == "news_game"


def test_a_file_of_labels_goes_before_the_declared_ones(tmp_path):
    write_json_lines(tmp_path / "labels.json", [{"label": "7", "label_desc": "seven"}, {"label": 8}])
    assert find_labels(TNEWS, str(tmp_path), None) == (("7", "seven"), ("8", ""))


def test_iflyteks_file_of_labels_has_another_key_for_the_word(tmp_path):
    records = [{"label": "0", "label_des": "打车"}, {"label": "1", "label_des": "地图"}]
    write_json_lines(tmp_path / "labels.json", records)
    assert read_labels(str(tmp_path / "labels.json")) == (("0", "打车"), ("1", "地图"))


def test_a_list_of_names_is_a_file_of_labels_too(tmp_path):
    (tmp_path / "labels.json").write_text('["no", "yes", 3]')
    assert names(read_labels(str(tmp_path / "labels.json"))) == ["no", "yes", "3"]


def test_without_any_they_are_collected_from_the_training_file(tmp_path):
    path = write_json_lines(tmp_path / "train.json", [{"label": "b"}, {"label": "a"}, {"label": "b"}])
    assert names(find_labels(SENTENCE, str(tmp_path), read_json_lines(path, "train_file"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"label": "a"}\n{"label": "a"}\n', "the label 'a' is there twice"),
        ('{"label": "a"}\n', "needs at least two"),
        ('{"name": "a"}\n', "line 1: the key 'label' is missing"),
        ('["a", \n', "is no JSON"),
        ('["a", 0.5]', "'label' is 0.5"),
    ],
)
def test_wrong_files_of_labels(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_labels(str(tmp_path / "labels.json"))


def test_what_cannot_be_known_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"put a labels.json there"):
        find_labels(SENTENCE, str(tmp_path), None)
    path = write_json_lines(tmp_path / "train.json", [{"label": "a"}, {"text": "b"}])
    with pytest.raises(InputError, match=r"line 2: the key 'label' is missing"):
        find_labels(SENTENCE, str(tmp_path), read_json_lines(path, "train_file"))
