"""Sequence labelling: named entities, word segmentation and part-of-speech tagging."""

import dataclasses

from ambert_tf.models.task_config import SEQUENCE_LABELLING
from ambert_tf.tasks.declaration import Leaderboard, Task, TfdsSource, columns, files, named_labels
from ambert_tf.tasks.sequence_labelling_files import WORD, conll_columns, json_spans, segmented_text, tagged_words

WORD_METRICS = ("f1", "precision", "recall", "oov_recall")
# Within the ranges of BERT, Appendix A.3. Small data sets have more epochs, of which the best one is kept.
ENTITY_DEFAULTS = {"learning_rate": 3e-5, "train_batch_size": 32, "num_train_epochs": 4, "max_seq_length": 128}

CLUENER = Task(
    name="cluener",
    description="named entities of ten types in Chinese news (Xu et al., 2020)",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=json_spans("label", end_inclusive=True),
    directories=("cluener", "cluener_public", "CLUENER"),
    labels=named_labels(
        "address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene"
    ),
    leaderboard=Leaderboard(file="cluener_predict.json", format="cluener"),
    download_page="https://github.com/CLUEbenchmark/CLUENER2020",
    defaults={**ENTITY_DEFAULTS, "train_batch_size": 24},
    defaults_source="CLUENER2020's BERT baseline (CLUEbenchmark/CLUENER2020, pytorch_version/scripts/run_ner_crf.sh)",
)

WEIBO = Task(
    name="weibo",
    description="named and nominal mentions in Chinese microblogs (Peng and Dredze, 2015; second version)",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=conll_columns(position_digits=True, strict=False),
    files=files(
        "weiboNER_2nd_conll.train|weiboNER.conll.train|train.txt", "weiboNER_2nd_conll.dev|weiboNER.conll.dev|dev.txt",
        "weiboNER_2nd_conll.test|weiboNER.conll.test|test.txt",
    ),
    directories=("weibo", "Weibo", "weiboNER"),
    download_page="https://github.com/hltcoe/golden-horse",
    defaults={**ENTITY_DEFAULTS, "train_batch_size": 16, "num_train_epochs": 10},
)  # fmt: skip

MSRA = Task(
    name="msra",
    description="persons, places and organizations in Chinese news (SIGHAN bakeoff 2006, Levow)",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=conll_columns(strict=False),
    files=files(
        "msra_train_bio.txt|msra_train_bio|train.txt|train.char.bmes", "dev.txt|msra_dev_bio.txt|msra_test_bio.txt|"
        "msra_test_bio|test.txt|test.char.bmes", "msra_test_bio.txt|msra_test_bio|test.txt|test.char.bmes",
    ),
    directories=("msra", "MSRA", "msra_ner"),
    download_page="https://github.com/OYE93/Chinese-NLP-Corpus",
    defaults=ENTITY_DEFAULTS,
)  # fmt: skip

RESUME = dataclasses.replace(
    MSRA,
    name="resume",
    description="entities of eight types in Chinese résumés (Zhang and Yang, 2018)",
    files=files("train.char.bmes|train.txt", "dev.char.bmes|dev.txt", "test.char.bmes|test.txt"),
    directories=("resume", "ResumeNER", "Resume"),
    download_page="https://github.com/jiesutd/LatticeLSTM",
    defaults={**ENTITY_DEFAULTS, "train_batch_size": 16, "num_train_epochs": 5},
)

PEOPLES_DAILY = dataclasses.replace(
    MSRA,
    name="peoples_daily",
    description="persons, places and organizations in the People's Daily",
    files=files("example.train|train.txt", "example.dev|dev.txt", "example.test|test.txt"),
    directories=("peoples_daily", "china-people-daily-ner-corpus", "people_daily"),
    download_page="https://github.com/OYE93/Chinese-NLP-Corpus",
)

ONTONOTES4 = dataclasses.replace(
    MSRA,
    name="ontonotes4",
    description="Chinese named entities of OntoNotes 4.0 in columns, as Che et al. (2013) split them (LDC2011T03)",
    files=files("train.char.bmes|train.txt", "dev.char.bmes|dev.txt", "test.char.bmes|test.txt"),
    directories=("ontonotes4", "OntoNotes4", "ontonotes"),
    download_page="https://catalog.ldc.upenn.edu/LDC2011T03",
)

CONLL2003 = Task(
    name="conll2003",
    description="English named entities in Reuters news (Tjong Kim Sang and De Meulder, 2003)",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=conll_columns(strict=False),
    files=files(
        "eng.train|train.txt|train.conll", "eng.testa|valid.txt|dev.txt|testa.txt", "eng.testb|test.txt|testb.txt"
    ),
    directories=("conll2003", "CoNLL-2003", "conll03"),
    labels=named_labels("LOC", "MISC", "ORG", "PER"),
    download_page="https://www.clips.uantwerpen.be/conll2003/ner/",
    defaults={**ENTITY_DEFAULTS, "learning_rate": 5e-5, "num_train_epochs": 3},
    tfds=TfdsSource(names=("conll2003/conll2003",), splits={"train": "train", "dev": "dev", "test": "test"}),
)

WNUT17 = Task(
    name="wnut17",
    description="emerging and rare entities in English user texts (Derczynski et al., 2017)",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    # The test set has tags that do not continue the ones before.
    records=conll_columns(strict=False, tag_column=1),
    files=files(
        "wnut17train.conll|train.txt", "emerging.dev.conll|dev.txt",
        "emerging.test.annotated|emerging.test.conll|test.txt",
    ),
    directories=("wnut17", "WNUT17", "emerging_entities_17"),
    labels=named_labels("corporation", "creative-work", "group", "location", "person", "product"),
    download_page="https://github.com/leondz/emerging_entities_17",
    defaults={**ENTITY_DEFAULTS, "learning_rate": 5e-5, "train_batch_size": 16, "num_train_epochs": 3},
)  # fmt: skip

SEGMENTATION = Task(
    name="segmentation",
    description="Chinese word segmentation in the format of the SIGHAN bakeoffs: spaces between words",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=segmented_text,
    files=files(
        "train.txt|pku_training.utf8|msr_training.utf8|as_training.utf8|cityu_training.utf8",
        "dev.txt|pku_test_gold.utf8|msr_test_gold.utf8|as_testing_gold.utf8|cityu_test_gold.utf8",
        "test.txt|pku_test.utf8|msr_test.utf8|as_test.utf8|cityu_test.utf8",
    ),
    directories=("segmentation", "pku", "msr", "icwb2-data"),
    labels=named_labels(WORD),
    outside=False,
    metrics=WORD_METRICS,
    download_page="http://sighan.cs.uchicago.edu/bakeoff2005/",
    defaults={**ENTITY_DEFAULTS, "num_train_epochs": 3, "tagging_scheme": "BMES"},
)

POS = Task(
    name="pos",
    description="part-of-speech tagging: lines of word/TAG, such as the People's Daily's",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=tagged_words(),
    files=files("train.txt", "dev.txt", "test.txt"),
    directories=("pos", "peoples_daily_pos"),
    outside=False,
    defaults={**ENTITY_DEFAULTS, "num_train_epochs": 3},
)

OWN_COLUMNS = Task(
    name="columns",
    description="own data: a token and its tag per line, with an empty line between sentences",
    form=SEQUENCE_LABELLING,
    texts=columns("text"),
    records=conll_columns(),
    files=files(*("|".join(f"{split}.{ending}" for ending in ("txt", "conll", "tsv", "bio", "bmes"))
                  for split in ("train", "dev", "test"))),
    defaults=ENTITY_DEFAULTS,
)  # fmt: skip

OWN_ENTITIES = dataclasses.replace(
    OWN_COLUMNS,
    name="entities",
    description="own data: JSON lines with text and entities, a list of objects with label, start and end",
    records=json_spans(),
    files=files("train.json|train.jsonl", "dev.json|dev.jsonl", "test.json|test.jsonl"),
)

TASKS = (
    CLUENER, WEIBO, MSRA, RESUME, PEOPLES_DAILY, ONTONOTES4, CONLL2003, WNUT17, SEGMENTATION, POS, OWN_COLUMNS,
    OWN_ENTITIES,
)  # fmt: skip
