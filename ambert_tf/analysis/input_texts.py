"""Reads the texts to analyse: the lines of a file, or one field of its records."""

import csv
import gzip
import io
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ambert_tf.analysis.analysis_settings import TextSettings
from ambert_tf.errors import InputError
from ambert_tf.files import input_files, local_copy, parse_json

TABLES = {".tsv": "\t", ".csv": ","}


def given_texts(settings: TextSettings) -> list[str]:
    """Returns the texts given in the settings, or a sample from files.

    Raises:
      InputError: neither or both of `text` and `input_file` are given, or a file is invalid.
    """
    settings.validate()
    if settings.text:
        return list(settings.text)
    files = input_files(settings.input_file, "input_file")
    found = sample(read_texts(files, settings.text_field), settings.max_texts, settings.random_seed)
    if not found:
        raise InputError(f"--input_file={settings.input_file}: contains no text")
    return found


def read_texts(files: Sequence[str], field: str = "") -> Iterator[str]:
    """Yields each non-empty line, or the value of a field of each record.

    A record is a line with a JSON object, or a row of a `.tsv` or `.csv` file with a header. `.gz` files are
    decompressed. Invalid UTF-8 is replaced by U+FFFD.

    Args:
      files: the files.
      field: the key or column, or "" if each line is a text.

    Raises:
      InputError: a line is not a JSON object, a field is missing or not a string, or a file is damaged.
    """
    for name in files:
        # A local copy, because TextIOWrapper cannot read from TensorFlow's files.
        with local_copy(name) as path, open(path, "rb") as raw:
            content: Any = gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else raw
            lines = io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="")
            try:
                yield from _texts_of(name, lines, field)
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise InputError(f"{name}: damaged gzip file ({error})") from None


def _texts_of(name: str, lines: Iterable[str], field: str) -> Iterator[str]:
    delimiter = TABLES.get("." + name.removesuffix(".gz").rsplit(".", 1)[-1])
    if not field:
        yield from (line.strip() for line in lines if line.strip())
    elif delimiter:
        # In GLUE's tables, quotation marks have no special meaning.
        quoting: Any = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        csv.field_size_limit(2**31 - 1)  # a cell may be a whole document
        reader = csv.DictReader(lines, delimiter=delimiter, quoting=quoting)
        if field not in (columns := reader.fieldnames or ()):
            raise InputError(f"--text_field={field}: {name} has no such column; it has {', '.join(columns)}")
        for row in reader:
            if row[field] is None:
                raise InputError(f"{name}, line {reader.line_num}: has no column {field}; the row is too short")
            yield row[field]
    else:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = parse_json(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InputError(f"{name}, line {number}: not a JSON object, which --text_field={field} requires")
            if not isinstance(record.get(field), str):
                raise InputError(f"{name}, line {number}: no string under {field!r}; the keys are {', '.join(record)}")
            yield record[field]


def sample(texts: Iterable[str], count: int, seed: int) -> list[str]:
    """Returns a uniform random sample of texts in their original order, or all texts if there are fewer.

    Args:
      texts: the texts. They are read once, without keeping all of them in memory.
      count: size of the sample.
      seed: random seed.
    """
    draw = random.Random(seed)
    kept: list[tuple[int, str]] = []
    for index, text in enumerate(texts):
        if len(kept) < count:
            kept.append((index, text))
        else:
            place = draw.randrange(index + 1)
            if place < count:
                kept[place] = (index, text)
    return [text for _, text in sorted(kept)]
