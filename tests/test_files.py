"""Inputs are checked before they are used."""

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import (
    check_input_file,
    check_tensorflow_path,
    exists,
    file_size,
    file_version,
    input_files,
    is_directory,
    is_file,
    list_directory,
    open_input,
    read_bytes,
)


def write(path, text="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


class TestInputFiles:
    def test_names_and_patterns_each_file_once_in_order(self, tmp_path):
        b = write(tmp_path / "b.txt")
        a = write(tmp_path / "a.txt")
        c = write(tmp_path / "deep" / "er" / "c.txt.gz")
        assert input_files(f"{tmp_path}/*.txt, {b},{tmp_path}/**/*.gz", "input_file") == [a, b, c]
        assert input_files(f"{a},{tmp_path}/deep/../*.txt", "input_file")[0] == a
        assert len(input_files(f"{a},{tmp_path}/deep/../*.txt", "input_file")) == 2

    def test_pattern_passes_over_directories(self, tmp_path):
        a = write(tmp_path / "a.txt")
        c = write(tmp_path / "deep" / "c.txt")
        assert input_files(f"{tmp_path}/*", "input_file") == [a]
        assert input_files(f"{tmp_path}/**", "input_file") == [a, c]

    def test_name_that_looks_like_a_pattern(self, tmp_path):
        name = write(tmp_path / "corpus[1].txt")
        assert input_files(name, "input_file") == [name]

    @pytest.mark.parametrize("pattern", ["", " , ", None])
    def test_nothing_named(self, pattern):
        with pytest.raises(InputError, match=r"^--input_file: names no file; a file or a pattern"):
            input_files(pattern, "input_file")

    def test_pattern_without_a_match(self, tmp_path):
        (tmp_path / "deep").mkdir()
        with pytest.raises(InputError, match=r"^--input_file=.*/\*: no file matches this pattern$"):
            input_files(f"{tmp_path}/*", "input_file")

    def test_each_file_is_checked(self, tmp_path):
        write(tmp_path / "a.txt")
        write(tmp_path / "b.txt", "")
        with pytest.raises(InputError, match=r"^--input_file=.*/b\.txt: is an empty file$"):
            input_files(f"{tmp_path}/*.txt", "input_file")


class TestCheckTensorFlowPath:
    @pytest.mark.parametrize("path", ["runs/é 1", "a-]{}", "gs://bucket/run"])
    def test_good_names(self, path):
        check_tensorflow_path(path, "output_dir")

    @pytest.mark.parametrize("path", ["a [1]", "what?", "all*/run", "back\\slash", "gs://bucket/run[1]"])
    def test_characters_of_patterns(self, path):
        with pytest.raises(InputError, match=r" TensorFlow cannot read checkpoints under a name with") as caught:
            check_tensorflow_path(path, "output_dir")
        assert str(caught.value).startswith(f"--output_dir={path}: ")

    def test_the_directory_of_a_relative_path_counts(self, tmp_path, monkeypatch):
        (tmp_path / "[1]").mkdir()
        monkeypatch.chdir(tmp_path / "[1]")
        with pytest.raises(InputError, match=r"^--output_dir=run: TensorFlow cannot read"):
            check_tensorflow_path("run", "output_dir")


class TestCheckInputFile:
    def test_good_file(self, tmp_path):
        name = write(tmp_path / "vocab.txt")
        assert check_input_file(name, "vocab_file") == name

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"^--vocab_file=.*/vocab\.txt: no such file$"):
            check_input_file(str(tmp_path / "vocab.txt"), "vocab_file")

    def test_directory(self, tmp_path):
        expected = r"^--input_file=.*: is a directory; name a file, or a pattern such as '.*/\*'$"
        with pytest.raises(InputError, match=expected):
            check_input_file(str(tmp_path), "input_file")

    def test_empty(self, tmp_path):
        with pytest.raises(InputError, match="is an empty file"):
            check_input_file(write(tmp_path / "a.txt", ""), "input_file")


class TestRemoteFiles:
    """TensorFlow's in-memory file system serves as a remote one."""

    @pytest.fixture
    def names(self):
        names = ["ram://remote/b.txt", "ram://remote/a.txt"]
        tf.io.gfile.makedirs("ram://remote")
        for name in names:
            tf.io.gfile.GFile(name, "w").write(f"text of {name}")
        yield names
        tf.io.gfile.rmtree("ram://remote")

    def test_are_found_sized_and_read(self, names):
        assert input_files("ram://remote/*.txt", "input_file") == names[::-1]
        assert file_size(names[0]) == 26
        assert file_version(names[0]) == file_version(names[0])
        with open_input(names[0]) as file:
            file.seek(8)
            assert file.read() == b"ram://remote/b.txt"

    def test_that_are_missing_or_empty_are_named(self, names):
        with pytest.raises(InputError, match=r"--input_file=ram://remote/\*\.gz: no file matches"):
            input_files("ram://remote/*.gz", "input_file")
        with pytest.raises(InputError, match=r"--input_file=nowhere://remote/a: cannot be read"):
            input_files("nowhere://remote/a", "input_file")
        tf.io.gfile.GFile("ram://remote/c.txt", "w").write("")
        with pytest.raises(InputError, match=r"--input_file=ram://remote/c\.txt: is an empty file"):
            input_files("ram://remote/*", "input_file")

    def test_queries(self, names):
        assert exists(names[0]) and is_file(names[0]) and not is_directory(names[0])
        assert is_directory("ram://remote") and not is_file("ram://remote")
        assert not exists("ram://remote/c.txt") and not is_file("ram://remote/c.txt")
        assert list_directory("ram://remote") == ["a.txt", "b.txt"]
        assert read_bytes(names[1]) == b"text of ram://remote/a.txt"
