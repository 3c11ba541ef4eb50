"""Records: what the lines of a file hold, whatever its format is; and JSON lines, CLUE's format."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file


class Record:
    """One record of a file; what is wrong with it is an error that names file and line.

    Args:
      path: the file.
      line: the line's number, from 1; or a word for its place, such as `question 17`.
      content: its values by key.
    """

    def __init__(self, path: str, line: int | str, content: Mapping[str, Any]) -> None:
        self.path = path
        self.line = line
        self.content = content

    def error(self, message: str) -> InputError:
        """Returns an error about this record."""
        place = f"line {self.line}" if isinstance(self.line, int) else self.line
        return InputError(f"{self.path}, {place}: {message}")

    def value(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """Returns what is under a key.

        Raises:
          InputError: it is missing or not of that kind; `expected` says in words what is.
        """
        if key not in self.content:
            raise self.error(f"the key {key!r} is missing; there is {', '.join(map(repr, self.content)) or 'none'}")
        value = self.content[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise self.error(f"{key!r} is {shown(value)}; it must be {expected}")
        return value

    def string(self, key: str, default: str | None = None) -> str:
        """Returns the string under a key, `default` where there is none.

        Raises:
          InputError: it is missing without a default, or is no string.
        """
        if default is not None and self.content.get(key) is None:
            return default
        return self.value(key, str, "a string")

    def strings(self, key: str) -> list[str]:
        """Returns the list of strings under a key.

        Raises:
          InputError: it is missing, or is something else.
        """
        values = self.value(key, list, "a list of strings")
        if not all(isinstance(value, str) for value in values):
            raise self.error(f"{key!r} is {shown(values)}; it must be a list of strings")
        return values

    def integer(self, key: str) -> int:
        """Returns the whole number under a key; raises an InputError if there is none."""
        return self.value(key, int, "a whole number")

    def name(self, key: str) -> str | None:
        """Returns a string or a whole number (FewCLUE writes labels so) as a string; None where there is none.

        Raises:
          InputError: it is something else.
        """
        value = self.content.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value).lower() if isinstance(value, bool) else str(value)
        raise self.error(f"{key!r} is {shown(value)}; it must be a string or a whole number")


def read_json_lines(path: str, flag: str) -> Iterator[Record]:
    """Reads a file line by line; empty lines are passed over.

    Args:
      path: the file.
      flag: the flag it came from, for errors.

    Raises:
      InputError: there is no such file, or it is empty; a line is not UTF-8 or is no JSON object.
    """
    for number, text in text_lines(path, flag):
        if text.strip():
            yield Record(path, number, _json_object(text, path, number))


def text_lines(path: str, flag: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text file with their numbers, without their ends and a byte-order mark.

    Raises:
      InputError: there is no such file, nothing but empty lines is in it, or a line is not UTF-8.
    """
    check_input_file(path, flag)
    found = False
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: is not UTF-8 (byte {error.start + 1} of the line)") from None
            found = found or bool(text.strip())
            yield number, text
    if not found:
        raise InputError(f"--{flag}: {path} has no records, only empty lines")


def read_json(path: str, flag: str, expected: str) -> Any:
    """Reads a file that is one JSON value.

    Args:
      path: the file.
      flag: the flag it came from, for errors.
      expected: what it should be, for errors.

    Raises:
      InputError: there is no such file, or it is no JSON or not UTF-8.
    """
    check_input_file(path, flag)
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: is no JSON ({error.msg}); {expected} is expected") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON in UTF-8 ({error}); {expected} is expected") from None


def _json_object(text: str, path: str, number: int) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}, line {number}: is no JSON ({error}); one JSON object a line is expected, such as "
            '{"sentence": "…", "label": "…"}'
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}, line {number}: is {shown(content)}, not a JSON object; one object a line is expected"
        )
    return content


def shown(value: Any) -> str:
    """Returns a value as an error shows it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
