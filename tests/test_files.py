"""Files are written whole or not at all, and inputs are checked before anything is done with them."""

import os

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError, describe_os_error
from ambert_tf.files import (
    atomic_path,
    check_input_file,
    file_size,
    file_version,
    input_files,
    make_directory,
    open_input,
)


def listing(directory):
    return sorted(os.listdir(directory))


def write(path, text="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


class TestAtomicPath:
    def test_file_appears_under_its_name_at_the_end_only(self, tmp_path):
        path = tmp_path / "made" / "on the way" / "data.txt.gz"
        with atomic_path(str(path)) as temporary:
            assert os.path.dirname(temporary) == str(path.parent)
            assert temporary.endswith(".gz")
            with open(temporary, "w") as file:
                file.write("new")
            assert not path.exists()
        assert path.read_text() == "new"
        assert listing(path.parent) == ["data.txt.gz"]

    def test_failure_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = tmp_path / "data.txt"
        path.write_text("old")
        with pytest.raises(ZeroDivisionError), atomic_path(str(path)) as temporary:
            with open(temporary, "w") as file:
                file.write("half")
            raise ZeroDivisionError
        assert path.read_text() == "old"
        assert listing(tmp_path) == ["data.txt"]

    def test_interruption_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), atomic_path(str(tmp_path / "model")) as temporary:
            os.makedirs(os.path.join(temporary, "variables"))
            raise KeyboardInterrupt
        assert listing(tmp_path) == []

    @pytest.mark.parametrize("ending", ["", "/"])
    def test_directory_replaces_the_one_that_is_there(self, tmp_path, ending):
        write(tmp_path / "model" / "old.txt")
        with atomic_path(str(tmp_path / "model") + ending) as temporary:
            os.mkdir(temporary)
            write(tmp_path / temporary / "new.txt")
            assert listing(tmp_path / "model") == ["old.txt"]
        assert listing(tmp_path) == ["model"]
        assert listing(tmp_path / "model") == ["new.txt"]

    def test_relative_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with atomic_path("data.txt") as temporary, open(temporary, "w") as file:
            file.write("new")
        assert listing(tmp_path) == ["data.txt"]

    def test_file_in_place_of_a_directory(self, tmp_path):
        (tmp_path / "out").mkdir()
        expected = pytest.raises(InputError, match=r"/out: is a directory where a file is to be written$")
        with expected, atomic_path(str(tmp_path / "out")) as temporary, open(temporary, "w") as file:
            file.write("new")
        assert listing(tmp_path) == ["out"]

    def test_directory_in_place_of_a_file(self, tmp_path):
        write(tmp_path / "out", "old")
        expected = pytest.raises(InputError, match=r"/out: is a file where a directory is to be written$")
        with expected, atomic_path(str(tmp_path / "out")) as temporary:
            os.mkdir(temporary)
        assert (tmp_path / "out").read_text() == "old"
        assert listing(tmp_path) == ["out"]

    def test_parent_that_is_a_file(self, tmp_path):
        write(tmp_path / "out")
        with pytest.raises(InputError, match="/out"), atomic_path(str(tmp_path / "out" / "data.txt")):
            pass

    def test_full_disk_names_the_file_that_was_asked_for(self, tmp_path):
        path = str(tmp_path / "data.txt")
        with pytest.raises(OSError) as caught, atomic_path(path), open("/dev/full", "w") as device:
            device.write("text")
        assert describe_os_error(caught.value).startswith(f"{path}: no space left on the device;")

    def test_system_error_names_the_file_that_was_asked_for(self, tmp_path):
        path = str(tmp_path / "data.txt")
        with pytest.raises(FileNotFoundError) as caught, atomic_path(path) as temporary:
            os.stat(temporary)
        assert describe_os_error(caught.value) == f"{path}: No such file or directory"


class TestMakeDirectory:
    def test_makes_parents_and_accepts_what_exists(self, tmp_path):
        for _ in range(2):
            make_directory(str(tmp_path / "a" / "b"))
        assert (tmp_path / "a" / "b").is_dir()

    def test_file_in_its_place(self, tmp_path):
        name = write(tmp_path / "out")
        with pytest.raises(InputError, match="is a file where a directory is needed"):
            make_directory(name)
        with pytest.raises(InputError, match=r"out/below: cannot make this directory \(Not a directory\)"):
            make_directory(name + "/below")


class TestInputFiles:
    def test_names_and_patterns_each_file_once_in_order(self, tmp_path):
        b = write(tmp_path / "b.txt")
        a = write(tmp_path / "a.txt")
        c = write(tmp_path / "deep" / "er" / "c.txt.gz")
        assert input_files(f"{tmp_path}/*.txt, {b},{tmp_path}/**/*.gz", "input_file") == [a, b, c]

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
        with pytest.raises(InputError, match=r"^--input_file: no file is named; give a file name"):
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
    """TensorFlow's file system in memory stands for remote ones."""

    @pytest.fixture
    def names(self):
        names = ["ram://remote/b.txt", "ram://remote/a.txt"]
        for name in names:
            tf.io.gfile.GFile(name, "w").write(f"text of {name}")
        yield names
        for name in tf.io.gfile.glob("ram://remote/*"):
            tf.io.gfile.remove(name)

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
