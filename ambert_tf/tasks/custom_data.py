"""Tasks for data of one's own: JSON lines, or tables with a header; a text or two and what to predict."""

import dataclasses
from collections.abc import Iterator

from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION
from ambert_tf.tasks.choice_texts import question_and_choices
from ambert_tf.tasks.declaration import Task, columns, files
from ambert_tf.tasks.json_lines import Record, read_json_lines
from ambert_tf.tasks.tables import csv_table


def own_records(path: str, flag: str) -> Iterator[Record]:
    """Reads a table from `.csv` and `.tsv`, and JSON lines from any other file."""
    return csv_table(path, flag) if path.endswith((".csv", ".tsv")) else read_json_lines(path, flag)


ANY_FORMAT = files(*("|".join(f"{split}.{end}" for end in ("json", "jsonl", "csv", "tsv"))
                     for split in ("train", "dev", "test")))  # fmt: skip


SENTENCE = Task(
    name="sentence",
    description="own data: JSON lines or a table with sentence and label",
    texts=columns("sentence"),
    records=own_records,
    files=ANY_FORMAT,
)

SENTENCE_PAIR = Task(
    name="sentence_pair",
    description="own data: JSON lines or a table with sentence1, sentence2 and label",
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=own_records,
    files=ANY_FORMAT,
)

SCORE = Task(
    name="sentence_pair_score",
    description="own data: JSON lines or a table with sentence1, sentence2 and score, a number",
    form=REGRESSION,
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=own_records,
    files=ANY_FORMAT,
    label_key="score",
    metrics=("pearson", "spearman"),
)

CHOICE = Task(
    name="choice",
    description="own data: JSON lines with context, question, choices (a list) and answer (an index from 0)",
    form=MULTIPLE_CHOICE,
    texts=question_and_choices,
    pair=True,
    label_key="answer",
)

REVIEWS = dataclasses.replace(SENTENCE, name="reviews", description="own data: reviews, as `sentence`")

TASKS = (SENTENCE, SENTENCE_PAIR, SCORE, CHOICE, REVIEWS)
