"""Readers of multiple-choice files: C3, RACE and ChID.

A record has `id`, `context`, `question`, `choices` (strings) and, if known, `answer`, the index of the correct choice.
ChID records have `before` and `after`, the text on both sides of the blank, and `group`. Blanks of the same group share
their candidates, and each candidate is correct at most once.
"""

import ast
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.files import exists, is_directory, is_file, list_directory
from ambert_tf.tasks.json_lines import Record, parse_json, read_json, shown, text_lines

# #idiom000123# in ChID. FewCLUE's texts have a single blank, #idiom#.
BLANK = re.compile(r"#idiom\d*#")
LETTERS = "ABCDEFGH"


def c3_records(path: str, flag: str) -> Iterator[Record]:
    """Reads C3 (Sun et al., 2020): a list of [lines of the document, questions, document id].

    Raises:
      InputError: the file has another format, or an answer is not among the choices.
    """
    expected = 'a list of [["line", …], [{"question": …, "choice": […], "answer": …}, …], "id"]'
    number = 0
    documents = read_json(path, flag, expected)
    if not isinstance(documents, list):
        raise InputError(f"{path}: is {shown(documents)}; {expected} is expected")
    for index, document in enumerate(documents):
        place = f"document {index + 1}"
        if not isinstance(document, list) or len(document) < 2 or not isinstance(document[1], list):
            raise InputError(f"{path}, {place}: is {shown(document)}; {expected} is expected")
        lines = Record(path, place, {"lines": document[0]}).strings("lines")
        for within, question in enumerate(document[1], 1):
            found = Record(path, f"{place}, question {within}", _object(question, path, place))
            choices = _choices(found, "choice")
            content: dict[str, Any] = {
                "id": question.get("id", f"{os.path.splitext(os.path.basename(path))[0]}-{number}"),
                "context": "\n".join(lines),
                "question": found.string("question"),
                "choices": choices,
            }
            if question.get("answer"):  # empty in some test files
                answer = found.string("answer")
                if answer not in choices:
                    raise found.error(f"the answer {shown(answer)} is not among the choices {shown(choices)}")
                content["answer"] = choices.index(answer)
            number += 1
            yield Record(path, found.line, content)


def race_records(path: str, flag: str) -> Iterator[Record]:
    """Reads RACE (Lai et al., 2017): a directory of JSON files `*.txt`, such as `train` with `high/` and `middle/`.

    Raises:
      InputError: a file is missing or invalid.
    """
    names = [path] if is_file(path) else sorted(_text_files(path))
    if not names:
        raise InputError(f"--{flag}={path}: has no *.txt; RACE's {path}/middle/*.txt and high/*.txt are expected")
    for name in names:
        document = read_json(name, flag, 'an object with "article", "questions", "options" and "answers"')
        record = Record(name, "document", _object(document, name, "document"))
        article, questions = record.string("article"), record.strings("questions")
        options = record.value("options", list, "a list of lists of strings")
        answers = record.strings("answers") if "answers" in document else [""] * len(questions)
        if not len(questions) == len(options) == len(answers):
            raise record.error(f"has {len(questions)} questions, {len(options)} options and {len(answers)} answers")
        identity = str(record.identifier("id")) if "id" in document else os.path.basename(name)
        level = os.path.basename(os.path.dirname(name))
        stem = identity if identity.startswith(("middle", "high")) else f"{level}{identity}"
        for index, question in enumerate(questions):
            found = Record(name, f"question {index + 1}", {"options": options[index]})
            choices = _choices(found, "options")
            content: dict[str, Any] = {
                "id": f"{stem}-{index}", "context": article, "question": question, "choices": choices
            }  # fmt: skip
            if answers[index]:
                letters = LETTERS[: len(choices)]
                if answers[index] not in tuple(letters):
                    raise found.error(f"the answer is {shown(answers[index])}; it must be a letter up to {letters[-1]}")
                content["answer"] = letters.index(answers[index])
            yield Record(name, found.line, content)


def _text_files(directory: str) -> Iterator[str]:
    for name in list_directory(directory):
        path = os.path.join(directory, name)
        if name.endswith(".txt"):
            yield path
        elif is_directory(path):
            yield from _text_files(path)


def chid_records(path: str, flag: str) -> Iterator[Record]:
    """Reads ChID (Zheng et al., 2019), one record per blank.

    - CLUE's files and those of the ChID competition: lines with `content`, a list of texts with blanks such as
      `#idiom000123#`, and ten `candidates` shared by all blanks. The answers are in a separate file:
      `train_answer.json`, one object with an index per blank, or `train_answer.csv`, lines such as `#idiom000123#,4`.
    - FewCLUE's: lines with one text as `content`, seven `candidates` and `answer`.
    - The paper's: lines with one text as `content`, a list of seven candidates per blank, and `groundTruth`, idioms.

    The lines are JSON, or Python dictionaries as in the competition's files. Texts without a blank are skipped. In a
    file to predict with one text per line, every line needs an answer, so the blank is assumed to be at the end.

    Raises:
      InputError: a line or an answer is invalid, or there are no blanks at all.
    """
    answer_file = _answer_file(path)
    answers = _chid_answers(answer_file) if exists(answer_file) else None
    without_blank = blanks = 0
    for number, text in text_lines(path, flag):
        if not text.strip():
            continue
        line = Record(path, number, _json_or_python(text, path, number))
        content = line.content.get("content")
        texts = [content] if isinstance(content, str) else line.strings("content")
        if not any(map(BLANK.search, texts)):
            if not isinstance(content, str) or flag != "predict_file":
                without_blank += 1
                continue
            texts = [f"{content}#idiom#"]
        for record in _line_records(line, texts, answers, answer_file):
            blanks += 1
            yield record
    if not blanks:
        raise InputError(f"{path}: has no blank such as #idiom000123#")
    if without_blank:
        logging.warning("%s: %d lines without a blank are skipped", path, without_blank)


def _line_records(
    line: Record, texts: list[str], answers: Mapping[str, Any] | None, answer_file: str
) -> Iterator[Record]:
    """Yields the record of each blank in a line of ChID."""
    blanks = [(text, blank) for text in texts for blank in BLANK.finditer(text)]
    given = line.value("candidates", list, "a list of strings")
    per_blank = bool(given) and all(isinstance(candidates, list) for candidates in given)
    if per_blank and len(given) != len(blanks):
        raise line.error(f"has {len(blanks)} blanks and {len(given)} lists of candidates")
    right = line.strings("groundTruth") if per_blank and "groundTruth" in line.content else []
    if right and len(right) != len(blanks):
        raise line.error(f"has {len(blanks)} blanks and {len(right)} idioms in 'groundTruth'")
    for index, (text, blank) in enumerate(blanks):
        tag = blank.group()
        choices = _choices(Record(line.path, line.line, {"candidates": given[index]}) if per_blank else line,
                           "candidates")  # fmt: skip
        # Lines of several files have the same numbers.
        group = f"{line.path}:{line.line}"
        identity: int | str = tag
        if tag == "#idiom#":
            identity = line.identifier("id") if line.content.get("id") is not None else line.line
            if per_blank:
                identity = f"{identity}-{index}"
        record: dict[str, Any] = {
            "id": identity,
            "before": text[: blank.start()],
            "after": text[blank.end() :],
            "choices": choices,
            "group": f"{group}-{index}" if per_blank else group,
        }
        answer: Any
        if right:
            answer = choices.index(right[index]) if right[index] in choices else right[index]
        else:
            answer = line.content.get("answer") if answers is None else answers.get(tag)
            if answers is not None and answer is None:
                raise line.error(f"the blank {tag} has no answer in {answer_file}")
        if answer is not None:
            if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
                raise line.error(f"the answer of {tag} is {shown(answer)}; it must be from 0 to {len(choices) - 1}")
            record["answer"] = answer
        elif tag != "#idiom#":
            record["answer_file"] = os.path.basename(answer_file)  # for the error message if an answer is required
        yield Record(line.path, line.line, record)


def _answer_file(path: str) -> str:
    """Returns the name of the answer file of a ChID file. An existing file is preferred."""
    stem, ending = os.path.splitext(path)
    names = [f"{stem}_answer{other}" for other in dict.fromkeys((ending, ".json", ".csv"))]
    default = f"{stem}_answer.csv" if ending == ".txt" else names[0]
    return next(filter(exists, names), default)


def _chid_answers(path: str) -> Mapping[str, Any]:
    if not path.lower().endswith(".csv"):
        expected = 'an object such as {"#idiom000123#": 4}'
        return _object(read_json(path, "data_dir", expected), path, "answers")
    answers: dict[str, int] = {}
    for number, line in text_lines(path, "data_dir"):
        tag, _, answer = (part.strip(' "') for part in line.partition(","))
        if BLANK.fullmatch(tag) and answer.isdecimal() and len(answer) < 10:
            answers[tag] = int(answer)
        elif line.strip() and (number > 1 or "#" in line):  # The first line may be a header.
            raise InputError(f"{path}, line {number}: is {shown(line)}; a line such as #idiom000123#,4 is expected")
    return answers


def _json_or_python(text: str, path: str, number: int) -> Mapping[str, Any]:
    """Parses a line of ChID, which is JSON or a Python dictionary literal."""
    try:
        value = parse_json(text)
    except ValueError as error:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about invalid escape sequences
                value = ast.literal_eval(text.strip())
            # A lone surrogate cannot be encoded.
            json.dumps(value, ensure_ascii=False, default=str).encode()
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise InputError(
                f"{path}, line {number}: is neither JSON ({error}) nor a Python dictionary; an object with content "
                "and candidates is expected"
            ) from None
    return _object(value, path, f"line {number}")


def _choices(record: Record, key: str) -> list[str]:
    choices = record.strings(key)
    if not choices:
        raise record.error(f"has no {key if key.endswith('s') else key + 's'}")
    if key == "options" and len(choices) > len(LETTERS):
        raise record.error(f"has {len(choices)} options; at most {len(LETTERS)} are supported")
    return choices


def _object(value: Any, path: str, place: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{path}, {place}: is {shown(value)}, not a JSON object")
    return value
