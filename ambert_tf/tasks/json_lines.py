"""`Record`, which all readers of task files return, and readers of JSON lines and JSON files."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, open_input, parse_json, read_bytes

# White space, zero-width spaces and byte-order marks around a label, which are invisible in a spreadsheet.
_INVISIBLE_ENDS = re.compile(r"\A[\s\u200b\ufeff]+|[\s\u200b\ufeff]+\Z")
_SAVE_AS_UTF8 = "save it as UTF-8 (in Excel: CSV UTF-8)"


class Record:
    """One record of a file. Its errors name the file and the line.

    Args:
      path: path of the file.
      line: line number, starting at 1, or a description of the position, such as `question 17`.
      content: values by key or column.
    """

    def __init__(self, path: str, line: int | str, content: Mapping[str, Any]) -> None:
        self.path = path
        self.line = line
        self.content = content

    def error(self, message: str) -> InputError:
        """Returns an error about this record."""
        place = f"line {self.line}" if isinstance(self.line, int) else self.line
        return InputError(f"{self.path}, {place}: {message}")

    def missing(self, key: str) -> InputError:
        """Returns the error for a missing key, which lists the keys of the record."""
        return self.error(self.lacking(key))

    def lacking(self, key: str) -> str:
        """Describes why a key has no value (missing, null or empty), for error messages."""
        if key in self.content:
            return f"{key!r} is {'null' if self.content[key] is None else 'empty'}"
        return f"the key {key!r} is missing; the keys are {', '.join(map(repr, self.content)) or 'none'}"

    def value(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """Returns the value of a key.

        Raises:
          InputError: the key is missing or its value is not of this type, which `expected` describes.
        """
        if key not in self.content:
            raise self.missing(key)
        value = self.content[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(f"{key!r} is {shown(value)}; it must be {expected}")
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """Returns the string value of a key, or `default` if there is none.

        Raises:
          InputError: the key is missing and there is no default, or its value is not a string.
        """
        if default is not None and self.content.get(key) is None:
            return default
        return self.value(key, str, "a string")

    def strings(self, key: str) -> list[str]:
        """Returns the value of a key, a list of strings. A missing key or another type raises an InputError."""
        values = self.value(key, list, "a list of strings")
        if not all(isinstance(value, str) for value in values):
            raise self.error(f"{key!r} is {shown(values)}; it must be a list of strings")
        return values

    def integer(self, key: str) -> int:
        """Returns the integer value of a key. A missing key or another type raises an InputError."""
        return self.value(key, int, "an integer")

    def identifier(self, key: str) -> int | str:
        """Returns the value of a key, an integer or string. A missing key or another type raises an InputError."""
        value = self.value(key, (int, str), "a string or an integer")
        if isinstance(value, bool):
            raise self.error(f"{key!r} is {shown(value)}; it must be a string or an integer")
        return value

    def name(self, key: str) -> str | None:
        """Returns a label as a string without surrounding white space, or None if there is none.

        FewCLUE writes labels as integers. pandas writes integer columns with missing values as floats, so 1.0 is "1".

        Raises:
          InputError: the value has another type.
        """
        value = self.content.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            return _INVISIBLE_ENDS.sub("", value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            return str(int(value))
        raise self.error(f"{key!r} is {shown(value)}; it must be a string or an integer")


def read_json_lines(path: str, flag: str) -> Iterator[Record]:
    """Reads a file with one JSON object per line and skips empty lines.

    Args:
      path: path of the file.
      flag: the flag that named the file, for error messages.

    Raises:
      InputError: the file is missing or empty, or a line is not a JSON object in UTF-8.
    """
    for number, text in text_lines(path, flag):
        if text.strip():
            yield Record(path, number, _json_object(text, path, number))


def text_lines(path: str, flag: str) -> Iterator[tuple[int, str]]:
    """Yields the line numbers and lines of a text file, without line endings and byte-order mark.

    Lines end in LF, CR LF or, if the first line does, in a lone CR.

    Raises:
      InputError: the file is missing, contains only empty lines, or is not UTF-8.
    """
    check_input_file(path, flag)
    found = False
    with open_input(path) as file:
        for number, line in enumerate(_byte_lines(file), 1):
            if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise InputError(f"{path}: is UTF-16, not UTF-8; {_SAVE_AS_UTF8}")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path}, line {number}: is not UTF-8 (byte {error.start + 1} of the line); {_SAVE_AS_UTF8}"
                ) from None
            found = found or bool(text.strip())
            yield number, text
    if not found:
        raise InputError(f"--{flag}: {path} has no records, only empty lines")


def _byte_lines(file: Any) -> Iterator[bytes]:
    """Yields the lines of a binary file."""
    splits_at_cr = None
    for line in file:
        if splits_at_cr is None:
            splits_at_cr = b"\r" in line.rstrip(b"\r\n")
        if splits_at_cr:
            yield from line.rstrip(b"\r\n").split(b"\r")
        else:
            yield line


def read_json(path: str, flag: str, expected: str) -> Any:
    """Reads a file that contains one JSON value.

    Args:
      path: path of the file.
      flag: the flag that named the file, for error messages.
      expected: description of the expected content, for error messages.

    Raises:
      InputError: the file is missing, or is not JSON in UTF-8.
    """
    check_input_file(path, flag)
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: is not UTF-8; {expected} in UTF-8 is expected") from None
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: is not JSON ({error.msg}); {expected} is expected") from None
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {expected} is expected") from None


def _json_object(text: str, path: str, number: int) -> Mapping[str, Any]:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(
            f"{path}, line {number}: is not JSON ({error}); one JSON object per line is expected, such as "
            '{"sentence": "…", "label": "…"}'
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}, line {number}: is {shown(content)}, not a JSON object; one object per line is expected"
        )
    return content


def shown(value: Any) -> str:
    """Formats a value for error messages."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        text = type(value).__name__
    text = text if len(text) <= 60 else text[:57] + "…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
