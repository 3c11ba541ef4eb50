import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import read_json_lines


def write(tmp_path, content):
    path = tmp_path / "train.json"
    path.write_bytes(content)
    return str(path)


def read(path):
    return [(record.line, record.content) for record in read_json_lines(path, "train_file")]


def test_reads_objects_with_their_line_numbers_and_skips_empty_lines(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": "\xe4\xb8\xad"}')
    assert read(path) == [(1, {"a": 1}), (3, {"a": "中"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is an empty file"),
        (b"\n\n", "has no records, only empty lines"),
        (b'{"a": 1}\n{"a": \n', r"train.json, line 2: is not JSON .* one JSON object per line is expected"),
        (b'{"a": 1}\n[1, 2]\n', r"train.json, line 2: is \[1, 2\], not a JSON object"),
        (b'{"a": "\xd6\xd0"}\n', "train.json, line 1: is not UTF-8"),
        ('{"a": 1}\n'.encode("utf-16"), "train.json: is UTF-16, not UTF-8; save it as UTF-8"),
        (
            b'{"a": 1}\n{"b": [{"c": "\\ud83d"}]}\n',
            r"line 2: is not JSON \(it contains the lone surrogate \\ud83d",
        ),
        (b'{"\\uDE00": 1}', r"line 1: is not JSON \(it contains the lone surrogate \\ude00"),
        (b'{"a": ' + b"1" * 5000 + b"}", r"line 1: is not JSON \(Exceeds the limit"),
        (b"[" * 100_000, "train.json, line 1: is not JSON"),
    ],
)
def test_errors_name_file_and_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, content))


def test_a_missing_file_and_a_directory_are_errors(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(str(tmp_path / "none.json"))
    with pytest.raises(InputError, match="is a directory"):
        read(str(tmp_path))


class TestRecord:
    def record(self, tmp_path, content):
        return next(read_json_lines(write(tmp_path, content), "train_file"))

    def test_string(self, tmp_path):
        record = self.record(tmp_path, b'{"sentence": "", "n": 5}')
        assert record.string("sentence") == ""
        assert record.string("keywords", default="") == ""
        with pytest.raises(InputError, match=r"line 1: the key 'text' is missing; the keys are 'sentence', 'n'"):
            record.string("text")
        with pytest.raises(InputError, match="line 1: 'n' is 5; it must be a string"):
            record.string("n")

    def test_name_takes_whole_numbers_as_fewclue_writes_labels(self, tmp_path):
        record = self.record(tmp_path, b'{"a": 110, "b": "110", "c": 1.5, "d": true}')
        assert [record.name(key) for key in "abde"] == ["110", "110", "true", None]
        with pytest.raises(InputError, match=r"line 1: 'c' is 1\.5; it must be a string or an integer"):
            record.name("c")
        with pytest.raises(InputError, match=r"line 1: 'c' is Infinity"):
            self.record(tmp_path, b'{"c": Infinity}').name("c")

    def test_a_whole_surrogate_pair_is_a_character(self, tmp_path):
        assert self.record(tmp_path, b'{"s": "\\ud83d\\ude00"}').string("s") == "\U0001f600"


def test_lines_may_end_in_cr(tmp_path):
    assert read(write(tmp_path, b'{"a": 1}\r{"a": 2}\r\r{"a": 3}')) == [(1, {"a": 1}), (2, {"a": 2}), (4, {"a": 3})]
