import dataclasses

import pytest
from absl import flags

from ambert_tf.training.flags import define_flags, settings_from_flags
from ambert_tf.training.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
    test_rate: float = setting(0.5, "A rate.")
    test_limit: int | None = setting(None, "A limit.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Base):
    test_rate: float = setting(0.25, "Another rate.")
    test_quick: bool = setting(False, "Quick.")
    test_grain: str = setting("fine", "A grain.", ("fine", "coarse"))


@pytest.fixture
def defined():
    define_flags(Settings, test_quick="Quicker.")
    yield
    for field in dataclasses.fields(Settings):
        delattr(flags.FLAGS, field.name)


def test_flags_give_settings(defined):
    arguments = ["program", "--test_limit=3", "--test_quick", "--test_grain=coarse"]
    flags.FLAGS(arguments)
    expected = Settings(test_rate=0.25, test_limit=3, test_quick=True, test_grain="coarse")
    assert settings_from_flags(Settings) == expected


def test_a_flag_has_the_subclass_default_and_help(defined):
    assert flags.FLAGS["test_rate"].default == 0.25
    assert flags.FLAGS["test_rate"].help == "Another rate."
    assert flags.FLAGS["test_quick"].help == "Quicker."


def test_a_value_that_is_no_choice_is_refused(defined):
    with pytest.raises(flags.IllegalFlagValueError):
        flags.FLAGS(["program", "--test_grain=medium"])
