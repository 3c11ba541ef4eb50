"""Tab- and comma-separated tables: GLUE's files, and one's own."""

import csv
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import Record, shown, text_lines

RecordReader = Callable[[str, str], Iterator[Record]]


def glue_table(
    columns: Sequence[str] = (), headless: Sequence[str] = (), skip_short_lines: bool = False
) -> RecordReader:
    """Returns a reader of GLUE's tables: tabs between columns, a header, and quotes that mean nothing.

    Args:
      columns: what must be there; the text columns. Others are read as well.
      headless: the columns of a file whose first line does not name them (CoLA's train.tsv and dev.tsv).
      skip_short_lines: pass over lines with too few columns, of which QQP's train.tsv has some, and warn.

    The reader raises an InputError for a missing column, or a line with too few of them.
    """

    def read(path: str, flag: str) -> Iterator[Record]:
        names: list[str] = []
        skipped = 0
        for number, line in text_lines(path, flag):
            if not line.strip():
                continue
            values = line.split("\t")
            if not names:
                names = [name.strip() for name in values]
                if not set(columns) <= set(names):
                    if len(values) != len(headless):
                        raise _missing(path, columns, names)
                    names = list(headless)
                else:
                    continue
            if len(values) < len(names):
                if skip_short_lines:
                    skipped += 1
                    continue
                raise InputError(
                    f"{path}, line {number}: has {len(values)} columns, separated by tabs; {len(names)} are expected: "
                    f"{', '.join(names)}"
                )
            # zip: STS-B and others have lines with a column too many at the end.
            yield Record(path, number, dict(zip(names, values, strict=False)))
        if skipped:
            logging.warning("%s: %d lines with too few columns are left out", path, skipped)

    return read


def csv_table(path: str, flag: str) -> Iterator[Record]:
    """Reads a table of one's own with a header: `.tsv` by tabs, else by commas; quoted as in RFC 4180.

    Raises:
      InputError: a line has another number of columns than the header.
    """
    lines = (line + "\n" for _, line in text_lines(path, flag))
    tabs = path.endswith((".tsv", ".tsv.txt"))
    reader = csv.reader(lines, delimiter="\t" if tabs else ",", strict=False)
    names: list[str] = []
    try:
        for values in reader:
            if not values:
                continue
            if not names:
                names = [name.strip() for name in values]
                continue
            # In tables with tabs a lone quotation mark is a character more often than the begin of a cell of lines.
            if tabs and any("\n" in value for value in values):
                raise InputError(
                    f"{path}, line {reader.line_num}: a cell that begins with a quotation mark in a line above ends "
                    "here only; write it doubled within quotation marks"
                )
            if len(values) != len(names):
                raise InputError(
                    f"{path}, line {reader.line_num}: has {len(values)} columns ({shown(values)}), but the header "
                    f"has {len(names)}: {', '.join(names)}"
                )
            yield Record(path, reader.line_num, dict(zip(names, values, strict=True)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is no line of a table ({error})") from None


def _missing(path: str, columns: Sequence[str], names: Sequence[str]) -> InputError:
    lacking = [name for name in columns if name not in names]
    return InputError(
        f"{path}, line 1: the column {' and '.join(lacking)} is missing; the columns are {shown(list(names))}, "
        "separated by tabs"
    )
