"""The requests used to verify an export: built-in texts, or a file given by the user."""

import codecs
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ambert_tf.errors import InputError
from ambert_tf.files import check_input_file, parse_json, read_bytes
from ambert_tf.models.task_config import CLASSIFICATION, IDIOMS, MULTIPLE_CHOICE, REGRESSION, SPANS, TaskConfig
from ambert_tf.models.task_inputs import input_specs, pad_choices
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labels import find_label, label_indices

# The key of the gold label or answer in a file of requests.
RIGHT_ANSWERS = {CLASSIFICATION: "label", MULTIPLE_CHOICE: "choice", SPANS: "answer", REGRESSION: "score"}

TEXTS = (
    "服务很好,下次还来",
    "The parcel arrived on time, thank you.",
    "😀👍 笑死我了",
    "iPhone 15 Pro Max 256GB 只要 5999 元",
    "ＡＢＣ１２３，全角文字！",
    "南京市长江大桥是长江上第一座由中国自行设计和建造的双层式铁路、公路两用桥梁。",
    "We had been walking for two hours when the rain began, and nobody had thought of bringing a coat.",
    "",
    " \t\n",
    "南京市长江大桥" * 200,
)


class Requests(NamedTuple):
    """Requests for a signature.

    Attributes:
      columns: values by input of the signature.
      right: the gold labels, choices, answers or scores, None for an unknown one; or None if the file has none.
    """

    columns: dict[str, list[Any]]
    right: list[Any] | None = None


def built_in(task: TaskConfig) -> Requests:
    """Returns requests with various texts, including empty ones and one that exceeds the maximum length."""
    count = len(TEXTS)
    turned = [TEXTS[(index + 3) % count] for index in range(count)]
    values: dict[str, list[Any]] = {
        "text": list(TEXTS),
        "text_pair": turned,
        "question": turned,
        "context": list(TEXTS),
        "choices": [[TEXTS[(index + step) % 5] for step in range(3)] for index in range(count)],
        "span1_text": [text[:2] for text in TEXTS],
        "span1_index": [0] * count,
        "span2_text": [text[3:4] for text in TEXTS],
        "span2_index": [3] * count,
    }
    if task.inputs == IDIOMS:
        values["context"] = [f"{text[:5]}#idiom000001#{text[5:]}" for text in TEXTS]
        values["question"] = ["#idiom000001#"] * count
    return Requests({name: values[name] for name in input_specs(task)})


def read_requests(path: str, task: TaskConfig) -> Requests:
    """Reads requests from a file.

    Args:
      path: JSON lines with the signature's inputs and, if known, the gold label or answer (see `RIGHT_ANSWERS`); or
        lines of text, for a signature that takes a single text.
      task: the task of the signature.

    Raises:
      InputError: a line is invalid.
    """
    check_input_file(path, "check_file")
    names = list(input_specs(task))
    lines = read_bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n")
    content = [(number, line.rstrip(b"\r")) for number, line in enumerate(lines, 1) if line.strip()]
    if not content:
        raise InputError(f"--check_file={path}: has only blank lines")
    if not content[0][1].lstrip().startswith(b"{"):
        if names != ["text"]:
            raise InputError(f'--check_file={path}: JSON lines with {", ".join(names)} are expected')
        return Requests({"text": [line.decode("utf-8", "replace") for _, line in content]})
    columns: dict[str, list[Any]] = {name: [] for name in names}
    right: list[Any] = []
    key = RIGHT_ANSWERS.get(task.form)  # None for sequence labelling, whose accuracy is not measured
    for number, line in content:
        try:
            record = parse_json(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not set(names) <= set(record):
            raise InputError(f"{path}, line {number}: a JSON object with {', '.join(names)} is expected")
        for name in names:
            if problem := wrong_value(name, record[name]):
                raise InputError(f"{path}, line {number}: {name} {problem}")
            columns[name].append(record[name])
        answer = record.get(key) if key else None
        if task.form == CLASSIFICATION:
            answer = _label(task, Record(path, number, record))
        if answer is not None and (problem := _wrong_answer(task, answer, record)):
            raise InputError(f"{path}, line {number}: {key} {problem}")
        right.append(answer)
    if "choices" in columns:  # pad with empty strings, because a batch is rectangular
        columns["choices"] = pad_choices(columns["choices"])
    return Requests(columns, right if any(answer is not None for answer in right) else None)


def _label(task: TaskConfig, record: Record) -> str | None:
    """Returns the label of a record, spelled as in the model, or None if it has none."""
    name = record.name(RIGHT_ANSWERS[CLASSIFICATION]) or None
    index = find_label(label_indices(task.labels), name or "")
    return name if index is None else task.labels[index]


def _wrong_answer(task: TaskConfig, answer: Any, record: Mapping[str, Any]) -> str | None:
    """Describes what is wrong with a gold label or answer, or returns None if it is valid."""
    is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
    if task.form == CLASSIFICATION and answer not in task.labels:
        return f"is {answer!r:.100}; the labels are {', '.join(task.labels[:20])}"
    if task.form == REGRESSION and not (is_number and math.isfinite(answer)):
        return f"is {answer!r:.100}; a number is expected"
    if task.form == MULTIPLE_CHOICE:
        count = len(record["choices"])
        if not (is_number and isinstance(answer, int) and 0 <= answer < count):
            return f"is {answer!r:.100}; an int from 0 to {count - 1} is expected"
    if task.form == SPANS and not isinstance(answer, str):
        return f"is {answer!r:.100}; a string is expected"
    return None


def wrong_value(name: str, value: Any) -> str | None:
    """Describes what is wrong with the value of an input, or returns None if it is valid."""
    if name == "choices":
        if not isinstance(value, list | tuple):
            return f"is {value!r:.100}; a list of strings is expected"
        wrong = [choice for choice in value if not (isinstance(choice, str | bytes) and _is_unicode(choice))]
        return f"has {wrong[0]!r:.100}; strings are expected" if wrong else None
    if name.endswith("_index"):
        return None if _is_index(value) else f"is {value!r:.100}; an int is expected"
    return None if isinstance(value, str | bytes) and _is_unicode(value) else f"is {value!r:.100}; a string is expected"


def _is_index(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < 2**31


def _is_unicode(value: str | bytes) -> bool:
    """Returns whether UTF-8 can express a string; a lone surrogate it cannot."""
    try:
        if isinstance(value, str):
            value.encode()
    except UnicodeEncodeError:
        return False
    return True
