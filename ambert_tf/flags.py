"""Programs and their flags. A program consists of a settings dataclass and a function that takes its instance.

The fields of the dataclass are the flags. `setting` defines the default, help text and choices of a flag. `--help`
prints the docstring of the class first. To make `--help` fast, neither this module nor the modules with settings import
TensorFlow.

Example:
  >>> @dataclasses.dataclass(frozen=True, kw_only=True)
  ... class CountSettings:
  ...     '''Counts words: python count.py corpus.txt'''
  ...     input_file: tuple[str, ...] = setting((), "Files to read.", arguments=True)
  ...     max_words: int | None = setting(None, "Maximum number of words.")
  >>> run_program(CountSettings, count_words)  # doctest: +SKIP
"""

import dataclasses
import inspect
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from ambert_tf.errors import InputError, run_main
from ambert_tf.outputs import check_writable

flags.disclaim_key_flags()  # attribute flags to the calling program, so that its --help shows them

_DEFINE = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_list,
}
_OWN_COMMAND = re.compile(r"python (?:-m [\w.]+|[\w/]+\.py)")
_INFINITY = float("inf")
# NumPy's limit.
MAX_SEED = 2**32
SettingsT = TypeVar("SettingsT")


def setting(
    default: Any,
    help_text: str,
    choices: Sequence[str] | None = None,
    *,
    repeated: bool = False,
    arguments: bool = False,
) -> Any:
    """Returns a dataclass field that is also a flag.

    Args:
      default: default of the field and the flag.
      help_text: the help text of the flag.
      choices: allowed values of a string.
      repeated: for a tuple, whether the flag is repeated for each value. Otherwise, commas separate the values.
      arguments: whether positional arguments are added to this field.
    """
    metadata = {"help": help_text, "choices": choices, "repeated": repeated, "arguments": arguments}
    return dataclasses.field(default=default, metadata=metadata)


def run_program(settings: type[SettingsT], call: Callable[[SettingsT], object]) -> None:
    """Defines the flags of a program, parses the command line and calls the program.

    An `InputError` or `OSError` ends the process with status 1 and one line on stderr.

    Args:
      settings: the dataclass, whose docstring is the usage text.
      call: the function that runs the program.
    """
    define_flags(settings)
    sys.modules["__main__"].__doc__ = _usage(settings)
    takes_files = any(field.metadata["arguments"] for field in _fields(settings))
    run_main(lambda argv: call(settings_from_flags(settings, argv[1:])), takes_files)


def define_flags(settings: type) -> None:
    """Defines a flag for each field of a settings dataclass.

    The type of a field is `bool`, `int`, `float`, `str` or `tuple[str, ...]`, optionally combined with None.
    """
    hints = typing.get_type_hints(settings)
    for field in _fields(settings):
        default: Any = field.default
        choices, plain = field.metadata["choices"], _plain(hints[field.name])
        if choices:
            flags.DEFINE_enum(field.name, default, choices, field.metadata["help"])
        elif field.metadata["repeated"]:
            flags.DEFINE_multi_string(field.name, list(default), field.metadata["help"])
        else:
            _DEFINE[plain](field.name, list(default) if plain is tuple else default, field.metadata["help"])


def settings_from_flags(settings: type[SettingsT], arguments: Sequence[str] = ()) -> SettingsT:
    """Returns the settings given on the command line.

    Args:
      settings: the dataclass whose flags have been defined.
      arguments: the positional arguments.
    """
    values: dict[str, Any] = {field.name: flags.FLAGS[field.name].value for field in _fields(settings)}
    for field in _fields(settings):
        if isinstance(field.default, tuple):
            values[field.name] = tuple(values[field.name] or ())
        if field.metadata["arguments"] and arguments:
            values[field.name] += tuple(arguments)
    found = settings(**values)
    check_text(found)
    return found


def require(settings: Any, *names: str) -> None:
    """Raises an InputError for the first of the named settings that was not given."""
    for name in names:
        if not getattr(settings, name):
            raise InputError(f"--{name} is needed")


def at_least(settings: Any, least: float, *names: str) -> None:
    """Raises an InputError for the first of the named settings that was given and is below `least` or not finite."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not least <= value < _INFINITY:
            raise InputError(f"--{name}={value}: must be at least {least}")


def above_zero(settings: Any, *names: str) -> None:
    """Raises an InputError for the first of the named settings that is not a finite number above 0."""
    for name in names:
        if not 0 < getattr(settings, name) < _INFINITY:
            raise InputError(f"--{name}={getattr(settings, name)}: must be above 0")


def check_seed(settings: Any) -> None:
    """Raises an InputError if `random_seed` is not a valid seed for TensorFlow and NumPy."""
    if not 0 <= settings.random_seed < MAX_SEED:
        raise InputError(f"--random_seed={settings.random_seed}: must be from 0 to {MAX_SEED - 1}")


def check_text(settings: Any) -> None:
    """Raises an InputError for the first setting that is not UTF-8 without NUL, as required by file systems."""
    for field in _fields(type(settings)):
        value = getattr(settings, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and ("\0" in text or any("\ud800" <= character <= "\udfff" for character in text)):
                raise InputError(f"--{field.name}={text!a}: is not valid UTF-8")


def check_outputs(settings: Any, *names: str) -> None:
    """Raises an InputError for the first of the named output files whose directory is not writable."""
    for name in names:
        if getattr(settings, name):
            check_writable(os.path.dirname(getattr(settings, name)) or ".", name)


def check_choices(settings: Any) -> None:
    """Raises an InputError for the first setting that is not one of its choices. Parsed flags always are."""
    for field in _fields(type(settings)):
        value, choices = getattr(settings, field.name), field.metadata["choices"]
        if choices and value is not None and value not in choices:
            raise InputError(f"--{field.name}={value}: must be one of {', '.join(choices)}")


def _fields(settings: Any) -> tuple[dataclasses.Field, ...]:
    """Returns the fields of a settings dataclass that are flags."""
    return tuple(field for field in dataclasses.fields(settings) if "help" in field.metadata)


def _plain(hint: Any) -> type:
    """Returns `int` for `int | None` and `tuple` for `tuple[str, ...]`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint


def _usage(settings: type) -> str:
    """Returns the usage text. If the program is a console script, the examples use its name."""
    text = inspect.cleandoc(settings.__doc__ or "")
    own = _OWN_COMMAND.search(text)
    if own is not None and not sys.argv[0].endswith(".py"):
        text = text.replace(own.group(), os.path.basename(sys.argv[0]))
    return text.replace("%", "%%")  # absl formats the text
