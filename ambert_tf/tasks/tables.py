"""Tables: GLUE's, separated by tabs, and users' own CSV and TSV files."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import Record, shown, text_lines

RecordReader = Callable[[str, str], Iterator[Record]]

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
# Excel writes the delimiter of a CSV file into a first line such as sep=;
_EXCEL_DELIMITER = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
# The rows that are compared with the header to find the delimiter.
_SAMPLE_ROWS = 20


def glue_table(
    columns: Sequence[str] = (), headless: Sequence[str] = (), skip_short_lines: bool = False
) -> RecordReader:
    """Returns a reader of GLUE's tables, which have a header, tabs between columns, and no quoting.

    Args:
      columns: columns that are required. Others are read as well.
      headless: the columns of a file without a header (CoLA's train.tsv and dev.tsv).
      skip_short_lines: whether to skip lines with too few columns, of which QQP's train.tsv has some, with a warning.
        In a file to predict, which needs a prediction for every id, missing columns are empty instead.

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
            if not line.strip():
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
                        f"{path}, line {number}: has {len(values)} columns, separated by tabs; {len(names)} are "
                        f"expected: {', '.join(names)}"
                    )
                short += 1
                if flag == "predict_file":
                    if values[0].strip().isdecimal():
                        yield from completed(path, names, broken)
                        broken = [(number, values)]
                    elif broken:  # The line has no id: it is the rest of a text that was broken over two lines.
                        broken[0][1][-1] += " " + values[0]
                        broken[0][1].extend(values[1:])
                continue
            yield from completed(path, names, broken)
            broken = []
            # STS-B and others have lines with an extra column at the end.
            yield Record(path, number, dict(zip(names, values, strict=False)))
        yield from completed(path, names, broken)
        if short:
            what = "are put together or filled up with empty texts" if flag == "predict_file" else "are skipped"
            logging.warning("%s: %d lines with too few columns %s", path, short, what)

    return read


def csv_table(path: str, flag: str, columns: Sequence[str] = ()) -> Iterator[Record]:
    """Reads a table with a header. Cells may be quoted as in RFC 4180.

    The delimiter is detected. Excel's first line `sep=;`, empty rows and empty columns at the end are understood. A
    quotation mark that opens no cell in the sense of RFC 4180 is an ordinary character.

    Args:
      path: path of the file.
      flag: the flag it came from, for errors.
      columns: columns that are required, in any letter case.

    Raises:
      InputError: a required column is missing, or a row has another number of columns than the header.
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
        if not any(value.strip() for value in values):
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
        # In a table with tabs, a quotation mark is more often a character of the text than the start of such a cell.
        if delimiter == "\t" and any("\n" in value and "\t" in value for value in values):
            raise InputError(
                f"{path}, line {line}: a cell that begins with a quotation mark spans several rows; double the "
                "quotation mark and put the cell in quotation marks"
            )
        yield Record(path, line, dict(zip(names, values, strict=True)))
    if empty:
        _log_once(f"{path}: {empty} empty rows are skipped")


@functools.cache
def _log_once(message: str) -> None:
    """Logs what was found in a file, once even if labels and examples are read from it one after the other."""
    logging.info("%s", message)


def _find_delimiter(text: str, default: str, columns: Sequence[str]) -> str | None:
    """Returns the delimiter that best explains header and first rows; None for a table of one column."""
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
    """Yields the number of the first line and the cells of each row."""
    end_of_cell = f"(?={re.escape(delimiter)}|\n|\\Z)" if delimiter else "(?=\n|\\Z)"
    quoted = re.compile(' *"([^"]*(?:""[^"]*)*)" *' + end_of_cell)
    plain = re.compile(f"[^\n{re.escape(delimiter)}]*" if delimiter else "[^\n]*")
    position, line = 0, 1
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if text.find('"', position, end) < 0:
            row = text[position:end]
            yield line, row.split(delimiter) if delimiter else [row]
            position, line = end + 1, line + 1
            continue
        cells, start = [], position
        while True:
            if found := quoted.match(text, position):
                cells.append(found[1].replace('""', '"'))
            else:
                found = plain.match(text, position)
                assert found is not None  # It matches the empty string.
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
    """Returns the names in a header; required columns in the letter case in which they are required."""
    names = [name.strip() for name in header]
    # A table may have `label` and `Label`: the exact name is the one.
    required = {_folded(name): name for name in columns if name not in names}
    names = [required.get(_folded(name), name) for name in names]
    if not set(columns) <= set(names):
        raise _missing_columns(path, line, columns, names, delimiter)
    for name in columns:
        if names.count(name) > 1:
            raise InputError(f"{path}, line {line}: {names.count(name)} columns are called {name}; one is expected")
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
