"""GLUE's tasks (Wang et al., 2018), from the official tables or from `glue` of TensorFlow Datasets."""

import dataclasses
import os
from collections.abc import Iterator

from ambert_tf.errors import InputError
from ambert_tf.files import exists
from ambert_tf.models.task_config import REGRESSION
from ambert_tf.tasks.declaration import (
    FILE_FLAGS,
    Label,
    Leaderboard,
    Task,
    TfdsSource,
    columns,
    files,
    named_labels,
)
from ambert_tf.tasks.json_lines import Record, text_lines
from ambert_tf.tasks.tables import glue_table

GLUE_PAGE = "https://gluebenchmark.com/tasks"
GLUE_SOURCE = "google-research/bert, README: sentence and sentence-pair classification tasks"
DEFAULTS = {"learning_rate": 2e-5, "train_batch_size": 32, "num_train_epochs": 3}
ENTAILMENT = named_labels("entailment", "not_entailment")
NLI = named_labels("entailment", "neutral", "contradiction")
TSV = files("train.tsv", "dev.tsv", "test.tsv")


def _leaderboard(name: str) -> Leaderboard:
    return Leaderboard(file=f"{name}.tsv", format="glue")


COLA = Task(
    name="cola",
    description="linguistic acceptability of English sentences",
    texts=columns("sentence"),
    records=glue_table(("sentence",), headless=("source", "label", "notation", "sentence")),
    files=TSV,
    directories=("CoLA",),
    labels=(Label("0", "unacceptable"), Label("1", "acceptable")),
    metrics=("matthews_correlation", "accuracy"),
    leaderboard=_leaderboard("CoLA"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(names=("glue/cola",)),
)

SST2 = Task(
    name="sst2",
    description="sentiment of sentences from film reviews",
    texts=columns("sentence"),
    records=glue_table(("sentence",)),
    files=TSV,
    directories=("SST-2",),
    labels=(Label("0", "negative"), Label("1", "positive")),
    leaderboard=_leaderboard("SST-2"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(names=("glue/sst2",)),
)

MRPC_DEV_IDS = "dev_ids.tsv"
_mrpc_table = glue_table(("#1 String", "#2 String"))


def _mrpc_records(path: str, flag: str) -> Iterator[Record]:
    """Reads MRPC: GLUE's tables, or Microsoft's, whose training file dev_ids.tsv splits into train and dev."""
    if os.path.basename(path) != "msr_paraphrase_train.txt":
        yield from _mrpc_table(path, flag)
        return
    ids_file = os.path.join(os.path.dirname(path), MRPC_DEV_IDS)
    if not exists(ids_file):
        raise InputError(
            f"--{flag}={path}: GLUE's {MRPC_DEV_IDS}, which splits it into train and dev, is expected in the same "
            "directory"
        )
    pairs = {tuple(line.split()) for _, line in text_lines(ids_file, flag)}
    for record in _mrpc_table(path, flag):
        of_dev = (record.content["#1 ID"], record.content["#2 ID"]) in pairs
        if of_dev == (flag == FILE_FLAGS["dev"]):
            yield record


MRPC = Task(
    name="mrpc",
    description="paraphrase detection on news sentence pairs",
    texts=columns("#1 String", "#2 String"),
    pair=True,
    records=_mrpc_records,
    files=files(
        "train.tsv|msr_paraphrase_train.txt", "dev.tsv|msr_paraphrase_train.txt", "test.tsv|msr_paraphrase_test.txt"
    ),
    directories=("MRPC",),
    label_key="Quality",
    labels=(Label("0", "not_equivalent"), Label("1", "equivalent")),
    metrics=("accuracy", "f1"),
    positive_label="1",
    leaderboard=_leaderboard("MRPC"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(
        names=("glue/mrpc",), columns={"sentence1": "#1 String", "sentence2": "#2 String", "label": "Quality"}
    ),
)

STSB = Task(
    name="stsb",
    description="semantic similarity of two sentences, from 0 to 5",
    form=REGRESSION,
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=glue_table(("sentence1", "sentence2")),
    files=TSV,
    directories=("STS-B",),
    label_key="score",
    score_range=(0.0, 5.0),
    metrics=("pearson", "spearman"),
    leaderboard=_leaderboard("STS-B"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(names=("glue/stsb",), columns={"label": "score"}),
)

QQP = Task(
    name="qqp",
    description="paraphrase detection on Quora questions",
    texts=columns("question1", "question2"),
    pair=True,
    records=glue_table(("question1", "question2"), skip_short_lines=True),
    files=TSV,
    directories=("QQP",),
    label_key="is_duplicate",
    labels=(Label("0", "not_duplicate"), Label("1", "duplicate")),
    metrics=("accuracy", "f1"),
    positive_label="1",
    leaderboard=_leaderboard("QQP"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(names=("glue/qqp",), columns={"label": "is_duplicate"}),
)


def _mnli(name: str, description: str, dev: str, test: str, tfds: TfdsSource, board: str, **more: object) -> Task:
    values: dict = {
        "files": files("train.tsv", dev, test), "directories": ("MNLI", "multinli_1.0"), "defaults": DEFAULTS,
        "defaults_source": GLUE_SOURCE,
        "records": glue_table(("sentence1", "sentence2")), **more,
    }  # fmt: skip
    return Task(
        name=name,
        description=description,
        texts=columns("sentence1", "sentence2"),
        pair=True,
        label_key="gold_label",
        labels=NLI,
        no_gold_labels=frozenset(("-",)),
        leaderboard=_leaderboard(board),
        download_page=GLUE_PAGE,
        tfds=tfds,
        **values,
    )


MNLI_COLUMNS = {"premise": "sentence1", "hypothesis": "sentence2", "label": "gold_label"}


def _mnli_tfds(kind: str) -> TfdsSource:
    splits = {"train": "train", "dev": f"validation_{kind}", "test": f"test_{kind}"}
    return TfdsSource(names=("glue/mnli",), splits=splits, columns=MNLI_COLUMNS)


MNLI = _mnli(
    "mnli", "natural language inference, matched genres",
    "dev_matched.tsv", "test_matched.tsv", _mnli_tfds("matched"), "MNLI-m", also=("mnli_mismatched", "ax"),
)  # fmt: skip

MNLI_MISMATCHED = _mnli(
    "mnli_mismatched", "MNLI's mismatched genres, for mnli models",
    "dev_mismatched.tsv", "test_mismatched.tsv", _mnli_tfds("mismatched"), "MNLI-mm", trained_as="mnli",
)  # fmt: skip

_labelled_ax = glue_table(("Premise", "Hypothesis", "Label"))


def _ax_records(path: str, flag: str) -> Iterator[Record]:
    """Reads the diagnostic set. diagnostic-full.tsv, the file with labels, has different columns."""
    if flag != FILE_FLAGS["dev"]:
        yield from glue_table(("sentence1", "sentence2"))(path, flag)
        return
    for record in _labelled_ax(path, flag):
        names = {"Premise": "sentence1", "Hypothesis": "sentence2", "Label": "gold_label"}
        yield Record(path, record.line, {names.get(name, name): value for name, value in record.content.items()})


AX = _mnli(
    "ax", "GLUE's diagnostic set, for mnli models",
    "diagnostic-full.tsv", "diagnostic.tsv|AX.tsv",
    TfdsSource(names=("glue/ax",), splits={"test": "test"}, columns=MNLI_COLUMNS), "AX",
    directories=("AX", "diagnostic", "MNLI"), trained_as="mnli", records=_ax_records,
    metrics=("matthews_correlation", "accuracy"),
)  # fmt: skip

RTE = Task(
    name="rte",
    description="textual entailment",
    texts=columns("sentence1", "sentence2"),
    pair=True,
    records=glue_table(("sentence1", "sentence2")),
    files=TSV,
    directories=("RTE",),
    labels=ENTAILMENT,
    leaderboard=_leaderboard("RTE"),
    download_page=GLUE_PAGE,
    defaults=DEFAULTS,
    defaults_source=GLUE_SOURCE,
    tfds=TfdsSource(names=("glue/rte",)),
)

QNLI = dataclasses.replace(
    RTE,
    name="qnli",
    description="natural language inference: a question and a sentence that may answer it",
    texts=columns("question", "sentence"),
    records=glue_table(("question", "sentence")),
    directories=("QNLI",),
    leaderboard=_leaderboard("QNLI"),
    tfds=TfdsSource(names=("glue/qnli",)),
)

WNLI = dataclasses.replace(
    RTE,
    name="wnli",
    description="natural language inference: a sentence and its copy with the pronoun replaced",
    directories=("WNLI",),
    labels=(Label("0", "not_entailment"), Label("1", "entailment")),
    leaderboard=_leaderboard("WNLI"),
    tfds=TfdsSource(names=("glue/wnli",)),
)

TASKS = (COLA, SST2, MRPC, STSB, QQP, MNLI, MNLI_MISMATCHED, AX, QNLI, RTE, WNLI)
