"""Converts records to raw inputs, for question answering, multiple choice, ChID and CLUEWSC2020."""

from collections.abc import Mapping
from typing import Any

from ambert_tf.tasks.declaration import Choices, MarkedSpans, Question, ReadOptions
from ambert_tf.tasks.json_lines import Record, shown

# The name given to the blank in question. ChID's own blanks have six digits or none.
BLANK_NAME = "#idiom0#"
PRONOUNS_OF_WOMEN = ("她", "她们", "她俩")


def question_and_context(record: Record, options: ReadOptions) -> Question:
    """Returns the question and the context of a record of `squad_files`."""
    return Question(record.string("question"), record.string("context"))


def question_and_choices(record: Record, options: ReadOptions) -> Choices:
    """Returns the context, the question and the choices of a record of `multiple_choice_files`."""
    return Choices(record.string("context"), record.string("question"), tuple(record.strings("choices")))


def idiom_and_choices(record: Record, options: ReadOptions) -> Choices:
    """Returns the text with its blank, and the candidate idioms, of a ChID record."""
    context = f"{record.string('before')}{BLANK_NAME}{record.string('after')}"
    return Choices(context, BLANK_NAME, tuple(record.strings("choices")))


def marked_spans(record: Record, options: ReadOptions) -> MarkedSpans:
    """Returns the text, the noun and the pronoun of a CLUEWSC2020 record.

    Raises:
      InputError: a span is not in the text.
    """
    text, target = record.string("text"), _target(record)
    for name in ("span1_text", "span2_text"):
        span = target.string(name)
        if not span or span not in text:
            raise record.error(f"{name} {shown(span)} is not in the text")
    return MarkedSpans(
        text,
        target.string("span1_text"),
        _index(target, "span1_index", text),
        target.string("span2_text"),
        _index(target, "span2_index", text),
    )


def _index(target: Record, key: str, text: str) -> int:
    """Returns an index clipped to the text. The data's indices may be a few characters off."""
    return min(max(target.integer(key), 0), len(text))


def pronoun(record: Record) -> str:
    """Returns the pronoun of a CLUEWSC2020 record."""
    return _target(record).string("span2_text")


def _target(record: Record) -> Record:
    content: Mapping[str, Any] = record.value("target", dict, "an object with span1_text, span1_index, ...")
    return Record(record.path, record.line, content)
