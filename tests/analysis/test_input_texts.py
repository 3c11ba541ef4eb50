import gzip

import pytest
import tensorflow as tf

from ambert_tf.analysis.analysis_settings import TextSettings
from ambert_tf.analysis.input_texts import given_texts, read_texts, sample
from ambert_tf.errors import InputError


def test_read_texts_from_lines_json_fields_and_table_columns(tmp_path):
    (tmp_path / "plain.txt").write_text("一\n\n 二 \r\n", encoding="utf-8")
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress("三\n".encode()))
    (tmp_path / "records.json").write_text('{"sentence": "四", "label": 1}\n', encoding="utf-8")
    (tmp_path / "table.tsv").write_text('index\tsentence\n0\t"五\n', encoding="utf-8")
    assert list(read_texts([str(tmp_path / "plain.txt"), str(tmp_path / "packed.txt.gz")])) == ["一", "二", "三"]
    assert list(read_texts([str(tmp_path / "records.json")], "sentence")) == ["四"]
    assert list(read_texts([str(tmp_path / "table.tsv")], "sentence")) == ['"五']
    (tmp_path / "long.csv").write_text(f"id,sentence\n1,{'长' * 140_000}\n", encoding="utf-8")
    assert list(read_texts([str(tmp_path / "long.csv")], "sentence")) == ["长" * 140_000]


def test_remote_files():
    for name, content in (("a.txt", "一\n二\n".encode()), ("b.txt.gz", gzip.compress("三\n".encode()))):
        with tf.io.gfile.GFile(f"ram://texts-{name}", "wb") as file:
            file.write(content)
    files = "ram://texts-a.txt,ram://texts-b.txt.gz"
    assert given_texts(TextSettings(input_file=files, max_texts=5)) == ["一", "二", "三"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1]\n", "a.json, line 1: not a JSON object"),
        ("a.json", b'{"a": "b"}\n\n{"b": 1}\n', "a.json, line 1: no string under 'sentence'; the keys are a"),
        ("a.csv", b"x,y\n1,2\n", "--text_field=sentence: .*a.csv has no such column; it has x, y"),
        ("a.tsv", b"label\tsentence\n1\tok\n0\n", "a.tsv, line 3: has no column sentence; the row is too short"),
        ("a.json.gz", b"no gzip", "damaged gzip file"),
        # mtime=0, because the test id contains these bytes and xdist needs the same ids in all workers.
        ("a.json.gz", gzip.compress(b'{"a": "b"}\n', mtime=0)[:10] + b"\xff" * 20, "damaged gzip file"),
    ],
)
def test_invalid_files_are_errors(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_texts([str(tmp_path / name)], "sentence"))


def test_sample_keeps_order_and_depends_on_the_seed():
    texts = [str(number) for number in range(100)]
    drawn = sample(iter(texts), 10, seed=1)
    assert len(drawn) == 10 and drawn == sorted(drawn, key=int) and drawn == sample(texts, 10, seed=1)
    assert drawn != sample(texts, 10, seed=2)
    assert sample(texts, 200, seed=1) == texts


def test_either_texts_or_files_are_given():
    assert given_texts(TextSettings(text=("好",))) == ["好"]
    for texts, pattern in (([], ""), (["好"], "x")):
        with pytest.raises(InputError, match="exactly one of --text"):
            given_texts(TextSettings(text=tuple(texts), input_file=pattern))
