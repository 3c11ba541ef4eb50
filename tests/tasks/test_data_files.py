import dataclasses

import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import C3, TNEWS
from ambert_tf.tasks.data_files import find_data_dir, split_files
from ambert_tf.tasks.glue import AX


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestSplitFiles:
    def test_the_declared_file(self, tmp_path):
        touch(tmp_path / "dev.json")
        assert split_files(TNEWS, str(tmp_path), "dev") == (str(tmp_path / "dev.json"),)

    def test_names_of_clue_1_1_go_before_those_of_1_0(self, tmp_path):
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

    def test_other_files_in_the_data_directory_or_anywhere(self, tmp_path):
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


def test_c3_under_the_names_of_its_authors(tmp_path):
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
