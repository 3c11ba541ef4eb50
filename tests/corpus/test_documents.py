import gzip
from itertools import pairwise

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.corpus.documents import (
    Text,
    divide,
    line_number,
    plan_units,
    plan_without_reading,
    read_unit,
    split_documents,
)
from ambert_tf.errors import InputError


def documents_of(texts, errors="strict"):
    found = split_documents(texts, errors)
    bounds = found.splits
    return [found.sentences[start:end] for start, end in pairwise(bounds)]


def read_all(files, unit_bytes):
    """Returns the documents of all units, each read independently and in random order."""
    units = list(plan_units(files, unit_bytes))
    assert len({(unit.file, unit.window) for unit in units}) == len(units)
    texts = {(unit.file, unit.window): read_unit(unit, unit_bytes) for unit in reversed(units)}
    return [document for identity in sorted(texts) for document in documents_of(texts[identity])]


def write(path, content):
    path.write_bytes(content)
    return str(path)


def test_sentences_are_lines_and_empty_lines_separate_documents():
    text = Text("x", 0, "一 句\n二\n\n\n三\n \t\n四".encode())
    assert documents_of([text]) == [["一 句".encode(), "二".encode()], ["三".encode()], ["四".encode()]]


def test_byte_order_mark_crlf_and_ideographic_spaces_are_tolerated():
    text = Text("x", 0, b"\xef\xbb\xbfone\r\ntwo \r\n\r\nthree\r\n" + "　　\nfour".encode())
    assert documents_of([text]) == [[b"one", b"two"], [b"three"], [b"four"]]


def test_the_end_of_a_file_ends_a_document():
    assert documents_of([Text("x", 0, b"a\nb"), Text("y", 0, b"c\n")]) == [[b"a", b"b"], [b"c"]]


lines = st.sampled_from([b"a", b"bb bb", "中文。".encode(), b"", b"", b" ", b"\r", "　".encode(), b"c" * 30])
files = st.lists(st.tuples(st.lists(lines, max_size=30), st.booleans()), min_size=1, max_size=4)


@settings(deadline=None, max_examples=150)
@given(files, st.integers(40, 120), st.booleans())
def test_units_contain_every_sentence_once_and_in_order(tmp_path_factory, files, unit_bytes, compressed):
    directory = tmp_path_factory.mktemp("corpus")
    contents = [b"\n".join(content) + (b"\n" if ends else b"") for content, ends in files]
    names = []
    for number, content in enumerate(contents):
        if compressed:
            names.append(write(directory / f"{number}.gz", gzip.compress(content)))
        else:
            names.append(write(directory / f"{number}.txt", content))
    expected = documents_of([Text(name, 0, content) for name, content in zip(names, contents, strict=True)])
    found = read_all(names, unit_bytes)
    assert [sentence for document in found for sentence in document] == [s for document in expected for s in document]
    # Documents are split only where they fill a window, and never joined.
    short = [document for document in expected if len(b"\n".join(document)) < unit_bytes / 2]
    remaining = iter(found)
    assert all(document in remaining for document in short)


def test_units_do_not_depend_on_compression(tmp_path):
    content = b"".join(b"%d first\n%d second\n\n" % (number, number) for number in range(500))
    plain = write(tmp_path / "c.txt", content)
    packed = write(tmp_path / "c.gz", gzip.compress(content))
    units = [[(unit.window, read_unit(unit, 1000)) for unit in plan_units([name], 1000)] for name in (plain, packed)]
    texts = [[(window, text.offset, text.content) for window, (text,) in one] for one in units]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 10


def test_small_files_share_a_unit(tmp_path):
    names = [write(tmp_path / f"{number}.txt", b"document %d\n" % number) for number in range(10)]
    units = list(plan_units(names, 50))
    assert [len(unit.names) for unit in units] == [4, 4, 2]
    assert [unit.file for unit in units] == [0, 4, 8]
    assert len(read_all(names, 50)) == 10


def test_a_document_larger_than_a_window_is_cut_at_a_line(tmp_path):
    name = write(tmp_path / "c.txt", b"a short sentence\n" * 100)
    found = [read_unit(unit, 300) for unit in plan_units([name], 300)]
    cut = [split_documents(texts).documents_cut for texts in found]
    assert cut == [0, 1, 1, 1, 1, 0]  # the last window is not full and belongs to the previous unit
    assert {sentence for texts in found for sentence in split_documents(texts).sentences} == {b"a short sentence"}


def test_a_line_larger_than_a_window_is_cut_between_characters(tmp_path):
    content = "中文".encode() * 500
    name = write(tmp_path / "c.txt", content)
    pieces = [split_documents(read_unit(unit, 1000)).sentences for unit in plan_units([name], 1000)]
    assert [len(piece) for piece in pieces] == [1, 1, 1]
    assert b"".join(sentence for piece in pieces for sentence in piece) == content


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    content = "好\n".encode() * 500 + b"\n" + b"ok\nbad \xff here\n"
    for name in (write(tmp_path / "c.txt", content), write(tmp_path / "c.gz", gzip.compress(content))):
        with pytest.raises(
            InputError, match=r"--input_file=.*c\.(txt|gz): line 503 is not UTF-8 \(byte 0xff\); convert"
        ):
            read_all([name], 256)


def test_invalid_utf8_can_be_replaced_and_is_counted():
    found = split_documents([Text("x", 0, b"good\nbad \xff\n\n\xe4\xb8\n")], "replace")
    assert found.sentences == [b"good", "bad �".encode(), "�".encode()]
    assert found.lines_replaced == 2


def test_a_cut_off_gzip_file_is_an_error(tmp_path):
    content = gzip.compress(bytes(range(32, 127)) * 1000)
    for broken in (content[:-20], b"not gzip"):
        with pytest.raises(InputError, match=r"c\.gz: not a gzip file, or damaged or truncated"):
            list(plan_units([write(tmp_path / "c.gz", broken)]))


def test_line_numbers_count_from_one(tmp_path):
    name = write(tmp_path / "c.txt", b"a\nbc\n\nd")
    assert [line_number(name, offset) for offset in range(7)] == [1, 1, 2, 2, 2, 3, 4]


def test_compressed_files_are_planned_without_reading_and_divided_later(tmp_path):
    content = b"a b c\n\n" * 40
    packed = write(tmp_path / "packed.gz", gzip.compress(content))
    names = [write(tmp_path / "plain.txt", content), packed]
    planned = list(plan_without_reading(names, 100))
    assert [(unit.file, unit.window) for unit in planned] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert all(unit.text is None for unit in planned)
    divided = [part for unit in planned for part in divide(unit, 100)]
    assert divided == list(plan_units(names, 100))
    assert [(unit.file, unit.window) for unit in divided][3:] == [(1, 0), (1, 1), (1, 2)]


def test_remote_files_are_read_in_windows():
    """TensorFlow's in-memory file system serves as a remote one."""
    names = ["ram://corpus/plain.txt", "ram://corpus/packed.gz"]
    content = b"a b c\n\n" * 40
    for name, data in zip(names, [content, gzip.compress(content)], strict=True):
        with tf.io.gfile.GFile(name, "wb") as file:
            file.write(data)
    assert read_all(names, 100) == [[b"a b c"]] * 80
