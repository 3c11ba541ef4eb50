"""CLUEWSC2020's texts: a noun and a pronoun, each with marks around it, as in CLUE's baseline."""

from collections.abc import Mapping
from typing import Any

from ambert_tf.tasks.declaration import ReadOptions, Texts
from ambert_tf.tasks.json_lines import Record, shown

PRONOUNS_OF_WOMEN = ("她", "她们", "她俩")
MARKS = {1: ("_", "_"), 2: ("[", "]")}


def pronoun(record: Record) -> str:
    """Returns the second span, the pronoun."""
    return _target(record).string("span2_text")


def text_with_marks(record: Record, options: ReadOptions) -> Texts:
    """Returns the text with `_noun_` and `[pronoun]`.

    Of a text too long for the model the part around both is kept.

    Raises:
      InputError: a span is not in the text.
    """
    text, target = record.string("text"), _target(record)
    spans = {number: _place(record, text, target, number) for number in MARKS}
    first, last = min(start for start, _ in spans.values()), max(end for _, end in spans.values())
    room = max(options.max_seq_length - 2 - 4 - (last - first), 0)
    begin = max(0, min(first - room // 2, len(text) - (last - first) - room))
    end = max(last, begin + room + last - first)
    marks = [
        (place, opens, mark)
        for number, span in spans.items()
        for place, opens, mark in zip(span, (True, False), MARKS[number], strict=True)
    ]
    # Marks go in from the end of the text; at one place the opening one first, so that a closing one stands before it.
    for place, _, mark in sorted(marks, key=lambda item: item[:2], reverse=True):
        text = text[:place] + mark + text[place:]
    return Texts(text[begin : end + len(marks)])


def _target(record: Record) -> Record:
    content: Mapping[str, Any] = record.value("target", dict, "an object with span1_text, span1_index and so on")
    return Record(record.path, record.line, content)


def _place(record: Record, text: str, target: Record, number: int) -> tuple[int, int]:
    """Returns where a span begins and ends; the nearest place where the data are a few characters out."""
    span, index = target.string(f"span{number}_text"), target.integer(f"span{number}_index")
    if not span or text[index : index + len(span)] != span:
        places = [place for place in range(len(text)) if text.startswith(span, place)]
        if not span or not places:
            raise record.error(f"span{number}_text {shown(span)} is not in the text")
        index = min(places, key=lambda place: abs(place - index))
    return index, index + len(span)
