"""JSON lines: one JSON object a line, UTF-8, as CLUE's files are."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file


class Record:
    """One line of a file; what is wrong with it is an error that names file and line.

    Args:
      path: the file.
      line: the line's number, from 1.
      content: its JSON object.
    """

    def __init__(self, path: str, line: int, content: Mapping[str, Any]) -> None:
        self.path = path
        self.line = line
        self.content = content

    def error(self, message: str) -> InputError:
        """Returns an error about this line."""
        return InputError(f"{self.path}, line {self.line}: {message}")

    def string(self, key: str, default: str | None = None) -> str:
        """Returns the string under a key, `default` where there is none.

        Raises:
          InputError: it is missing without a default, or is no string.
        """
        value = self.content.get(key)
        if value is None and default is not None:
            return default
        if key not in self.content:
            raise self.error(f"the key {key!r} is missing; the line has {', '.join(map(repr, self.content)) or 'none'}")
        if not isinstance(value, str):
            raise self.error(f"{key!r} is {_shown(value)}; it must be a string")
        return value

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
        raise self.error(f"{key!r} is {_shown(value)}; it must be a string or a whole number")


def read_json_lines(path: str, flag: str) -> Iterator[Record]:
    """Reads a file line by line; empty lines are passed over.

    Args:
      path: the file.
      flag: the flag it came from, for errors.

    Raises:
      InputError: there is no such file, or it is empty; a line is not UTF-8 or is no JSON object.
    """
    check_input_file(path, flag)
    found = False
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: is not UTF-8 (byte {error.start + 1} of the line)") from None
            if not text:
                continue
            found = True
            yield Record(path, number, _json_object(text, path, number))
    if not found:
        raise InputError(f"--{flag}: {path} has no records, only empty lines")


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
            f"{path}, line {number}: is {_shown(content)}, not a JSON object; one object a line is expected"
        )
    return content


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
