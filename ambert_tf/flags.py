"""Programs and their flags: a program is a settings dataclass and a function that takes one.

The fields of the dataclass are the flags: `setting` gives each its default, help text and choices. The docstring of the
class is what `--help` prints first. This module imports no TensorFlow, and neither do the modules with settings, so
that `--help` is quick.

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
from ambert_tf.files import check_writable

flags.disclaim_key_flags()  # They are the calling program's, whose --help shows them.

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
      help_text: what `--help` says.
      choices: allowed values of a string.
      repeated: for a tuple: the flag is given once per value. Without it, commas separate the values.
      arguments: arguments that are not flags are values of this field too.
    """
    metadata = {"help": help_text, "choices": choices, "repeated": repeated, "arguments": arguments}
    return dataclasses.field(default=default, metadata=metadata)


def run_program(settings: type[SettingsT], call: Callable[[SettingsT], object]) -> None:
    """Defines the flags of a program, parses the command line and calls the program.

    An `InputError` or `OSError` ends the process with status 1 and one line on standard error.

    Args:
      settings: the dataclass; its docstring is the usage text.
      call: the program.
    """
    define_flags(settings)
    sys.modules["__main__"].__doc__ = _usage(settings)
    takes_files = any(field.metadata["arguments"] for field in _fields(settings))
    run_main(lambda argv: call(settings_from_flags(settings, argv[1:])), takes_files)


def define_flags(settings: type) -> None:
    """Defines a flag for each field of a settings dataclass.

    The type of a field is `bool`, `int`, `float`, `str` or `tuple[str, ...]`, or one of them or None.
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
    """Returns the settings that a command line gives.

    Args:
      settings: the dataclass whose flags are defined.
      arguments: what the command line has besides flags.
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
    """Raises an InputError for the first of some settings that was not given."""
    for name in names:
        if not getattr(settings, name):
            raise InputError(f"--{name} is needed")


def at_least(settings: Any, least: float, *names: str) -> None:
    """Raises an InputError for the first of some settings that is given and is below `least` or not finite."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not least <= value < _INFINITY:
            raise InputError(f"--{name}={value}: must be at least {least}")


def above_zero(settings: Any, *names: str) -> None:
    """Raises an InputError for the first of some settings that is not a finite number above 0."""
    for name in names:
        if not 0 < getattr(settings, name) < _INFINITY:
            raise InputError(f"--{name}={getattr(settings, name)}: must be above 0")


def check_seed(settings: Any) -> None:
    """Raises an InputError if `random_seed` is no seed of TensorFlow's and NumPy's generators."""
    if not 0 <= settings.random_seed < MAX_SEED:
        raise InputError(f"--random_seed={settings.random_seed}: must be from 0 to {MAX_SEED - 1}")


def check_text(settings: Any) -> None:
    """Raises an InputError for the first setting that is not text: UTF-8 without NUL, as file systems need it."""
    for field in _fields(type(settings)):
        value = getattr(settings, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and ("\0" in text or any("\ud800" <= character <= "\udfff" for character in text)):
                raise InputError(f"--{field.name}={text!a}: is not valid UTF-8")


def check_outputs(settings: Any, *names: str) -> None:
    """Raises an InputError for the first of some settings, files to write, whose directory is not writable."""
    for name in names:
        if getattr(settings, name):
            check_writable(os.path.dirname(getattr(settings, name)) or ".", name)


def check_choices(settings: Any) -> None:
    """Raises an InputError for the first setting that is none of its choices; settings made of flags never raise."""
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
    """Returns the usage text; where the program is a console script, its examples call it by that name."""
    text = inspect.cleandoc(settings.__doc__ or "")
    own = _OWN_COMMAND.search(text)
    if own is not None and not sys.argv[0].endswith(".py"):
        text = text.replace(own.group(), os.path.basename(sys.argv[0]))
    return text.replace("%", "%%")  # absl formats it.
