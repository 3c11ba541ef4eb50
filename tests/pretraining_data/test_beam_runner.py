import functools
import gzip
import os
import sys

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import list_directory
from ambert_tf.pretraining_data import beam_runner
from ambert_tf.pretraining_data.create import create_pretraining_data
from ambert_tf.pretraining_data.creation_settings import CreationSettings, InspectionSettings
from ambert_tf.pretraining_data.inspect_records import print_records
from ambert_tf.pretraining_data.records import count_records, record_files
from tests.tokenizers import chinese_tokenizer

IN_PROCESS = ("--runner=DirectRunner",)
TWO_WORKERS = ("--runner=DirectRunner,--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A tokenizer, and a corpus of five units: a plain file, and four compressed ones."""
    directory = tmp_path_factory.mktemp("beam")
    chinese_tokenizer().save(str(directory / "tokenizer"))
    names = [str(directory / "corpus-0.txt"), *(str(directory / f"corpus-{part}.gz") for part in range(1, 5))]
    for part, name in enumerate(names):
        content = "".join(f"南京市长江大桥{'好' * (n % 7)}，中国人民。\n\n" for n in range(part, 30 + part)).encode()
        with open(name, "wb") as file:
            file.write(gzip.compress(content) if part else content)
    return {
        "input_file": ",".join(names),
        "tokenizer_dir": str(directory / "tokenizer"),
        "max_seq_length": 32,
        "dupe_factor": 2,
        "short_seq_prob": 0.3,
    }


@pytest.fixture
def create(tmp_path, settings):
    """Returns a function that runs a runner. It returns the files, and the stats without file names."""

    def call(runner, beam_options=(), **changes):
        directory = tmp_path / runner
        given = {**settings, "output_file": str(directory / "x"), "runner": runner, "beam_options": beam_options}
        stats = create_pretraining_data(CreationSettings(**{**given, **changes}))
        shards = {path.name: path.read_bytes() for path in sorted(directory.glob("x*"))}
        assert sorted(path.name for path in directory.iterdir()) == ["stats.json", "tokenizer", *shards]
        del stats["arguments"]
        return shards, stats

    return call


@pytest.mark.parametrize(
    "changes",
    [{"num_shards": 3, "compression": "gzip"}, {"do_nsp": True, "masking": "dynamic", "dupe_factor": 1}],
)
def test_the_files_are_those_of_the_local_runner(create, monkeypatch, changes):
    # So that a shard has several parts.
    monkeypatch.setattr(beam_runner, "_PART_BYTES", 2000)
    expected = create("local", num_workers=1, **changes)
    assert create("beam", IN_PROCESS, **changes) == expected
    assert sum(map(len, expected[0].values())) > 5_000


def test_several_worker_processes_write_the_same_files(create, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    assert create("beam", TWO_WORKERS, num_shards=2) == create("local", num_shards=2, num_workers=1)


def test_shards_without_records_are_written_and_skipped_by_readers(create, tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("中国人民\n", encoding="utf-8")
    # The name of a preset is a tokenizer directory, too.
    changes = {"tokenizer_dir": "ambert_tiny_zh", "num_shards": 4, "dupe_factor": 1}
    shards, stats = create("beam", IN_PROCESS, input_file=str(path), **changes)
    assert stats["sequences"] == 1
    assert sorted(map(bool, shards.values())) == [False, False, False, True]
    pattern = str(tmp_path / "beam" / "x-*")
    (filled,) = record_files(pattern, "input_file")
    assert count_records(filled) == 1
    # Truncation is still an error.
    (tmp_path / "beam" / filled).write_bytes(b"")
    with pytest.raises(InputError, match=r"--input_file=.*x-0000\d-of-00004: is an empty file"):
        record_files(pattern, "input_file")


@pytest.mark.parametrize(("runner", "beam_options"), [("local", ()), ("beam", IN_PROCESS)])
def test_everything_may_be_remote(settings, runner, beam_options, capsys):
    """TensorFlow's in-memory file system serves as a remote one."""
    root = f"ram://{runner}"
    with tf.io.gfile.GFile(f"{root}/in/corpus.txt", "w") as file:
        file.write("中国人民\n")
    chinese_tokenizer().save(f"{root}/in/tokenizer")
    remote = {
        "input_file": f"{root}/in/*.txt", "tokenizer_dir": f"{root}/in/tokenizer", "output_file": f"{root}/out/x",
        "num_shards": 2, "compression": "gzip", "runner": runner, "beam_options": beam_options,
    }  # fmt: skip
    assert create_pretraining_data(CreationSettings(**{**settings, **remote}))["sequences"] == 2
    shards = ["x-00000-of-00002", "x-00001-of-00002"]
    assert list_directory(f"{root}/out") == ["stats.json", "tokenizer", *shards]
    assert sum(count_records(name) for name in record_files(f"{root}/out/x-*", "input_file")) == 2
    print_records(InspectionSettings(input_file=(f"{root}/out/x-*",), num_records=9))
    assert capsys.readouterr().out.count("fine tokens") == 2


def test_errors_of_workers_and_flags_are_one_line_and_leave_no_files(create, tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes("中国人民\n".encode() + b"caf\xe9\n")
    fail = functools.partial(create, "beam", IN_PROCESS)
    with pytest.raises(InputError, match=r"^--input_file=.*corpus\.txt: line 2 is not UTF-8 \(.*--errors=replace$"):
        fail(input_file=str(path))
    path.write_text("了\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"corpus\.txt: contains no usable document"):
        fail(input_file=str(path))
    with pytest.raises(InputError, match=r"--beam_options=--runner=Foo: .*Foo"):
        create("beam", ["--runner=Foo"])
    assert os.listdir(tmp_path / "beam") == []


@pytest.mark.parametrize(
    ("runner", "beam_options", "changes", "message"),
    [
        ("spark", (), {}, "--runner=spark: must be one of local, beam"),
        ("local", ("--runner=X",), {}, "--beam_options=--runner=X: is for --runner=beam"),
        ("beam", (), {"resume": True}, "--resume: is for --runner=local"),
        ("beam", (), {"num_workers": 2}, "--num_workers: is for --runner=local"),
        ("beam", (), {"masked_lm_prob": 15.0}, "--masked_lm_prob=15.0: must be between 0 and 1"),
    ],
)
def test_flags_of_the_other_runner_are_refused(create, tmp_path, runner, beam_options, changes, message):
    with pytest.raises(InputError, match=message):
        create(runner, beam_options, **changes)
    assert list(tmp_path.iterdir()) == []
