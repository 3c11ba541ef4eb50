"""CLUE's tasks (Xu et al., 2020, "CLUE: A Chinese Language Understanding Evaluation Benchmark"), versions 1.0 and 1.1.

The defaults are those of CLUE's own BERT baselines, in `baselines/models_pytorch` of its repository. The leaderboard
files are named as in its submission guide.
"""

import dataclasses

from ambert_tf.models.task_config import IDIOMS, MARKED_SPANS, MULTIPLE_CHOICE
from ambert_tf.tasks.declaration import (
    Label,
    Leaderboard,
    ReadOptions,
    Task,
    Texts,
    columns,
    files,
    named_labels,
)
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.multiple_choice_files import c3_records, chid_records
from ambert_tf.tasks.record_inputs import (
    PRONOUNS_OF_WOMEN,
    idiom_and_choices,
    marked_spans,
    pronoun,
    question_and_choices,
)

CLUE_PAGE = "https://github.com/CLUEbenchmark/CLUE"
CLUE_SOURCE = "CLUE's BERT baseline (CLUEbenchmark/CLUE, baselines/models_pytorch)"
TESTS = "test1.1.json|test.json|test1.0.json"


def clue_leaderboard(name: str, versions: bool = False, format: str = "clue") -> Leaderboard:
    """Returns CLUE's leaderboard file for a task. Set `versions` if CLUE 1.0 and 1.1 have different test sets."""
    by_version = {"1.0": f"{name}10_predict.json", "1.1": f"{name}11_predict.json"} if versions else {}
    return Leaderboard(file=f"{name}_predict.json", format=format, versions=by_version)


def _tnews_texts(record: Record, options: ReadOptions) -> Texts:
    sentence = record.string("sentence")
    keywords = record.string("keywords", default="")
    return Texts(f"{sentence}。{keywords}" if options.augment and keywords else sentence)


def _csl_texts(record: Record, options: ReadOptions) -> Texts:
    # The paper does not specify the special token. No keyword contains this character.
    between = "；" if options.augment else " "
    return Texts(between.join(record.strings("keyword")), record.string("abst"))


NEWS = {
    "100": "news_story", "101": "news_culture", "102": "news_entertainment", "103": "news_sports",
    "104": "news_finance", "106": "news_house", "107": "news_car", "108": "news_edu", "109": "news_tech",
    "110": "news_military", "112": "news_travel", "113": "news_world", "114": "news_stock",
    "115": "news_agriculture", "116": "news_game",
}  # fmt: skip

TNEWS = Task(
    name="tnews",
    description="titles of short news articles, 15 classes",
    texts=_tnews_texts,
    files=files(test=TESTS),
    directories=("tnews", "tnews_public"),
    labels=tuple(Label(name, description) for name, description in NEWS.items()),
    # Appendix D: "we use both keywords and titles".
    augmentation="keywords joined to the title by a full stop",
    augmentation_key="keywords",  # missing in CLUE 1.1's test set
    leaderboard=clue_leaderboard("tnews", versions=True),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 2e-5, "train_batch_size": 16},
    defaults_source=CLUE_SOURCE,
)

IFLYTEK = Task(
    name="iflytek",
    description="app descriptions, 119 classes",
    texts=columns("sentence"),
    directories=("iflytek", "iflytek_public"),
    labels=named_labels(*map(str, range(119))),
    leaderboard=clue_leaderboard("iflytek"),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 2e-5, "train_batch_size": 16},
    defaults_source=CLUE_SOURCE,
)

CLUEWSC2020 = Task(
    name="cluewsc2020",
    description="coreference of a marked pronoun and a marked noun",
    texts=marked_spans,
    inputs=MARKED_SPANS,
    files=files(test=TESTS),
    directories=("cluewsc2020", "cluewsc2020_public", "cluewsc", "wsc"),
    labels=named_labels("true", "false"),
    # Appendix D: "we duplicate a few instances having pronouns in the training data such as 她 (she)".
    augmentation=f"training examples with the pronouns {' '.join(PRONOUNS_OF_WOMEN)} duplicated",
    copies=lambda record: 2 if pronoun(record) in PRONOUNS_OF_WOMEN else 1,
    leaderboard=clue_leaderboard("cluewsc", versions=True),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 1e-5, "train_batch_size": 16, "num_train_epochs": 50},
    defaults_source=CLUE_SOURCE,
)

AFQMC = Task(
    name="afqmc",
    description="paraphrase detection on customer questions to a bank",
    texts=columns("sentence1", "sentence2"),
    pair=True,
    directories=("afqmc", "afqmc_public"),
    labels=named_labels("0", "1"),
    leaderboard=clue_leaderboard("afqmc"),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 2e-5, "train_batch_size": 16},
    defaults_source=CLUE_SOURCE,
)

CSL = Task(
    name="csl",
    description="keyword recognition in abstracts of papers",
    texts=_csl_texts,
    pair=True,
    directories=("csl", "csl_public"),
    labels=named_labels("0", "1"),
    # Appendix D: "we concatenate keywords with a special token".
    augmentation="keywords joined by ；",
    leaderboard=clue_leaderboard("csl"),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 1e-5, "train_batch_size": 8, "num_train_epochs": 5, "max_seq_length": 256},
    defaults_source=CLUE_SOURCE,
)

CMNLI = Task(
    name="cmnli",
    description="natural language inference, translated from MNLI",
    texts=columns("sentence1", "sentence2"),
    pair=True,
    directories=("cmnli", "cmnli_public"),
    labels=named_labels("entailment", "neutral", "contradiction"),
    no_gold_labels=frozenset(("-",)),
    leaderboard=clue_leaderboard("cmnli"),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 3e-5, "train_batch_size": 16, "num_train_epochs": 2},
    defaults_source=CLUE_SOURCE,
)

OCNLI = dataclasses.replace(
    CMNLI,
    name="ocnli",
    description="natural language inference, originally Chinese",
    files=files(train="train.50k.json|train.json|train.30k.json|train.10k.json|train.3k.json"),
    directories=("ocnli", "ocnli_public"),
    leaderboard=Leaderboard(file="ocnli_50k_predict.json", format="clue"),
    download_page="https://github.com/CLUEbenchmark/OCNLI",
)

CHID = Task(
    name="chid",
    description="idiom cloze test, ten candidates per group of blanks",
    form=MULTIPLE_CHOICE,
    texts=idiom_and_choices,
    pair=True,
    inputs=IDIOMS,
    records=chid_records,
    # The competition's files end in .txt, their answers in .csv.
    files=files("train.json|train.txt", "dev.json|dev.txt", f"{TESTS}|test.txt"),
    companions=("train_answer.json", "dev_answer.json"),
    directories=("chid", "chid_public"),
    label_key="answer",
    choices=10,
    leaderboard=clue_leaderboard("chid", versions=True, format="choice_by_id"),
    download_page=CLUE_PAGE,
    defaults={"learning_rate": 2e-5, "train_batch_size": 24, "max_seq_length": 64, "warmup_proportion": 0.06},
    defaults_source=CLUE_SOURCE,
)

C3 = Task(
    name="c3",
    description="questions about a dialogue or a text, two to four choices",
    form=MULTIPLE_CHOICE,
    texts=question_and_choices,
    pair=True,
    records=c3_records,
    files=files(
        "m-train.json+d-train.json|c3-m-train.json+c3-d-train.json|train.json",
        "m-dev.json+d-dev.json|c3-m-dev.json+c3-d-dev.json|dev.json",
        "test1.1.json|test1.0.json|m-test.json+d-test.json|c3-m-test.json+c3-d-test.json|test.json",
    ),
    directories=("c3", "c3_public"),
    label_key="answer",
    choices=4,
    leaderboard=clue_leaderboard("c3", versions=True, format="choice_lines"),
    download_page="https://dataset.org/c3/",
    defaults={
        "learning_rate": 2e-5, "train_batch_size": 24, "num_train_epochs": 8, "max_seq_length": 512,
        "warmup_proportion": 0.05,
    },
    defaults_source=CLUE_SOURCE,
)  # fmt: skip

TASKS = (TNEWS, IFLYTEK, CLUEWSC2020, AFQMC, CSL, CMNLI, OCNLI, CHID, C3)
