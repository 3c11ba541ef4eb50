import dataclasses

import pytest
from absl import flags

from ambert_tf.errors import InputError
from ambert_tf.flags import above_zero, check_outputs, check_text, define_flags, setting, settings_from_flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    test_rate: float = setting(0.5, "A rate.")
    test_limit: int | None = setting(None, "A limit.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Base):
    test_rate: float = setting(0.25, "Another rate.")
    test_quick: bool = setting(False, "Quick.")
    test_grain: str = setting("fine", "A grain.", ("fine", "coarse"))
    test_names: tuple[str, ...] = setting((), "Names.", arguments=True)
    test_texts: tuple[str, ...] = setting((), "Texts.", repeated=True)


@pytest.fixture
def defined():
    define_flags(Settings)
    yield
    for field in dataclasses.fields(Settings):
        delattr(flags.FLAGS, field.name)


def test_flags_give_settings(defined):
    flags.FLAGS(["program", "--test_limit=3", "--test_quick", "--test_grain=coarse", "--test_texts=a, b"])
    expected = Settings(test_rate=0.25, test_limit=3, test_quick=True, test_grain="coarse", test_texts=("a, b",))
    assert settings_from_flags(Settings) == expected


def test_arguments_are_values_of_the_field_that_takes_them(defined):
    rest = flags.FLAGS(["program", "--test_names=a,b", "--test_texts=c", "d", "--test_texts=e"])
    found = settings_from_flags(Settings, rest[1:])
    assert (found.test_names, found.test_texts) == (("a", "b", "d"), ("c", "e"))


def test_a_flag_has_the_subclass_default_and_help(defined):
    assert flags.FLAGS["test_rate"].default == 0.25
    assert flags.FLAGS["test_rate"].help == "Another rate."


def test_a_value_that_is_not_a_choice_is_rejected(defined):
    with pytest.raises(flags.IllegalFlagValueError):
        flags.FLAGS(["program", "--test_grain=medium"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputSettings:
    output: str = setting("", "A file.")


def test_an_output_that_cannot_be_written_is_found_early(tmp_path):
    (tmp_path / "file").touch()
    check_outputs(OutputSettings(output=str(tmp_path / "new" / "directory" / "x.png")), "output")
    check_outputs(OutputSettings(), "output")
    with pytest.raises(InputError, match=r"^--output=.*/file: .*/file is a file where a directory is needed"):
        check_outputs(OutputSettings(output=str(tmp_path / "file" / "x.png")), "output")


@pytest.mark.parametrize("text", ["caf\udce9", "a\0b"])
def test_a_value_that_is_not_text_is_refused(text):
    with pytest.raises(InputError, match=r"^--output='.*': is not valid UTF-8"):
        check_text(OutputSettings(output=text))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_rate_is_a_finite_number_above_0(value):
    with pytest.raises(InputError, match=f"^--test_rate={value}: must be above 0"):
        above_zero(Settings(test_rate=value), "test_rate")
