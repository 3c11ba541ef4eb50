"""Files of multiple-choice tasks: C3, RACE and ChID, each as records with a context, a question and choices.

A record has `id`, `context`, `question`, `choices` (strings) and, where it is known, `answer`, the index of the right
choice. ChID's have `before` and `after`, the text on both sides of the blank, and `group`, the line's number.
"""

import glob
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.tasks.json_lines import Record, read_json, read_json_lines, shown

# #idiom000123# in ChID; FewCLUE's has one blank a text and writes #idiom#.
BLANK = re.compile(r"#idiom\d*#")
LETTERS = "ABCDEFGH"


def c3_records(path: str, flag: str) -> Iterator[Record]:
    """Reads C3 (Sun et al., 2020): a list of [lines of the document, questions, document's id].

    Raises:
      InputError: it is no such list, or an answer is not among its choices.
    """
    expected = 'a list of [["line", …], [{"question": …, "choice": […], "answer": …}, …], "id"]'
    number = 0
    for index, document in enumerate(_list(read_json(path, flag, expected), path, expected)):
        place = f"document {index + 1}"
        if not isinstance(document, list) or len(document) < 2 or not isinstance(document[1], list):
            raise InputError(f"{path}, {place}: is {shown(document)}; {expected} is expected")
        lines = Record(path, place, {"lines": document[0]}).strings("lines")
        for question in document[1]:
            found = Record(path, f"{place}, question {number + 1}", _object(question, path, place))
            choices = found.strings("choice")
            content: dict[str, Any] = {
                "id": question.get("id", f"{os.path.splitext(os.path.basename(path))[0]}-{number}"),
                "context": "\n".join(lines),
                "question": found.string("question"),
                "choices": choices,
            }
            if question.get("answer"):  # a test file may have it empty
                answer = found.string("answer")
                if answer not in choices:
                    raise found.error(f"the answer {shown(answer)} is not among the choices {shown(choices)}")
                content["answer"] = choices.index(answer)
            number += 1
            yield Record(path, found.line, content)


def race_records(path: str, flag: str) -> Iterator[Record]:
    """Reads RACE (Lai et al., 2017): a directory with `middle/` and `high/`, or one of them, of JSON files `*.txt`.

    Raises:
      InputError: there are no such files, or one is wrong.
    """
    names = [path] if os.path.isfile(path) else sorted(glob.glob(os.path.join(path, "**", "*.txt"), recursive=True))
    if not names:
        raise InputError(f"--{flag}={path}: holds no *.txt; RACE's {path}/middle/*.txt and high/*.txt are expected")
    for name in names:
        document = read_json(name, flag, 'an object with "article", "questions", "options" and "answers"')
        record = Record(name, "document", _object(document, name, "document"))
        article, questions = record.string("article"), record.strings("questions")
        options = record.value("options", list, "a list of lists of strings")
        answers = record.strings("answers") if "answers" in document else [""] * len(questions)
        if not len(questions) == len(options) == len(answers):
            raise record.error(f"has {len(questions)} questions, {len(options)} options and {len(answers)} answers")
        identity = str(document.get("id", os.path.basename(name)))
        level = os.path.basename(os.path.dirname(name))
        stem = identity if identity.startswith(("middle", "high")) else f"{level}{identity}"
        for index, question in enumerate(questions):
            found = Record(name, f"question {index + 1}", {"options": options[index]})
            choices = found.strings("options")
            content: dict[str, Any] = {
                "id": f"{stem}-{index}", "context": article, "question": question, "choices": choices
            }  # fmt: skip
            if answers[index]:
                if answers[index] not in tuple(LETTERS[: len(choices)]):
                    raise found.error(f"the answer is {shown(answers[index])}; it must be a letter up to "
                                      f"{LETTERS[len(choices) - 1]}")  # fmt: skip
                content["answer"] = LETTERS.index(answers[index])
            yield Record(name, found.line, content)


def chid_records(path: str, flag: str) -> Iterator[Record]:
    """Reads ChID (Zheng et al., 2019), one record a blank.

    CLUE's lines have `content`, a list of texts with blanks such as `#idiom000123#`, and ten `candidates` for all of
    them; the answers stand in another file, `train_answer.json` for `train.json`, as one object of the blanks' names
    and indices. FewCLUE's lines have one text as `content`, seven `candidates` and `answer`.

    Raises:
      InputError: a line or an answer is wrong.
    """
    answers = _chid_answers(path)
    answer_file = os.path.basename(_answer_file(path))
    for line in read_json_lines(path, flag):
        candidates = line.strings("candidates")
        if not candidates:
            raise line.error("has no candidates")
        content = line.content.get("content")
        texts = [content] if isinstance(content, str) else line.strings("content")
        # One text of several may be without a blank: it asks nothing.
        if not any(map(BLANK.search, texts)):
            raise line.error(f"has no blank such as #idiom000123# in {shown(content)}")
        for text in texts:
            for blank in BLANK.finditer(text):
                tag = blank.group()
                record: dict[str, Any] = {
                    "id": line.content.get("id", line.line) if tag == "#idiom#" else tag,
                    "before": text[: blank.start()],
                    "after": text[blank.end() :],
                    "choices": candidates,
                    "group": line.line,
                }
                answer = line.content.get("answer") if answers is None else answers.get(tag)
                if answers is not None and answer is None:
                    raise line.error(f"the blank {tag} has no answer in {_answer_file(path)}")
                if answer is not None:
                    if not isinstance(answer, int) or not 0 <= answer < len(candidates):
                        raise line.error(
                            f"the answer of {tag} is {shown(answer)}; it must be from 0 to {len(candidates) - 1}"
                        )
                    record["answer"] = answer
                elif tag != "#idiom#":
                    record["answer_file"] = answer_file  # for an error, where an answer is needed
                yield Record(path, line.line, record)


def _answer_file(path: str) -> str:
    stem, ending = os.path.splitext(path)
    return f"{stem}_answer{ending}"


def _chid_answers(path: str) -> Mapping[str, Any] | None:
    """Returns the answers beside a file of ChID, None where there are none."""
    name = _answer_file(path)
    if not os.path.exists(name):
        return None
    return _object(read_json(name, "data_dir", 'an object such as {"#idiom000123#": 4}'), name, "answers")


def _list(value: Any, path: str, expected: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{path}: is {shown(value)}; {expected} is expected")
    return value


def _object(value: Any, path: str, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{path}, {place}: is {shown(value)}, not a JSON object")
    return value
