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
    assert " ".join(names(labels)) == "100 101 102 103 104 106 107 108 109 110 112 113 114 115 116"
    assert labels[0].description == "news_story"
    assert labels[-1].description == "news_game"


def test_a_file_of_labels_goes_before_the_declared_ones(tmp_path):
    write_json_lines(tmp_path / "labels.json", [{"label": "7", "label_desc": "seven"}, {"label": 8}])
    assert find_labels(TNEWS, str(tmp_path), None) == (("7", "seven"), ("8", ""))


def test_iflyteks_file_of_labels_has_another_key_for_descriptions(tmp_path):
    records = [{"label": "0", "label_des": "打车"}, {"label": "1", "label_des": "地图"}]
    write_json_lines(tmp_path / "labels.json", records)
    assert read_labels(str(tmp_path / "labels.json")) == (("0", "打车"), ("1", "地图"))


def test_a_list_of_names_is_a_file_of_labels(tmp_path):
    (tmp_path / "labels.json").write_text('["no", "yes", 3]')
    assert names(read_labels(str(tmp_path / "labels.json"))) == ["no", "yes", "3"]


def test_labels_that_are_not_listed_are_collected_from_the_training_file(tmp_path):
    path = write_json_lines(tmp_path / "train.json", [{"label": "b"}, {"label": "a"}, {"label": "b"}])
    assert names(find_labels(SENTENCE, str(tmp_path), read_json_lines(path, "train_file"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"label": "a"}\n{"label": "a"}\n', "contains the label 'a' 2 times"),
        ('{"label": "a"}\n', "needs at least two"),
        ('{"name": "a"}\n', "line 1: has no label"),
        ('["a", \n', "is not JSON"),
        ('["a", 0.5]', "'label' is 0.5"),
    ],
)
def test_wrong_files_of_labels(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_labels(str(tmp_path / "labels.json"))


def test_unknown_labels_are_an_error(tmp_path):
    with pytest.raises(InputError, match=r"add a labels.json there"):
        find_labels(SENTENCE, str(tmp_path), None)
    path = write_json_lines(tmp_path / "train.json", [{"label": "a"}, {"text": "b"}])
    with pytest.raises(InputError, match=r"line 2: the key 'label' is missing"):
        find_labels(SENTENCE, str(tmp_path), read_json_lines(path, "train_file"))


class TestLabelsInTheTrainingFile:
    def collect(self, tmp_path, content, name="train.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return names(find_labels(SENTENCE, "", SENTENCE.records(str(tmp_path / name), "train_file")))

    def test_white_space_at_their_ends_does_not_count(self, tmp_path):
        content = "sentence,label\n服务很好,pos\n不错,pos \n差,\u3000neg\n慢,neg\u200b\n"
        assert self.collect(tmp_path, content) == ["neg", "pos"]
        assert self.collect(tmp_path, '{"label": " a"}\n{"label": "a"}\n{"label": "b"}\n', "train.json") == ["a", "b"]

    def test_one_and_one_point_zero_are_the_same(self, tmp_path):
        assert self.collect(tmp_path, "sentence,label\na,1.0\nb,0\nc,1\nd,0.0\n") == ["0", "1"]
        assert self.collect(tmp_path, '{"label": 1.0}\n{"label": 0}\n{"label": "1"}\n', "train.json") == ["0", "1"]
        # Written in one way throughout, they stay as they are.
        assert self.collect(tmp_path, "sentence,label\na,1.0\nb,1.1\nc,2.0\n") == ["1.0", "1.1", "2.0"]

    def test_an_empty_one_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match=r"train.csv, line 3: 'label' is empty; a training example needs a label"):
            self.collect(tmp_path, "sentence,label\n服务很好,pos\n差,\n好,neg\n,\n")

    def test_they_are_logged_with_their_counts(self, tmp_path, caplog):
        caplog.set_level("INFO", "absl")
        self.collect(tmp_path, "sentence,label\na,pos\nb,neg\nc,pos\nd,Neg\n")
        path = tmp_path / "train.csv"
        assert f"{path}: labels Neg (1), neg (1), pos (2)" in caplog.messages
        assert (
            f"{path}: the labels Neg and neg differ only in case and are treated as different labels" in caplog.messages
        )
