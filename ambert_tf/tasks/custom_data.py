"""Tasks for your own data: JSON lines or tables with one or two texts and a label, a score or choices."""

import dataclasses
from collections.abc import Callable, Iterator

from ambert_tf.files import check_input_file, open_input
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION
from ambert_tf.tasks.declaration import FILE_FLAGS, Task, columns, files
from ambert_tf.tasks.json_lines import Record, read_json_lines
from ambert_tf.tasks.record_inputs import question_and_choices
from ambert_tf.tasks.tables import csv_table

TABLE_ENDINGS = (".csv", ".tsv")
JSON_ENDINGS = (".json", ".jsonl")


def custom_records(*names: str, label: str) -> Callable[[str, str], Iterator[Record]]:
    """Returns a reader for JSON lines and tables. The format is detected from the file extension or the first bytes.

    Args:
      *names: text columns.
      label: label or score column, which may be missing in a file to predict.
    """

    def read(path: str, flag: str) -> Iterator[Record]:
        if not _is_table(path, flag):
            return read_json_lines(path, flag)
        return csv_table(path, flag, names if flag == FILE_FLAGS["test"] else (*names, label))

    return read


def _is_table(path: str, flag: str) -> bool:
    ending = path.lower()
    if ending.endswith(TABLE_ENDINGS + JSON_ENDINGS):
        return ending.endswith(TABLE_ENDINGS)
    check_input_file(path, flag)
    with open_input(path) as file:
        return not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


ANY_FORMAT = files(*("|".join(f"{split}.{ending}" for ending in ("json", "jsonl", "csv", "tsv", "CSV", "TSV"))
                     for split in ("train", "dev", "test")))  # fmt: skip

SENTENCE = Task(
    name="sentence",
    description="your own data: JSON lines or a table with sentence and label",
    texts=columns("sentence"),
    records=custom_records("sentence", label="label"),
    files=ANY_FORMAT,
)

SENTENCE_PAIR = Task(
    name="sentence_pair",
    description="your own data: JSON lines or a table with sentence1, sentence2 and label",
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=custom_records("sentence1", "sentence2", label="label"),
    files=ANY_FORMAT,
)

SCORE = Task(
    name="sentence_pair_score",
    description="your own data: JSON lines or a table with sentence1, sentence2 and a numeric score",
    form=REGRESSION,
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=custom_records("sentence1", "sentence2", label="score"),
    files=ANY_FORMAT,
    label_key="score",
    metrics=("pearson", "spearman"),
)

CHOICE = Task(
    name="choice",
    description="your own data: JSON lines with context, question, choices (a list) and answer (an index from 0)",
    form=MULTIPLE_CHOICE,
    texts=question_and_choices,
    pair=True,
    label_key="answer",
    files=files("train.json|train.jsonl", "dev.json|dev.jsonl", "test.json|test.jsonl"),
)

REVIEWS = dataclasses.replace(SENTENCE, name="reviews", description="your own data: reviews, in `sentence` files")

TASKS = (SENTENCE, SENTENCE_PAIR, SCORE, CHOICE, REVIEWS)
