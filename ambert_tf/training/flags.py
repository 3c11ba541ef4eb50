"""Flags made of a settings dataclass (see `settings.setting`), and the settings made of the flags."""

import dataclasses
import types
import typing
from typing import Any, TypeVar

from absl import flags

flags.disclaim_key_flags()  # they are the calling program's, whose --help shows them

_DEFINE = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
SettingsT = TypeVar("SettingsT")


def define_flags(settings: type, **help_texts: str) -> None:
    """Defines a flag for each field of a settings dataclass.

    Args:
      settings: the class; the fields' types are `bool`, `int`, `float` or `str`, or one of them or None.
      **help_texts: by field, what a program says in place of the field's own help.
    """
    hints = typing.get_type_hints(settings)
    for field in dataclasses.fields(settings):
        help_text = help_texts.get(field.name, field.metadata["help"])
        choices = field.metadata["choices"]
        if choices:
            flags.DEFINE_enum(field.name, field.default, choices, help_text)
        else:
            _DEFINE[_plain(hints[field.name])](field.name, field.default, help_text)


def settings_from_flags(settings: type[SettingsT]) -> SettingsT:
    """Returns the settings that the flags give; call it in `main`."""
    values: dict[str, Any] = {
        field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(typing.cast(Any, settings))
    }
    return settings(**values)


def _plain(hint: Any) -> type:
    """Returns `int` for `int | None`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint
