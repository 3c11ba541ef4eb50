import dataclasses
import json

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import C3, CHID, TNEWS
from ambert_tf.tasks.data_files import file_records, find_data_dir, find_files, split_files
from ambert_tf.tasks.glue import AX
from ambert_tf.tasks.labels import find_labels
from ambert_tf.tasks.reading_comprehension import RACE, SQUAD1


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestSplitFiles:
    def test_the_declared_file(self, tmp_path):
        touch(tmp_path / "dev.json")
        assert split_files(TNEWS, str(tmp_path), "dev") == (str(tmp_path / "dev.json"),)

    def test_file_names_of_clue_1_1_go_before_those_of_1_0(self, tmp_path):
        touch(tmp_path / "test1.0.json")
        assert split_files(TNEWS, str(tmp_path), "test") == (str(tmp_path / "test1.0.json"),)
        touch(tmp_path / "test.json")
        assert split_files(TNEWS, str(tmp_path), "test") == (str(tmp_path / "test.json"),)

    def test_files_that_belong_together(self, tmp_path):
        touch(tmp_path / "m-train.json")
        expected = "has no m-train.json and d-train.json or c3-m-train.json and c3-d-train.json or train.json"
        with pytest.raises(InputError, match=expected):
            split_files(C3, str(tmp_path), "train")
        touch(tmp_path / "d-train.json")
        names = tuple(str(tmp_path / name) for name in ("m-train.json", "d-train.json"))
        assert split_files(C3, str(tmp_path), "train") == names

    def test_a_missing_one_says_what_is_expected_and_where_to_get_it(self, tmp_path):
        with pytest.raises(InputError) as error:
            split_files(TNEWS, str(tmp_path), "train")
        message = str(error.value)
        for part in ("no train.json", "train.json, dev.json", "github.com/CLUEbenchmark/CLUE", "--train_file"):
            assert part in message

    def test_a_task_without_such_a_split(self, tmp_path):
        with pytest.raises(InputError, match="--task_name=ax: has no dev files; it is for models of mnli"):
            split_files(dataclasses.replace(AX, files={}), str(tmp_path), "dev")

    def test_named_files_are_in_the_data_directory_or_anywhere(self, tmp_path):
        touch(tmp_path / "data/inside.json", tmp_path / "outside.json")
        data_dir, inside, outside = (str(tmp_path / name) for name in ("data", "data/inside.json", "outside.json"))
        assert split_files(TNEWS, data_dir, "train", "inside.json") == (inside,)
        assert split_files(TNEWS, data_dir, "train", f"inside.json,{outside}") == (inside, outside)
        with pytest.raises(InputError, match=r"--eval_file=.*none.json: no such file"):
            split_files(TNEWS, data_dir, "dev", "none.json")

    def test_no_directory(self, tmp_path):
        with pytest.raises(InputError, match="--data_dir is needed"):
            split_files(TNEWS, "", "dev")
        with pytest.raises(InputError, match="no such directory"):
            split_files(TNEWS, str(tmp_path / "none"), "dev")


def test_c3_by_the_file_names_of_its_authors(tmp_path):
    for name in ("c3-m-train.json", "c3-d-train.json"):
        (tmp_path / name).write_text("[]")
    assert [path.rsplit("/", 1)[1] for path in split_files(C3, str(tmp_path), "train")] == [
        "c3-m-train.json", "c3-d-train.json",
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["tnews", "tnews_public", "clue/tnews_public", "CLUE/tnews"])
def test_downloads_are_found_in_the_default_place(tmp_path, monkeypatch, place):
    monkeypatch.setenv("AMBERT_DATA", str(tmp_path))
    assert find_data_dir(TNEWS) is None
    touch(tmp_path / place / "train.json")
    assert find_data_dir(TNEWS) == str(tmp_path / place) or find_data_dir(TNEWS) == f"{tmp_path}//{place}"


def remote(name, content):
    with tf.io.gfile.GFile(name, "w") as file:
        file.write(content)


def test_files_may_be_remote(monkeypatch):
    root = "ram://task-data"
    tf.io.gfile.makedirs(f"{root}/tnews")
    remote(f"{root}/tnews/train.json", '{"sentence": "标题", "label": "100", "id": 3}\n')
    monkeypatch.setenv("AMBERT_DATA", root)
    assert find_data_dir(TNEWS) == f"{root}/tnews"
    paths = split_files(TNEWS, f"{root}/tnews", "train")
    assert [record.content["id"] for record in file_records(TNEWS, paths, "train")] == [3]
    assert split_files(TNEWS, f"{root}/tnews", "dev", "train.json") == paths
    with pytest.raises(InputError, match="ram://task-data/none: no such directory"):
        split_files(TNEWS, f"{root}/none", "dev")
    # ChID's answers and RACE's directories.
    tf.io.gfile.makedirs(f"{root}/dev/high")
    remote(f"{root}/dev.json", '{"content": ["他#idiom1#走了"], "candidates": ["一", "二"]}\n')
    remote(f"{root}/dev_answer.json", '{"#idiom1#": 1}')
    assert [record.content["answer"] for record in file_records(CHID, [f"{root}/dev.json"], "dev")] == [1]
    remote(f"{root}/dev/high/7.txt", '{"article": "t", "questions": ["q"], "options": [["a", "b"]], "answers": ["B"]}')
    (record,) = file_records(RACE, find_files(RACE, root, "dev"), "dev")
    assert (record.content["id"], record.content["answer"]) == ("high7.txt-0", 1)
    remote(f"{root}/labels.json", '["no", "yes"]')
    assert [label.name for label in find_labels(TNEWS, root, None)] == ["no", "yes"]


def squad(name):
    question = {"id": name, "question": "?", "answers": [{"text": "a", "answer_start": 0}]}
    return json.dumps({"data": [{"paragraphs": [{"context": "a", "qas": [question]}]}]})


def test_ids_of_several_files_to_predict_must_differ(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    (tmp_path / "a.json").write_text(squad("1"))
    (tmp_path / "b.json").write_text(squad(1))
    with pytest.raises(InputError, match=r"b.json, question 1: the id 1 is used twice, also in .*a.json; ids must be"):
        list(file_records(SQUAD1, paths, "dev"))
    # Ids of training questions are not used.
    assert len(list(file_records(SQUAD1, paths, "train"))) == 2
    for path in paths:
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"content": ["他#idiom1#走了"], "candidates": ["一", "二"]}\n')
    with pytest.raises(InputError, match=r"b.json, line 1: the id #idiom1# is used twice"):
        list(file_records(CHID, paths, "test"))
