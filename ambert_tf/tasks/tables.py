"""Readers of tables: GLUE's tab-separated files, and users' own CSV and TSV files."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import Record, shown, text_lines

RecordReader = Callable[[str, str], Iterator[Record]]

# Columns that may have the id of an example; see `Task.id_keys`.
ID_COLUMNS = ("id", "index", "idx")
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
# Excel declares the delimiter of a CSV file in a first line such as sep=;
_EXCEL_DELIMITER = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
# Number of rows compared with the header to detect the delimiter.
_SAMPLE_ROWS = 20


def glue_table(
    columns: Sequence[str] = (), headless: Sequence[str] = (), skip_short_lines: bool = False
) -> RecordReader:
    """Returns a reader for GLUE's tables, which have a header, tab-separated columns, and no quoting.

    Args:
      columns: required columns. Other columns are read as well.
      headless: the columns of a file without a header (CoLA's train.tsv and dev.tsv).
      skip_short_lines: whether to skip lines with too few columns, with a warning. QQP's train.tsv has such lines. A
        file to predict needs a prediction for every id, so missing columns are read as empty instead.

    The reader raises an InputError if a column is missing or a line has too few columns.
    """

    def completed(path: str, names: Sequence[str], broken: Sequence[tuple[int, list[str]]]) -> Iterator[Record]:
        for number, values in broken:
            yield Record(path, number, {name: "".join(values[at : at + 1]) for at, name in enumerate(names)})

    def read(path: str, flag: str) -> Iterator[Record]:
        names: list[str] = []
        broken: list[tuple[int, list[str]]] = []
        short = 0
        for number, line in text_lines(path, flag):
            if not line.strip() and not (names and "\t" in line and flag == "predict_file"):
                continue
            values = line.split("\t")
            if not names:
                names = [name.strip() for name in values]
                if not set(columns) <= set(names):
                    if len(values) != len(headless):
                        raise _missing_columns(path, number, columns, names, "\t")
                    names = list(headless)
                else:
                    continue
            if len(values) < len(names):
                if not skip_short_lines:
                    raise InputError(
                        f"{path}, line {number}: has {len(values)} tab-separated columns; {len(names)} are expected: "
                        f"{', '.join(names)}"
                    )
                short += 1
                if flag == "predict_file":
                    if values[0].strip().isdecimal():
                        yield from completed(path, names, broken)
                        broken = [(number, values)]
                    elif broken:  # A line without an id is the rest of a text that contains a line break.
                        broken[0][1][-1] += " " + values[0]
                        broken[0][1].extend(values[1:])
                continue
            yield from completed(path, names, broken)
            broken = []
            # STS-B and others have lines with an extra column at the end.
            yield Record(path, number, dict(zip(names, values, strict=False)))
        yield from completed(path, names, broken)
        if short:
            what = "are merged or padded with empty texts" if flag == "predict_file" else "are skipped"
            logging.warning("%s: %d lines with too few columns %s", path, short, what)

    return read


def csv_table(path: str, flag: str, columns: Sequence[str] = ()) -> Iterator[Record]:
    """Reads a table with a header. Cells may be quoted as in RFC 4180.

    The delimiter is detected automatically. Excel's first line `sep=;`, empty rows and trailing empty columns are
    handled. Rows with only empty cells are skipped, except in a file to predict, where every row has a prediction. A
    quotation mark that does not open a cell as in RFC 4180 is an ordinary character.

    Args:
      path: path of the file.
      flag: the flag that named the file, for error messages.
      columns: required columns, matched without regard to case.

    Raises:
      InputError: a required column is missing, or a row and the header differ in their number of columns.
    """
    text = "\n".join(line for _, line in text_lines(path, flag))
    first_line, _, rest = text.partition("\n")
    default = "\t" if path.lower().endswith((".tsv", ".tsv.txt")) else ","
    skipped_lines = 0
    if excel := _EXCEL_DELIMITER.fullmatch(first_line.strip(" ")):
        delimiter: str | None = excel[1]
        text, skipped_lines = rest, 1
    else:
        delimiter = _find_delimiter(text, default, columns)
    names: list[str] = []
    empty = 0
    for line, values in _rows(text, delimiter):
        line += skipped_lines
        if not any(value.strip() for value in values) and not (names and values and flag == "predict_file"):
            empty += bool(names)
            continue
        if not names:
            names = _column_names(path, line, values, columns, delimiter)
            separated = f", separated by {DELIMITERS.get(delimiter, repr(delimiter))}" if delimiter else ""
            _log_once(f"{path}: columns {', '.join(filter(None, names))}{separated}")
            continue
        if len(values) > len(names) and not any(value.strip() for value in values[len(names) :]):
            del values[len(names) :]
        if len(values) != len(names):
            raise InputError(
                f"{path}, line {line}: has {len(values)} columns ({shown(values)}), but the header has {len(names)}: "
                f"{', '.join(names)}"
            )
        # In a tab-separated table, a quotation mark is more likely part of the text than the start of such a cell.
        if delimiter == "\t" and any("\n" in value and "\t" in value for value in values):
            raise InputError(
                f"{path}, line {line}: a cell that starts with a quotation mark spans several rows; if the quotation "
                "mark is part of the text, double it and enclose the cell in quotation marks"
            )
        yield Record(path, line, dict(zip(names, values, strict=True)))
    if empty:
        _log_once(f"{path}: {empty} empty rows are skipped")


@functools.cache
def _log_once(message: str) -> None:
    """Logs a message about a file only once, although the file may be read for labels and again for examples."""
    logging.info("%s", message)


def _find_delimiter(text: str, default: str, columns: Sequence[str]) -> str | None:
    """Returns the delimiter that best fits the header and the first rows, or None for a single-column table."""
    best, best_score = None, (0, 0.0, False)
    for delimiter in DELIMITERS:
        rows = [
            [cell.strip() for cell in values]
            for _, (_, values) in zip(range(_SAMPLE_ROWS), _rows(text, delimiter), strict=False)
            if any(value.strip() for value in values)
        ]
        if not rows or len(rows[0]) < 2:
            continue
        header = {_folded(name) for name in rows[0]}
        found = sum(_folded(name) in header for name in columns)
        score = found, sum(len(row) == len(rows[0]) for row in rows) / len(rows), delimiter == default
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(text: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yields the first line's number and the cells of each row. A blank line has no cells."""
    end_of_cell = f"(?={re.escape(delimiter)}|\n|\\Z)" if delimiter else "(?=\n|\\Z)"
    quoted = re.compile(' *"([^"]*(?:""[^"]*)*)" *' + end_of_cell)
    plain = re.compile(f"[^\n{re.escape(delimiter)}]*" if delimiter else "[^\n]*")
    position, line = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if text.find('"', position, end) < 0:
            row = text[position:end]
            cells = row.split(delimiter) if delimiter else [row]
            yield line, cells if len(cells) > 1 or row.strip() else []
            position, line = end + 1, line + 1
            continue
        cells, start = [], position
        while True:
            if found := quoted.match(text, position):
                cells.append(found[1].replace('""', '"'))
            else:
                found = plain.match(text, position)
                assert found is not None  # the pattern matches the empty string
                cells.append(found[0])
            position = found.end()
            if not delimiter or text[position : position + 1] != delimiter:
                break
            position += 1
        yield line, cells
        line += text.count("\n", start, position) + 1
        position += 1


def _folded(name: str) -> str:
    return name.strip().casefold()


def _column_names(
    path: str, line: int, header: Sequence[str], columns: Sequence[str], delimiter: str | None
) -> list[str]:
    """Returns the column names in a header, with ids and required columns in the case of `ID_COLUMNS` and `columns`."""
    names = [name.strip() for name in header]
    # If a table has both `label` and `Label`, the exact match is used.
    known = {_folded(name): name for name in (*ID_COLUMNS, *columns) if name not in names}
    names = [known.get(_folded(name), name) for name in names]
    if not set(columns) <= set(names):
        raise _missing_columns(path, line, columns, names, delimiter)
    for name in columns:
        if names.count(name) > 1:
            raise InputError(f"{path}, line {line}: {names.count(name)} columns are named {name}; one is expected")
    return names


def _missing_columns(
    path: str, line: int, columns: Sequence[str], names: Sequence[str], delimiter: str | None
) -> InputError:
    missing = [name for name in columns if name not in names]
    separated = f", separated by {DELIMITERS.get(delimiter, repr(delimiter))}" if delimiter else ""
    return InputError(
        f"{path}, line {line}: the column {' and '.join(missing)} is missing; the columns are {shown(list(names))}"
        f"{separated}; the first line must name {', '.join(columns)}"
    )
