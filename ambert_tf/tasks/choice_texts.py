"""The sequences of multiple-choice examples: one for each choice."""

import re

from ambert_tf.tasks.declaration import ReadOptions, Texts
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.multiple_choice_files import BLANK

# RACE writes the place that a choice fills as one underscore or several, spaces between them or around.
GAP = re.compile(r"\s*_(?:[\s_]*_)?\s*")


def question_and_choices(record: Record, options: ReadOptions) -> tuple[Texts, ...]:
    """Returns a sequence for each choice: the context, and the question followed by the choice.

    A question with a gap, `… is _ .`, has the choice in it.
    """
    context, question = record.string("context"), record.string("question")
    return tuple(Texts(context, fill(question, choice)) for choice in record.strings("choices"))


def fill(question: str, choice: str) -> str:
    """Returns a question with a choice in its gap, or behind it."""
    if len(GAP.findall(question)) == 1:
        return GAP.sub(lambda _: f" {choice} ", question).strip()
    return f"{question} {choice}"


def idioms_in_blank(record: Record, options: ReadOptions) -> tuple[Texts, ...]:
    """Returns a sequence for each idiom: the idiom, and the text around the blank with the idiom in it.

    Other blanks of the text are left out. Of a long text the characters next to the blank are kept, as many on each
    side, as CLUE's baseline does: the tokenizer would cut off the end alone.
    """
    before, after = (BLANK.sub("", record.string(key)) for key in ("before", "after"))
    choices = record.strings("choices")
    longest = max(map(len, choices))
    room = max(options.max_seq_length - 3 - 2 * longest, 2)
    left = min(len(before), max(room // 2, room - len(after)))
    before, after = before[len(before) - left :], after[: room - left]
    return tuple(Texts(choice, f"{before}{choice}{after}") for choice in choices)
