"""Texts to look at: the lines of a file, or one field of its records."""

import csv
import gzip
import io
import json
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ambert_tf.analysis.analysis_settings import TextSettings
from ambert_tf.errors import InputError
from ambert_tf.files import input_files, open_input

TABLES = {".tsv": "\t", ".csv": ","}


def given_texts(settings: TextSettings) -> list[str]:
    """Returns the texts that the settings name: those given, or a sample of files.

    Raises:
      InputError: neither or both are given, or a file is wrong.
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
    """Yields texts: each line that is not empty, or of records the value of a field.

    A record is a JSON object in a line, or in `.tsv` and `.csv` files a row below a header. `.gz` is unpacked. Bytes
    that are not UTF-8 become U+FFFD.

    Args:
      files: to read.
      field: the key or the column; "" where lines are texts.

    Raises:
      InputError: a line is no JSON object, a field is missing or no string, or a file is damaged.
    """
    for name in files:
        with open_input(name) as raw:
            content: Any = gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else raw
            lines = io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="")
            try:
                yield from _texts_of(name, lines, field)
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise InputError(f"{name}: is a damaged gzip file ({error})") from None


def _texts_of(name: str, lines: Iterable[str], field: str) -> Iterator[str]:
    delimiter = TABLES.get("." + name.removesuffix(".gz").rsplit(".", 1)[-1])
    if not field:
        yield from (line.strip() for line in lines if line.strip())
    elif delimiter:
        # In GLUE's tables a quotation mark is a character like others.
        quoting: Any = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        for row in csv.DictReader(lines, delimiter=delimiter, quoting=quoting):
            if row.get(field) is None:
                there = ", ".join(map(str, row))
                raise InputError(f"--text_field={field}: {name} has no such column; there are {there}")
            yield row[field]
    else:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise InputError(f"{name}, line {number}: is no JSON object, which --text_field={field} asks for")
            if not isinstance(record.get(field), str):
                raise InputError(f"{name}, line {number}: has no string under {field!r}; keys are {', '.join(record)}")
            yield record[field]


def sample(texts: Iterable[str], count: int, seed: int) -> list[str]:
    """Returns `count` texts drawn evenly from all, in their order; all of them where there are no more.

    Args:
      texts: read once; what is not drawn is not kept.
      count: how many.
      seed: of the draw.
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
