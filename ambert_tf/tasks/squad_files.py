"""Reader of span extraction files: SQuAD's JSON format, which CLUE's CMRC2018 shares, and CMRC2018's own.

A record has `id`, `question`, `context`, `answers` (a list of texts), `starts` (the character offset of each answer in
the context, or -1 if the file has none), `impossible` (SQuAD 2.0: the question has no answer) and `labelled` (the file
contains gold answers).
"""

from collections.abc import Iterator
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import Record, read_json, shown

EXPECTED = '{"data": [{"paragraphs": [{"context": …, "qas": [{"id": …, "question": …, "answers": […]}]}]}]}'
# CMRC2018's test file in CLUE has dummy answers with offset -1.
NO_PLACE = -1


def span_records(path: str, flag: str) -> Iterator[Record]:
    """Reads SQuAD 1.1 or 2.0, or CMRC2018 in SQuAD's layout or in its own (`context_text`, `query_text`).

    Raises:
      InputError: a key is missing or has a value of another type, two questions have the same id, or an answer is
        outside its context.
    """
    content = read_json(path, flag, EXPECTED)
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        questions = _squad_questions(content["data"], path)
    elif isinstance(content, list):
        questions = _cmrc_questions(content, path)
    else:
        raise InputError(f"{path}: is {shown(content)}; {EXPECTED} is expected")
    seen: set[str] = set()
    for record in questions:
        # Predictions are written by id, and JSON keys are strings, so 1 and "1" are the same id.
        name = str(record.content["id"])
        if name in seen:
            raise record.error("another question has the same id; ids must be unique")
        seen.add(name)
        yield record
    if not seen:
        raise InputError(f"{path}: has no questions; {EXPECTED} is expected")


def _squad_questions(articles: list[Any], path: str) -> Iterator[Record]:
    for number, article in enumerate(articles, 1):
        for paragraph in _part(article, "paragraphs", path, f"article {number}").value("paragraphs", list, "a list"):
            part = _part(paragraph, "qas", path, f"article {number}")
            context = part.string("context")
            for question in part.value("qas", list, "a list"):
                found = _part(question, "id", path, f"article {number}")
                name = found.identifier("id")
                found.line = f"question {name}"
                listed = found.content.get("answers")
                answers = [] if listed is None else found.value("answers", list, "a list of objects")
                parts = [_part(answer, "text", path, str(found.line)) for answer in answers]
                impossible = found.content.get("is_impossible", False)
                if impossible not in (False, True):  # also accepts 0 and 1
                    raise found.error(f"'is_impossible' is {shown(impossible)}; it must be true or false")
                yield _question(
                    found,
                    name,
                    context,
                    found.string("question"),
                    [part.string("text") for part in parts],
                    [part.integer("answer_start") for part in parts],
                    bool(impossible),
                    "answers" in found.content or "is_impossible" in found.content,
                )


def _cmrc_questions(articles: list[Any], path: str) -> Iterator[Record]:
    for number, article in enumerate(articles, 1):
        part = _part(article, "qas", path, f"article {number}")
        context = part.string("context_text")
        for question in part.value("qas", list, "a list"):
            found = _part(question, "query_id", path, f"article {number}")
            name = found.identifier("query_id")
            found.line = f"question {name}"
            answers = found.strings("answers") if found.content.get("answers") is not None else []
            starts = [context.find(answer) for answer in answers]
            yield _question(
                found, name, context, found.string("query_text"), answers, starts,
                labelled="answers" in found.content,
            )  # fmt: skip


def _question(
    found: Record,
    name: int | str,
    context: str,
    question: str,
    answers: list[str],
    starts: list[int],
    impossible: bool = False,
    labelled: bool = True,
) -> Record:
    for answer, start in zip(answers, starts, strict=True):
        if start != NO_PLACE and not 0 <= start < max(len(context), 1):
            raise found.error(
                f"the answer {shown(answer)} starts at character {start}, outside the context of length {len(context)}"
            )
    content = {
        "id": name,
        "context": context,
        "question": question,
        "answers": [] if impossible else answers,
        "starts": [] if impossible else starts,
        "impossible": impossible,
        "labelled": labelled,
    }
    return Record(found.path, found.line, content)


def _part(value: Any, key: str, path: str, place: str) -> Record:
    """Returns a JSON object of the file as a record. Other types or a missing key raise an InputError."""
    if not isinstance(value, dict):
        raise InputError(f"{path}, {place}: is {shown(value)}, not a JSON object; {EXPECTED} is expected")
    record = Record(path, place, value)
    if key not in value:
        raise record.error(f"the key {key!r} is missing; {EXPECTED} is expected")
    return record
