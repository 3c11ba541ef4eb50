"""Reading comprehension: SQuAD (Rajpurkar et al., 2016, 2018), CMRC2018 (Cui et al., 2018), RACE (Lai et al., 2017)."""

import dataclasses

from ambert_tf.models.task_config import MULTIPLE_CHOICE, SPANS
from ambert_tf.tasks.declaration import Leaderboard, Task, TfdsSource, files
from ambert_tf.tasks.multiple_choice_files import race_records
from ambert_tf.tasks.record_inputs import question_and_choices, question_and_context
from ambert_tf.tasks.squad_files import span_records

SQUAD_PAGE = "https://rajpurkar.github.io/SQuAD-explorer/"
SQUAD_README = "google-research/bert, README: SQuAD"


SQUAD1 = Task(
    name="squad1",
    description="SQuAD 1.1: extractive question answering on Wikipedia paragraphs",
    form=SPANS,
    texts=question_and_context,
    pair=True,
    records=span_records,
    files=files("train-v1.1.json|train.json", "dev-v1.1.json|dev.json", "test-v1.1.json|test.json|dev-v1.1.json"),
    directories=("squad1", "SQuAD1.1", "squad", "SQuAD"),
    metrics=("f1", "exact_match"),
    download_page=SQUAD_PAGE,
    defaults={"learning_rate": 3e-5, "train_batch_size": 12, "num_train_epochs": 2, "max_seq_length": 384},
    defaults_source=SQUAD_README,
    tfds=TfdsSource(names=("squad/v1.1",), splits={"train": "train", "dev": "validation"}),
)

SQUAD2 = dataclasses.replace(
    SQUAD1,
    name="squad2",
    description="SQuAD 2.0: extractive question answering with unanswerable questions",
    files=files("train-v2.0.json|train.json", "dev-v2.0.json|dev.json", "test-v2.0.json|test.json|dev-v2.0.json"),
    directories=("squad2", "SQuAD2.0", "squad", "SQuAD"),
    null_answers=True,
    defaults={"learning_rate": 3e-5, "train_batch_size": 24, "num_train_epochs": 2, "max_seq_length": 384},
    defaults_source=SQUAD_README,
    tfds=TfdsSource(names=("squad/v2.0",), splits={"train": "train", "dev": "validation"}),
)

CMRC2018 = dataclasses.replace(
    SQUAD1,
    name="cmrc2018",
    description="extractive question answering on Chinese Wikipedia passages",
    files=files(
        "train.json|cmrc2018_train.json", "dev.json|cmrc2018_dev.json",
        "test.json|cmrc2018_test.json|trial.json|cmrc2018_trial.json",
    ),
    directories=("cmrc2018", "cmrc2018_public"),
    leaderboard=Leaderboard(file="cmrc2018_predict.json", format="text_by_id"),
    metrics=("mixed_f1", "mixed_exact_match"),
    download_page="https://github.com/ymcui/cmrc2018",
    defaults={
        "learning_rate": 3e-5, "train_batch_size": 32, "num_train_epochs": 2, "max_seq_length": 512,
        "max_answer_length": 50,
    },
    defaults_source="CLUE's BERT baseline (CLUEbenchmark/CLUE, baselines/models_pytorch/mrc_pytorch)",
    tfds=None,
)  # fmt: skip

OWN_SPANS = dataclasses.replace(
    SQUAD2,
    name="spans",
    description="your own data: SQuAD's JSON format",
    files=files(),
    directories=(),
    download_page=None,
    tfds=None,
)

RACE = Task(
    name="race",
    description="English exam questions about a text, four choices",
    form=MULTIPLE_CHOICE,
    texts=question_and_choices,
    pair=True,
    records=race_records,
    files=files("train", "dev", "test"),
    directories=("RACE", "race"),
    label_key="answer",
    choices=4,
    download_page="https://www.cs.cmu.edu/~glai1/data/race/",
    # Section 4.6: "we adopt 0.0 for RACE and 1.0 for the other tasks".
    agreement_weight=0.0,
    defaults={
        "learning_rate": 1e-5, "train_batch_size": 16, "num_train_epochs": 4, "max_seq_length": 512,
        "warmup_proportion": 0.06,
    },
    defaults_source="RoBERTa (Liu et al., 2019), Appendix C, Table 10",
    tfds=TfdsSource(names=("race/middle", "race/high"), splits={"train": "train", "dev": "dev", "test": "test"}),
)  # fmt: skip

TASKS = (SQUAD1, SQUAD2, CMRC2018, RACE, OWN_SPANS)
