"""Fine-tunes on every task form with real files: scores over seeds, and both grains compared with the fine grain alone.

    python benchmarks/tasks.py --data_dir=/data [--only=rte,cmrc2018] [--seeds=3] [--max_train=2000] [--max_dev=1000]

For each task whose files are in --data_dir, in the layout of benchmarks/places.py, a small AMBERT is trained from
scratch with the task's settings, except for the lengths and epochs in places.py. It is evaluated with both grains
(joint) and with the fine grain alone (AMBERT-Single). Without pre-training, models of this size stay near the majority
baseline on most tasks. The table shows that every reader, form and metric works on real files, and the cost of the
second grain, but not how accurate AMBERT is. Tokenizers are built from the tasks' training texts unless
--chinese_tokenizer_dir, --english_tokenizer_dir, --init_checkpoint_zh or --init_checkpoint_en is given.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging
from common import machine
from places import PLACES, Place, has_files

from ambert_tf.errors import InputError, run_main
from ambert_tf.finetuning.fine_tuning import run_fine_tuning
from ambert_tf.finetuning.fine_tuning_settings import (
    ClassificationSettings,
    FineTuningSettings,
    SpanSettings,
    TaggingSettings,
)
from ambert_tf.models.task_config import SEQUENCE_LABELLING, SPANS
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.declaration import ReadOptions
from ambert_tf.tasks.registry import TASKS
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.phrase_dictionary import build_phrases
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings, VocabularySettings

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Directory with the files, in the layout of benchmarks/places.py.")
flags.DEFINE_list("only", [], "Tasks to run. Default: all whose files exist.")
flags.DEFINE_integer("seeds", 2, "Runs per task.")
flags.DEFINE_integer("max_train", 1000, "Maximum training records per task.")
flags.DEFINE_integer("max_dev", 1000, "Maximum development records per task.")
flags.DEFINE_string("config", "tiny", "Model size.")
flags.DEFINE_string("model_type", "ambert", "Model type.")
flags.DEFINE_float("learning_rate", 3e-4, "Learning rate. Training from scratch needs a higher one than fine-tuning.")
flags.DEFINE_string("chinese_tokenizer_dir", None, "Chinese tokenizer. Default: built from the tasks' texts.")
flags.DEFINE_string("english_tokenizer_dir", None, "English tokenizer. Default: built from the tasks' texts.")
flags.DEFINE_string("init_checkpoint_zh", None, "Pre-trained Chinese model to start from. Default: train from scratch.")
flags.DEFINE_string("init_checkpoint_en", None, "Pre-trained English model to start from. Default: train from scratch.")
flags.DEFINE_string("work_dir", None, "Directory to keep models and tokenizers in. Default: they are deleted.")


def texts_of(place: Place) -> list[str]:
    """Returns the training texts of a task."""
    task = TASKS[place.task]
    paths = split_files(task, os.path.join(FLAGS.data_dir, place.directory), "train", place.train)
    found: list[str] = []
    for record, _ in zip(file_records(task, paths, "train"), range(FLAGS.max_train), strict=False):
        for value in task.texts(record, ReadOptions()):
            found += [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
    return list(dict.fromkeys(filter(None, found)))


def make_tokenizer(language: str, places: Sequence[Place], directory: str) -> str:
    """Builds a tokenizer from the tasks' texts."""
    output = os.path.join(directory, f"tokenizer_{language}")
    if os.path.isdir(output):
        return output
    lines = [" ".join(text.split()) for place in places for text in texts_of(place)]
    corpus = os.path.join(directory, f"{language}.txt")
    with open(corpus, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)
    phrases_file = None
    if language == "en":
        phrases_file = os.path.join(directory, "phrases.tsv")
        build_phrases(PhraseSettings(input_file=corpus, output_file=phrases_file))
    build_tokenizer(VocabularySettings(
        input_file=corpus, language=language, output_dir=output, fine_vocab_size=6000, coarse_vocab_size=12000,
        phrases_file=phrases_file,
    ))  # fmt: skip
    return output


def run(place: Place, tokenizer_dir: str, directory: str) -> dict[str, Any]:
    """Fine-tunes and evaluates on a task. Returns the row of the table."""
    task = TASKS[place.task]
    kinds: dict[str, type[FineTuningSettings]] = {SPANS: SpanSettings, SEQUENCE_LABELLING: TaggingSettings}
    kind = kinds.get(task.form, ClassificationSettings)
    checkpoint = FLAGS.init_checkpoint_zh if place.language == "zh" else FLAGS.init_checkpoint_en
    start = {"init_checkpoint": checkpoint} if checkpoint else {
        "config": FLAGS.config, "model_type": FLAGS.model_type, "tokenizer_dir": tokenizer_dir
    }  # fmt: skip
    output_dir = os.path.join(directory, place.task)
    common: dict[str, Any] = {
        "task_name": place.task, "data_dir": os.path.join(FLAGS.data_dir, place.directory), "output_dir": output_dir,
        "eval_file": place.dev, "max_examples": int(FLAGS.max_train * place.examples),
        "max_eval_examples": int(FLAGS.max_dev * place.examples), "do_eval": True,
    }  # fmt: skip
    spans = {"doc_stride": 64, "max_query_length": 32} if kind is SpanSettings else {}
    begun = time.time()
    joint = run_fine_tuning(kind(**{
        **common, **start, **spans, "do_train": True, "train_file": place.train, "num_runs": FLAGS.seeds,
        "num_train_epochs": place.epochs, "learning_rate": FLAGS.learning_rate, "max_seq_length": place.max_seq_length,
    }))  # fmt: skip
    seconds = time.time() - begun
    metric = task.metrics[0]
    fine = run_fine_tuning(kind(**{**common, "inference": "fine"}))
    runs = joint.get("runs") or {"values": [joint[metric]], "mean": joint[metric], "deviation": 0.0}
    others = ", ".join(f"{name} {joint[name]:.3f}" for name in task.metrics[1:])
    return {
        "task": place.task, "form": task.form, "dev": joint["examples"], "metric": metric,
        "mean": runs["mean"], "deviation": runs["deviation"], "runs": len(runs["values"]), "others": others,
        "best": joint[metric], "fine": fine[metric], "most_frequent": joint.get("most_frequent_accuracy"),
        "joint_rate": joint["examples_per_second"], "fine_rate": fine["examples_per_second"], "seconds": seconds,
    }  # fmt: skip


def chosen(every: Sequence[Place]) -> list[Place]:
    """Returns the places of the tasks of --only, or all.

    Args:
      every: the places whose files are in --data_dir.

    Raises:
      InputError: there are none, or a task of --only is unknown or has no files.
    """
    known = [place.task for place in PLACES]
    for name in FLAGS.only:
        if name not in known:
            raise InputError(f"--only={name}: unknown task; the tasks are {', '.join(known)}")
        if name not in [place.task for place in every]:
            raise InputError(f"--only={name}: --data_dir={FLAGS.data_dir} has no files of it; see benchmarks/places.py")
    if not every:
        raise InputError(f"--data_dir={FLAGS.data_dir}: has none of the files listed in benchmarks/places.py")
    return [place for place in every if not FLAGS.only or place.task in FLAGS.only]


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    del argv
    if not FLAGS.data_dir:
        raise InputError("--data_dir is needed: the tasks' files, in the layout of benchmarks/places.py")
    every = [place for place in PLACES if has_files(FLAGS.data_dir, place)]
    places = chosen(every)
    logging.set_verbosity(logging.WARNING)
    print(machine(), flush=True)
    print("| task | form | dev | metric | mean ± deviation | runs | others | most frequent | best run, joint | "
          "fine alone | joint, examples/s | fine, examples/s | training, s |", flush=True)  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        directory = FLAGS.work_dir or temporary
        os.makedirs(directory, exist_ok=True)
        given = {"zh": FLAGS.chinese_tokenizer_dir, "en": FLAGS.english_tokenizer_dir}
        rows = []
        for place in places:
            tokenizer = given[place.language] or make_tokenizer(
                place.language, [each for each in every if each.language == place.language], directory
            )
            row = run(place, tokenizer, directory)
            rows.append(row)
            most = "" if row["most_frequent"] is None else f"{row['most_frequent']:.3f}"
            print(f"| {row['task']} | {row['form']} | {row['dev']} | {row['metric']} | {row['mean']:.3f} ± "
                  f"{row['deviation']:.3f} | {row['runs']} | {row['others']} | {most} | {row['best']:.3f} | "
                  f"{row['fine']:.3f} | {row['joint_rate']:.0f} | {row['fine_rate']:.0f} | {row['seconds']:.0f} |",
                  flush=True)  # fmt: skip
        ratio = np.median([row["fine_rate"] / row["joint_rate"] for row in rows])
        print(f"the fine grain alone is {ratio:.2f} times as fast (median over tasks)")
        with open(os.path.join(directory, "tasks.json"), "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    run_main(main)
