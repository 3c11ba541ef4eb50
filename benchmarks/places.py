"""The layout of the task files that the benchmarks expect in a data directory."""

import dataclasses
import os

from ambert_tf.errors import InputError
from ambert_tf.tasks.data_files import split_files
from ambert_tf.tasks.registry import TASKS


@dataclasses.dataclass(frozen=True)
class Place:
    """The files of a task in a data directory, and settings for a small machine.

    Attributes:
      task: value of `--task_name`.
      language: `zh` or `en`.
      directory: directory of the files, relative to the data directory.
      train: training files, separated by commas, or None for the official ones.
      dev: development files, likewise.
      max_seq_length: maximum number of fine tokens per sequence.
      epochs: number of training epochs.
      examples: fraction of `--max_train` and `--max_dev` to read, for tasks with long texts.
    """

    task: str
    language: str
    directory: str
    train: str | None = None
    dev: str | None = None
    max_seq_length: int = 64
    epochs: float = 3
    examples: float = 1.0


PLACES = (
    Place("tnews", "zh", "clue/tnews_labelled_subset", "test.json", "dev.json"),
    Place("ocnli", "zh", "clue/ocnli"),
    Place("fewclue_csl", "zh", "fewclue/csl", "test_public.json", "train_few_all.json,dev_few_all.json", 128),
    Place("fewclue_cluewsc", "zh", "fewclue/cluewsc", "test_public.json", "train_few_all.json,dev_few_all.json", 96),
    Place("fewclue_chid", "zh", "fewclue/chid", "test_public.json", "train_few_all.json,dev_few_all.json", 48, 3, 0.4),
    Place("c3", "zh", "clue/c3", None, None, 96, 2, 0.4),
    Place("cmrc2018", "zh", "clue/cmrc2018", "cmrc2018_train_part.json", "cmrc2018_dev.json", 192, 3, 0.5),
    Place("cluener", "zh", "ner/cluener", None, None, 128, 5),
    Place("weibo", "zh", "ner/weibo", None, None, 128, 10),
    Place("wnut17", "en", "ner/wnut17", None, None, 128),
    Place("cola", "en", "glue/CoLA"),
    Place("sst2", "en", "glue/SST-2"),
    Place("mrpc", "en", "glue/MRPC"),
    Place("stsb", "en", "glue/STS-B"),
    Place("rte", "en", "glue/RTE"),
    Place("mnli", "en", "glue/MNLI", None, "dev_from_train.tsv"),
    Place("qqp", "en", "glue/QQP"),
    Place("qnli", "en", "glue/QNLI", None, "dev_from_train.tsv"),
    Place("squad1", "en", "squad", "expmrc/expmrc-squad-dev.json", "xquad/xquad.en.json", 192, 3, 0.5),
    Place("race", "en", "race/RACE", None, None, 128, 2, 0.3),
)


def has_files(data_dir: str, place: Place) -> bool:
    """Returns whether the training and development files of a task exist in `data_dir`."""
    try:
        for split, names in (("train", place.train), ("dev", place.dev)):
            split_files(TASKS[place.task], os.path.join(data_dir, place.directory), split, names)
    except InputError:
        return False
    return True
