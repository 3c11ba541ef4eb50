import contextlib
import functools
import gzip
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.create import create_pretraining_data
from ambert_tf.pretraining_data.creation_settings import CreationSettings, InspectionSettings
from ambert_tf.pretraining_data.dataset import pretraining_dataset
from ambert_tf.pretraining_data.examples import decode_example
from ambert_tf.pretraining_data.inspect_records import print_records
from ambert_tf.pretraining_data.masking import MaskingSettings
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from tests.tokenizers import CHINESE_WORDS, chinese_tokenizer, english_tokenizer

PROJECT = pathlib.Path(__file__).parents[2]
WORDS = [*CHINESE_WORDS, "，", "a", "phone8", "the"]


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("create") / "tokenizer"
    chinese_tokenizer().save(str(directory))
    return str(directory)


def make_corpus(documents, seed=0, sentences=8):
    randomness = random.Random(seed)
    lines = []
    for _ in range(documents):
        for _ in range(randomness.randint(2, sentences)):
            lines.append("".join(randomness.choices(WORDS, k=randomness.randint(2, 15))) + "。")
        lines.append("")
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_bytes(make_corpus(60))
    return str(path)


@pytest.fixture(scope="module")
def create_in(tokenizer_dir, corpus):
    """Returns a function that creates data from `corpus` in a directory, with the given settings."""

    def run(directory, name="records", **settings):
        options = CreationSettings(
            **{
                "input_file": corpus,
                "output_file": str(directory / name),
                "tokenizer_dir": tokenizer_dir,
                "max_seq_length": 32,
                "short_seq_prob": 0.3,
                "dupe_factor": 1,
                "num_workers": 1,
                **settings,
            }
        )
        return create_pretraining_data(options)

    return run


@pytest.fixture
def create(tmp_path, create_in):
    """Returns a function that creates data from `corpus` in tmp_path/out."""
    return functools.partial(create_in, tmp_path / "out")


@pytest.fixture(scope="module")
def static(tmp_path_factory, create_in):
    """Data with default settings: its path, the return value of `create_pretraining_data`, and the records."""
    directory = tmp_path_factory.mktemp("static")
    stats = create_in(directory)
    return directory / "records", stats, read_records(directory / "records")


def read_records(*paths, compression=""):
    return [
        decode_example(record.numpy()) for path in paths for record in tf.data.TFRecordDataset(str(path), compression)
    ]


def contents(directory):
    """Returns the shards in a directory, by name."""
    others = ("stats.json", "tokenizer")
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name not in others}


def fine_text(record):
    """Returns the fine ids of a record without [CLS] and [SEP], as they were before masking."""
    ids = list(record["fine_input_ids"])
    for position, original in zip(
        record.get("fine_masked_lm_positions", ()), record.get("fine_masked_lm_ids", ()), strict=True
    ):
        ids[position] = original
    return [token for token in ids if token not in (2, 3)]


class TestRecords:
    def test_contain_the_whole_corpus(self, static, corpus):
        _, stats, records = static
        with open(corpus, encoding="utf-8") as file:
            lines = file.read().split()
        expected = chinese_tokenizer()(tf.constant(lines)).fine_ids.flat_values.numpy().tolist()
        found = [token for record in records for token in fine_text(record)]
        assert sorted(found) == sorted(expected)
        assert found != expected  # shuffled

        assert stats["documents"] == 60
        assert stats["sequences"] == len(records)
        assert stats["fine_tokens"] == len(expected)
        assert stats["coarse_tokens"] == sum(len(record["coarse_input_ids"]) - 2 for record in records)
        for grain in ("fine", "coarse"):
            masked = sum(len(record[f"{grain}_masked_lm_ids"]) for record in records)
            assert stats[f"{grain}_masked_tokens"] == masked > 0

    def test_are_those_of_the_design(self, static):
        _, _, (record, *_) = static
        assert sorted(record) == [
            "coarse_input_ids",
            "coarse_masked_lm_ids",
            "coarse_masked_lm_positions",
            "coarse_segment_ids",
            "fine_input_ids",
            "fine_masked_lm_ids",
            "fine_masked_lm_positions",
            "fine_segment_ids",
            "fine_to_coarse",
        ]
        for grain in ("fine", "coarse"):
            assert record[f"{grain}_input_ids"][0] == 2 and record[f"{grain}_input_ids"][-1] == 3
            assert len(record[f"{grain}_input_ids"]) == len(record[f"{grain}_segment_ids"]) <= 32
        assert record["fine_to_coarse"][0] == 0
        assert record["fine_to_coarse"][-1] == len(record["coarse_input_ids"]) - 1

    def test_of_dynamic_masking_contain_the_unmasked_text_and_are_masked_when_read(self, create, static, tmp_path):
        create("dynamic", masking="dynamic")
        dynamic = read_records(tmp_path / "out" / "dynamic")
        assert sorted(dynamic[0]) == [
            "coarse_input_ids", "coarse_segment_ids", "fine_input_ids", "fine_segment_ids", "fine_to_coarse",
        ]  # fmt: skip
        assert [fine_text(record) for record in dynamic] == [fine_text(record) for record in static[2]]

        masking = MaskingSettings.for_tokenizer(chinese_tokenizer(), max_seq_length=32)
        dataset = pretraining_dataset(
            [str(tmp_path / "out" / "dynamic")], batch_size=1000, num_epochs=1, shuffle_buffer=0, masking=masking
        )
        batch = {name: value.numpy() for name, value in next(iter(dataset)).items()}
        for row, record in enumerate(dynamic):
            ids = batch["fine_input_ids"][row].copy()
            count = int(batch["fine_masked_lm_weights"][row].sum())
            assert count
            ids[batch["fine_masked_lm_positions"][row][:count]] = batch["fine_masked_lm_ids"][row][:count]
            assert ids[: len(record["fine_input_ids"])].tolist() == record["fine_input_ids"]

    def test_of_next_sentence_prediction_have_segments_and_labels(self, create, tmp_path):
        stats = create(do_nsp=True)
        records = read_records(tmp_path / "out" / "records")
        labels = [label for record in records for label in record["next_sentence_label"]]
        assert set(labels) == {0, 1} and len(labels) == len(records)
        assert stats["random_next_sentences"] == sum(labels)
        for record in records:
            for grain in ("fine", "coarse"):
                ids, segments = record[f"{grain}_input_ids"], record[f"{grain}_segment_ids"]
                first_sep = segments.index(1) - 1
                assert segments == [0] * (first_sep + 1) + [1] * (len(ids) - first_sep - 1)
                assert first_sep > 1 and len(ids) - first_sep > 2

    def test_of_each_pass_are_packed_and_masked_anew(self, create, static, tmp_path):
        _, once, first = static
        thrice = create(dupe_factor=3)
        assert thrice["fine_tokens"] == 3 * once["fine_tokens"]
        records = read_records(tmp_path / "out" / "records")
        assert len({tuple(fine_text(record)) for record in records}) > 1.5 * once["sequences"]
        assert [record for record in first if record not in records] == []

    def test_keep_the_coarse_limit(self, create, tmp_path):
        create(max_coarse_seq_length=10)
        lengths = [len(record["coarse_input_ids"]) for record in read_records(tmp_path / "out" / "records")]
        assert max(lengths) == 10

    def test_keep_the_limits_of_masked_tokens(self, create, tmp_path):
        create(masked_lm_prob=0.5, max_predictions_per_seq=5, max_coarse_predictions_per_seq=2)
        records = read_records(tmp_path / "out" / "records")
        assert max(len(record["fine_masked_lm_ids"]) for record in records) == 5
        assert max(len(record["coarse_masked_lm_ids"]) for record in records) == 2


class TestFiles:
    def test_of_several_shards_are_numbered_and_divide_the_records(self, create, static, tmp_path):
        create("many", num_shards=3, compression="gzip")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            "many-00000-of-00003", "many-00001-of-00003", "many-00002-of-00003", "stats.json", "tokenizer",
        ]  # fmt: skip
        parts = [read_records(tmp_path / "out" / f"many-0000{part}-of-00003", compression="GZIP") for part in range(3)]
        assert min(map(len, parts)) > 0
        # The order of all records does not depend on the number of files.
        assert [record for part in parts for record in part] == static[2]

    def test_are_the_same_for_the_same_seed_only(self, create_in, static, tmp_path):
        create_in(tmp_path / "same")
        create_in(tmp_path / "other", random_seed=2)
        files = [(tmp_path / name / "records").read_bytes() for name in ("same", "other")]
        assert files[0] == static[0].read_bytes() != files[1]

    def test_come_with_stats(self, static, corpus):
        path, stats, _ = static
        with open(path.parent / "stats.json", encoding="utf-8") as file:
            assert json.load(file) == json.loads(json.dumps(stats))
        assert stats["files"] == {path.name: path.stat().st_size}
        assert stats["seed"] == 12345
        assert stats["tokenizer_fingerprint"] == chinese_tokenizer().fingerprint
        assert stats["arguments"]["max_seq_length"] == 32
        assert stats["text_bytes"] == os.path.getsize(corpus)
        assert stats["masking"] == "static"
        # 14 of the 24 words are coarse tokens of several characters.
        assert 0.3 < stats["share_of_coarse_tokens_of_several_fine"] < 0.7

    def test_of_a_compressed_corpus_are_the_same(self, create, static, tmp_path, corpus):
        packed = tmp_path / "corpus.gz"
        with open(corpus, "rb") as file:
            packed.write_bytes(gzip.compress(file.read()))
        create(input_file=str(packed))
        assert contents(tmp_path / "out") == {"records": static[0].read_bytes()}

    def test_that_cannot_be_written_are_removed(self, create, tmp_path):
        with limited_file_size(10_000), pytest.raises(InputError, match=r"out/.*: the file is larger than"):
            create()
        assert list((tmp_path / "out").iterdir()) == []

    def test_come_with_the_tokenizer(self, create, static, tmp_path, tokenizer_dir):
        found = MultiGrainedTokenizer.load(str(static[0].parent / "tokenizer"))
        assert found.fingerprint == MultiGrainedTokenizer.load(tokenizer_dir).fingerprint
        other = tmp_path / "out" / "tokenizer"
        english_tokenizer().save(str(other))
        with pytest.raises(InputError, match=r"^--output_file=.*: .*/out/tokenizer, which belongs to other records"):
            create()
        (other / "tokenizer.json").write_text("{}")
        with pytest.raises(InputError, match=r"^--output_file=.*: .*/out/tokenizer is not a tokenizer \(.*; write the"):
            create()
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["tokenizer"]

    def test_count_what_was_not_used(self, create, tmp_path):
        path = tmp_path / "corpus.txt"
        path.write_bytes("了\n\n商店里的乒乓球拍\n\n好\n\n中国人民\n".encode() + b"\xff\xe4\n")
        stats = create(input_file=str(path), errors="replace")
        assert (stats["documents"], stats["documents_too_short"], stats["lines_replaced"]) == (4, 2, 1)
        assert stats["sequences"] == 2


@contextlib.contextmanager
def limited_file_size(size):
    """Makes writes beyond a size limit fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestErrors:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"max_seq_length": 7}, "--max_seq_length=7: must be at least 8"),
            ({"max_coarse_seq_length": 2}, "--max_coarse_seq_length=2: must be at least 8"),
            ({"masked_lm_prob": 15.0}, r"--masked_lm_prob=15.0: must be between 0 and 1, such as 0\.15"),
            ({"short_seq_prob": -0.1}, "--short_seq_prob=-0.1: must be between 0 and 1"),
            ({"num_shards": 0}, "--num_shards=0: must be at least 1"),
            ({"masking": "none"}, "--masking=none: must be one of static, dynamic"),
            ({"tokenizer_dir": "/nowhere"}, "--tokenizer_dir=/nowhere: no such directory"),
            ({"output_file": "/"}, "--output_file=/: is a directory"),
            ({"output_file": "records/"}, "--output_file=records/: is a directory; name a file in it"),
        ],
    )
    def test_of_flags(self, create, tmp_path, settings, message):
        with pytest.raises(InputError, match=message):
            create(**settings)
        assert not (tmp_path / "out").exists()

    def test_of_the_corpus_leave_no_files(self, create, tmp_path):
        path = tmp_path / "corpus.txt"
        path.write_bytes(make_corpus(5) + b"caf\xe9\n")
        lines = path.read_bytes().count(b"\n")
        with pytest.raises(InputError, match=rf"corpus\.txt: line {lines} is not UTF-8"):
            create(input_file=str(path))
        path.write_bytes("了\n".encode())
        with pytest.raises(InputError, match=r"corpus\.txt: contains no usable document"):
            create(input_file=str(path))
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_coarse_token_that_does_not_fit(self, create):
        with pytest.raises(InputError, match="--max_seq_length=8: too short for a coarse token of 4 fine tokens"):
            create(max_seq_length=8, do_nsp=True)

    def test_shards_of_another_run_are_not_mixed_with_ours(self, create, tmp_path):
        create(num_shards=2)
        before = contents(tmp_path / "out")
        with pytest.raises(InputError, match="records-00000-of-00002 is a shard of another run"):
            create(num_shards=3)
        with pytest.raises(InputError, match="records-00000-of-00002 is a shard of another run"):
            create(num_shards=1)
        # Training would read both with the settings in one stats.json.
        with pytest.raises(InputError, match=r"stats.json describes other records \(records-00000-of-00002\)"):
            create(name="others")
        assert contents(tmp_path / "out") == before
        create(num_shards=2)
        assert contents(tmp_path / "out") == before

    def test_a_file_is_not_mixed_with_shards_of_the_same_name(self, create):
        create()
        with pytest.raises(InputError, match="records is a shard of another run"):
            create(num_shards=2)

    def test_the_corpus_is_not_replaced(self, create_in, tmp_path):
        corpus = tmp_path / "corpus.txt"
        corpus.write_bytes(make_corpus(3))
        before = corpus.read_bytes()
        with pytest.raises(InputError, match=r"--output_file: would replace .*corpus.txt, which --input_file="):
            create_in(tmp_path, "corpus.txt", input_file=f"{tmp_path}/../{tmp_path.name}/*.txt")
        assert corpus.read_bytes() == before

    def test_a_pipe_is_named(self, create, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match=r"--input_file=.*pipe: is a pipe or a device; it is read twice"):
            create(input_file=str(tmp_path / "pipe"))


def start(script, *arguments, **settings):
    """Starts one of the programs in data/."""
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "data" / script), *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        text=True,
        **settings,
    )


def test_a_killed_run_resumes_with_other_workers_and_writes_the_same_files(create_in, tmp_path, tokenizer_dir):
    # Each compressed file is a separate unit.
    paths = [tmp_path / f"corpus-{part:02d}.gz" for part in range(24)]
    for seed, path in enumerate(paths):
        path.write_bytes(gzip.compress(make_corpus(200, seed)))
    settings = {"input_file": ",".join(map(str, paths)), "num_shards": 2, "short_seq_prob": 0.3}
    create_in(tmp_path / "undisturbed", **settings)

    killed = tmp_path / "killed"
    work = killed / ".records.unfinished"
    flags = {
        "input_file": settings["input_file"], "output_file": killed / "records",
        "tokenizer_dir": tokenizer_dir, "num_shards": 2, "short_seq_prob": 0.3, "max_seq_length": 32,
        "dupe_factor": 1, "num_workers": 1,
    }  # fmt: skip
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    with start("create_pretraining_data.py", *arguments, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(work.glob("unit-*")):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finished = sorted(unit.name for unit in work.glob("unit-*"))
    assert 1 <= len(finished) < 24

    with pytest.raises(InputError, match="--resume: the interrupted run had random_seed=12345, but this one has 1"):
        create_in(killed, **settings, resume=True, random_seed=1)
    create_in(killed, **settings, resume=True, num_workers=2)
    assert contents(killed) == contents(tmp_path / "undisturbed")
    assert not work.exists()


def test_the_first_examples_are_shown(create, capsys):
    create(do_nsp=True)
    shown = capsys.readouterr().err
    assert [f"example {number}: " in shown for number in range(4)] == [True] * 2 + [False] * 2
    assert "segment" in shown
    assert "→[MASK]}" in shown


def test_records_are_printed_with_both_grains_aligned(static, tokenizer_dir, capsys):
    path = str(static[0])
    print_records(InspectionSettings(input_file=(path,), first_record=1, num_records=2))
    shown = capsys.readouterr().out
    assert f"{path} record 1: " in shown and f"{path} record 2: " in shown and "record 3" not in shown
    record = static[2][1]
    lines = shown.split("\n\n")[0].splitlines()
    assert len(lines) == 1 + len(record["coarse_input_ids"])
    assert lines[1].split() == ["0", "A", "[CLS]", "[CLS]"]
    print_records(InspectionSettings(input_file=(path,)))
    assert capsys.readouterr().out.count(f"{path} record ") == 3
    with pytest.raises(InputError, match=r"--first_record=1000000: there are only \d+ records"):
        print_records(InspectionSettings(input_file=(path,), first_record=10**6, table=False))


def test_the_program_names_what_is_wrong(tokenizer_dir, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.write_text("no records")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = start("inspect_records.py", str(foreign), f"--tokenizer_dir={tokenizer_dir}", **pipes)
    nothing, errors = program.communicate()
    assert program.returncode == 1
    assert nothing == ""
    message = "record 0 is damaged or truncated, at byte 0; recreate the file"
    assert errors.splitlines()[-1] == f"error: {foreign}: {message}"
    assert "Traceback" not in errors
