"""Files and directories are written atomically."""

import errno
import os
import pathlib

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError, describe_os_error
from ambert_tf.files import list_directory, read_bytes
from ambert_tf.outputs import atomic_path, check_replaceable, check_writable, make_directory


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

    def test_a_link_remains_and_its_target_is_replaced(self, tmp_path):
        write(tmp_path / "disk" / "model" / "old.txt")
        write(tmp_path / "disk" / "data", "old")
        (tmp_path / "model").symlink_to("disk/model")
        (tmp_path / "data.npz").symlink_to("disk/data")
        with atomic_path(str(tmp_path / "model")) as temporary:
            os.mkdir(temporary)
        with atomic_path(str(tmp_path / "data.npz")) as temporary:
            assert temporary.endswith(".npz")
            write(tmp_path / temporary, "new")
        assert (tmp_path / "model").is_symlink() and (tmp_path / "data.npz").is_symlink()
        assert listing(tmp_path / "disk") == ["data", "model"]
        assert listing(tmp_path / "disk" / "model") == []
        assert (tmp_path / "disk" / "data").read_text() == "new"

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
        expected = pytest.raises(InputError, match=rf"^{path}: no space left on device; free up disk space, or choose")
        with expected, atomic_path(path), open("/dev/full", "w") as device:
            device.write("text")

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            # As tf.raw_ops.SaveV2 and safetensors.numpy.save_file raise them.
            (tf.errors.ResourceExhaustedError(None, None, "x.data; No space left on device"), "no space left on "),
            (RuntimeError("Error while serializing: I/O error: File too large (os error 27)"), "the file is larger "),
            (RuntimeError("I/O error: Read-only file system (os error 30)"), "the file system is read-only"),
            (OSError(errno.EDQUOT, "x"), "disk quota exceeded"),
        ],
    )
    def test_failed_writes_of_libraries_become_one_line(self, tmp_path, error, reason):
        path = str(tmp_path / "model")
        with pytest.raises(InputError, match=rf"^{path}: {reason}"), atomic_path(path) as temporary:
            os.mkdir(temporary)
            raise error
        assert listing(tmp_path) == []

    def test_error_of_a_library_about_the_temporary_name(self, tmp_path):
        path = str(tmp_path / "model")
        expected = pytest.raises(InputError, match=rf"^{path}: cannot be written \(Permission denied\)$")
        with expected, atomic_path(path) as temporary:
            raise tf.errors.PermissionDeniedError(None, None, f"{temporary}/x.index; Permission denied")

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
        with pytest.raises(InputError, match=r"out/below: cannot create the directory: Not a directory"):
            make_directory(name + "/below")


class TestCheckWritable:
    def test_directory_that_does_not_exist_yet(self, tmp_path):
        check_writable(str(tmp_path / "a" / "b"), "output_dir")
        assert listing(tmp_path) == []

    def test_file_in_its_place(self, tmp_path):
        name = write(tmp_path / "out")
        with pytest.raises(InputError, match=rf"^--output_dir={name}/a: {name} is a file where a directory is needed$"):
            check_writable(f"{name}/a", "output_dir")

    def test_read_only_file_system(self):
        # Root may write to any directory of a disk, but nobody makes one in /proc.
        with pytest.raises(InputError, match=r"^--output_dir=/proc/1/made: /proc/1 is not writable; choose another"):
            check_writable("/proc/1/made", "output_dir")


class TestCheckReplaceable:
    def test_directory_that_exists_or_not(self, tmp_path):
        check_replaceable(str(tmp_path), "output_dir")
        check_replaceable(str(tmp_path / "a" / "b"), "output_dir")
        check_replaceable("ram://a/b", "output_dir")
        assert listing(tmp_path) == []

    @pytest.mark.parametrize("ending", ["", "/"])
    def test_parent_that_is_not_writable(self, tmp_path, monkeypatch, ending):
        (tmp_path / "parent" / "out").mkdir(parents=True)
        writable = os.access  # Root may write to any directory.
        monkeypatch.setattr(os, "access", lambda path, mode: path != str(tmp_path / "parent") and writable(path, mode))
        name = f"{tmp_path}/parent/out{ending}"
        check_writable(name, "output_dir")
        with pytest.raises(InputError, match=rf"^--output_dir={name}: {tmp_path}/parent is not writable; choose anoth"):
            check_replaceable(name, "output_dir")

    def test_parent_that_is_a_file(self, tmp_path):
        name = write(tmp_path / "out")
        with pytest.raises(InputError, match=rf"^--output_dir={name}/a: {name} is a file where a directory is needed$"):
            check_replaceable(f"{name}/a", "output_dir")

    def test_mount_point(self):
        with pytest.raises(InputError, match=r"^--output_dir=/proc: is a mount point, which cannot be replaced; name"):
            check_replaceable("/proc", "output_dir")


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

    def test_file_is_replaced_on_success_only(self, names):
        with pytest.raises(ZeroDivisionError), atomic_path(names[0]) as temporary:
            with open(temporary, "w") as file:
                file.write("half")
            raise ZeroDivisionError
        assert read_bytes(names[0]) == b"text of ram://remote/b.txt"
        with atomic_path(names[0]) as temporary, open(temporary, "w") as file:
            assert temporary.endswith("b.txt")
            file.write("new")
        assert read_bytes(names[0]) == b"new"
        assert not os.path.exists(os.path.dirname(temporary))

    def test_directory_replaces_the_one_that_is_there(self, names):
        for names_made in (["deep/x", "y"], ["deep/x", "z"]):
            with atomic_path("ram://remote/model/") as temporary:
                for name in names_made:
                    os.makedirs(os.path.dirname(os.path.join(temporary, name)), exist_ok=True)
                    with open(os.path.join(temporary, name), "w") as file:
                        file.write(f"{name} of {names_made}")
        assert list_directory("ram://remote/model") == ["deep", "z"]
        assert read_bytes("ram://remote/model/deep/x") == b"deep/x of ['deep/x', 'z']"

    def test_file_and_directory_do_not_replace_each_other(self, names):
        expected = pytest.raises(InputError, match=r"^ram://remote: is a directory where")
        with expected, atomic_path("ram://remote") as name:
            write(pathlib.Path(name))
        with pytest.raises(InputError, match=r"^ram://remote/a.txt: is a file where"), atomic_path(names[1]) as name:
            os.mkdir(name)
        with pytest.raises(InputError, match=r"^ram://remote/a.txt: is a file where a directory is needed"):
            make_directory(names[1])
