"""Divides corpora into units of work of about a megabyte of whole documents, the same for every reader.

Corpora have BERT's format: UTF-8, one sentence per line, an empty line between documents. The end of a file ends its
last document. A byte-order mark and CRLF are tolerated. A line of white space counts as empty.

A file is divided into windows of `UNIT_BYTES`. Unit k contains the documents that start in window k, so a worker can
read its unit without reading the file from the start. To bound memory, a document that fills a whole window is split at
the first line of the window, and a line that fills a whole window is split as well. Consecutive small files share a
unit.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from ambert_tf.corpus.sources import Readable, flag_of, is_stream, open_source, source_size
from ambert_tf.errors import InputError
from ambert_tf.files import open_input

UNIT_BYTES = 1 << 20

# The white space of str.strip(), in UTF-8.
_SPACE = (
    rb"(?:[\t\x0b\x0c\r\x1c-\x1f ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]"
    rb"|\xe2\x81\x9f|\xe3\x80\x80)"
)
_BLANK = re.compile(_SPACE + rb"+")
_BLANK_LINES = re.compile(rb"\n(?:" + _SPACE + rb"*\n)+")
# Number of bytes before a window that are searched for an empty line.
_CONTEXT_BYTES = 4096
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def usable_cores() -> int:
    """Returns the number of cores that this process may use, which a batch system may limit."""
    return len(os.sched_getaffinity(0))


@dataclasses.dataclass(frozen=True)
class Text:
    """A piece of a file.

    Attributes:
      name: the file.
      offset: byte offset of the piece in the (uncompressed) file.
      content: the piece.
      within_document: whether it starts in the middle of a document that was split.
    """

    name: str
    offset: int
    content: bytes
    within_document: bool = False


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit of work, identified by (`file`, `window`) in a list of files.

    Attributes:
      file: index of its (first) file.
      window: index of its window in the file.
      names: its file, or several small files that it contains entirely.
      size_bytes: size of its part of the input, for the progress bar.
      text: its text, if it has already been read, as for a stream.
    """

    file: int
    window: int
    names: tuple[str, ...]
    size_bytes: int
    text: Text | None = None


@dataclasses.dataclass(frozen=True)
class Documents:
    """The documents of a unit.

    Attributes:
      sentences: the non-empty lines of all documents.
      splits: [documents + 1]. The sentences of document d are sentences[splits[d]:splits[d + 1]].
      lines_replaced: number of lines that were not UTF-8.
      documents_cut: number of documents that start in another unit.
      size_bytes: size of the text.
    """

    sentences: list[bytes]
    splits: list[int]
    lines_replaced: int
    documents_cut: int
    size_bytes: int


def plan_units(files: Sequence[str], unit_bytes: int = UNIT_BYTES) -> Iterator[Unit]:
    """Yields the units of a list of files in order. Streams are read.

    Raises:
      InputError: a stream is damaged.
    """
    for unit in plan_without_reading(files, unit_bytes):
        yield from divide(unit, unit_bytes)


def plan_without_reading(files: Sequence[str], unit_bytes: int = UNIT_BYTES) -> Iterator[Unit]:
    """Yields the units of a list of files in order. A stream is one unit, to be divided by `divide`."""
    small: list[tuple[int, str, int]] = []

    def take_small() -> Iterator[Unit]:
        if small:
            yield Unit(small[0][0], 0, tuple(name for _, name, _ in small), sum(size for _, _, size in small))
            small.clear()

    for number, name in enumerate(files):
        size = source_size(name)
        if is_stream(name):
            yield from take_small()
            yield Unit(number, 0, (name,), size)
        elif size <= unit_bytes:
            if sum(other for _, _, other in small) + size > unit_bytes:
                yield from take_small()
            small.append((number, name, size))
        else:
            yield from take_small()
            for window in range(-(-size // unit_bytes)):
                yield Unit(number, window, (name,), min(unit_bytes, size - window * unit_bytes))
    yield from take_small()


def divide(unit: Unit, unit_bytes: int = UNIT_BYTES) -> Iterator[Unit]:
    """Yields the units of a stream with their text. Any other unit is yielded unchanged.

    Raises:
      InputError: the stream is damaged.
    """
    if unit.text is None and is_stream(unit.names[0]):
        yield from _stream_units(unit.file, unit.names[0], unit_bytes)
    else:
        yield unit


def _stream_units(number: int, name: str, unit_bytes: int) -> Iterator[Unit]:
    with open_source(name) as (stream, consumed):
        before = 0
        for window, text in _cut(name, _windows(stream, unit_bytes, 0), b"", unit_bytes):
            yield Unit(number, window, (name,), consumed() - before, text)
            before = consumed()


def read_unit(unit: Unit, unit_bytes: int = UNIT_BYTES) -> list[Text]:
    """Returns the texts of a unit, one per file."""
    if unit.text is not None:
        return [unit.text]
    if len(unit.names) > 1:
        return [_read_file(name) for name in unit.names]
    name = unit.names[0]
    with open_input(name) as stream:
        start = unit.window * unit_bytes
        stream.seek(max(0, start - _CONTEXT_BYTES))
        context = stream.read(start - stream.tell())
        windows = _windows(stream, unit_bytes, unit.window)
        for window, text in _cut(name, windows, context, unit_bytes):
            return [text] if window == unit.window else []
    return []


def _read_file(name: str) -> Text:
    with open_input(name) as stream:
        return Text(name, 0, stream.read())


def _windows(stream: Readable, unit_bytes: int, first: int) -> Iterator[tuple[int, bytes]]:
    window = first
    while content := stream.read(unit_bytes):
        yield window, content
        window += 1


def _cut(
    name: str, windows: Iterable[tuple[int, bytes]], context: bytes, unit_bytes: int
) -> Iterator[tuple[int, Text]]:
    """Yields (window, text) for each window in which a unit starts."""
    pieces: list[bytes] = []
    begun: tuple[int, int, bool] | None = None
    for window, content in windows:
        start, within = (0, False) if window == 0 else _window_start(context, content, unit_bytes)
        if start is not None:
            if begun is not None:
                yield begun[0], Text(name, begun[1], b"".join([*pieces, content[:start]]), begun[2])
            begun = window, window * unit_bytes + start, within
            pieces = [content[start:]]
        else:
            pieces.append(content)
        context = content[-_CONTEXT_BYTES:]
    if begun is not None:
        yield begun[0], Text(name, begun[1], b"".join(pieces), begun[2])


def _window_start(context: bytes, content: bytes, unit_bytes: int) -> tuple[int | None, bool]:
    """Returns the offset at which a window's unit starts, or None, and whether that is within a document.

    Args:
      context: the bytes before the window.
      content: the window.
      unit_bytes: the size of a full window.
    """
    data = context + content
    inside = len(content) == unit_bytes
    for match in _BLANK_LINES.finditer(data):
        if len(context) <= match.end() < len(data):
            return match.end() - len(context), False
        inside = inside and match.end() < len(context)
    if not inside:
        return None, False
    newline = data.find(b"\n", len(context) - 1, len(data) - 1)
    if newline >= 0:
        return newline + 1 - len(context), True
    start = 0
    while start < 3 and content[start] & 0xC0 == 0x80:  # inside a UTF-8 character
        start += 1
    return start, True


def split_documents(
    texts: Sequence[Text], errors: str = "strict", advice: str = "convert the file to UTF-8, or use --errors=replace"
) -> Documents:
    """Splits the texts of a unit into documents of sentences.

    Args:
      texts: from `read_unit`.
      errors: for lines that are not UTF-8, "strict" to raise an error, "replace" to insert U+FFFD and count the line.
      advice: the end of the error message. The default is for programs with that flag.

    Raises:
      InputError: a line is not UTF-8.
    """
    sentences: list[bytes] = []
    splits = [0]
    replaced = cut = size = 0
    for text in texts:
        content = text.content
        if text.offset == 0:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        lines = content.split(b"\n")
        try:
            content.decode()
        except UnicodeDecodeError:
            if errors == "strict":
                _raise_not_utf8(text, advice)
            lines, count = _replace_invalid(lines)
            replaced += count
        cut += text.within_document
        size += len(text.content)
        for line in lines:
            line = line.strip()
            if line and not _BLANK.fullmatch(line):
                sentences.append(line)
            elif len(sentences) > splits[-1]:
                splits.append(len(sentences))
        if len(sentences) > splits[-1]:
            splits.append(len(sentences))
    return Documents(sentences, splits, replaced, cut, size)


def _replace_invalid(lines: list[bytes]) -> tuple[list[bytes], int]:
    valid = []
    count = 0
    for line in lines:
        text = line.decode(errors="replace").encode()
        count += text != line
        valid.append(text)
    return valid, count


def _raise_not_utf8(text: Text, advice: str) -> None:
    try:
        text.content.decode()
    except UnicodeDecodeError as error:
        line = line_number(text.name, text.offset + error.start)
        raise InputError(
            f"{flag_of(text.name)}: line {line} is not UTF-8 (byte 0x{text.content[error.start]:02x}); {advice}"
        ) from None


def line_number(name: str, offset: int) -> int:
    """Returns the 1-based number of the line with the byte at `offset` of the (uncompressed) file."""
    line, left = 1, offset
    with open_source(name) as (stream, _):
        while left and (block := stream.read(min(left, 1 << 20))):
            line += block.count(b"\n")
            left -= len(block)
    return line
