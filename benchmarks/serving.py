"""Tests SavedModels: agreement with the checkpoint, hostile input, memory growth, and speed relative to Hugging Face.

    python benchmarks/serving.py --data_dir=/data [--parts=agreement,fuzz,requests,throughput] [--examples=1000]

The data is in the layout of benchmarks/places.py. Task forms with missing files are skipped.

- agreement: compares the SavedModel's predictions with those of run_classifier.py and run_squad.py, on --examples real
  inputs for every task form. Prints the maximum difference of probabilities or scores, and the number of equal answers.
- fuzz: sends --fuzz_strings hostile strings to the SavedModel of each form. Prints errors and non-finite numbers.
- requests: sends --requests of mixed lengths and batch sizes. Prints memory, and the functions traced by TensorFlow.
- throughput: from raw text to label on real sentences (SST-2), with batches of 1 and 32, for a Hugging Face pipeline
  (its tokenizers, PyTorch), our BERT, AMBERT-Single and AMBERT, all with MiniLM's weights and one head.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import serving_speed
import tasks as task_benchmark
import tensorflow as tf
from absl import flags, logging
from common import machine
from places import PLACES, Place, has_files

from ambert_tf.errors import InputError, run_main
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.sequence_form import SequenceForm
from ambert_tf.finetuning.span_form import SpanForm
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.config import ModelConfig
from ambert_tf.models.task_config import REGRESSION, SPANS, TaskConfig
from ambert_tf.models.task_inputs import input_specs, pad_choices
from ambert_tf.models.task_models import make_model
from ambert_tf.serving.export import run_export
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.tasks.data_files import file_records, split_files
from ambert_tf.tasks.registry import TASKS
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory
from ambert_tf.training.loaded_model import load_model

FLAGS = flags.FLAGS
flags.DEFINE_list("parts", ["agreement", "fuzz", "requests", "throughput"], "Parts to run.")
flags.DEFINE_list(
    "forms", ["tnews", "ocnli", "fewclue_csl", "stsb", "fewclue_cluewsc", "c3", "fewclue_chid", "cmrc2018", "squad1"],
    "Tasks, one per form."
)  # fmt: skip
flags.DEFINE_list("inferences", ["joint", "fine"], "joint, fine, coarse.")
flags.DEFINE_integer("examples", 1000, "Real inputs per form.")
flags.DEFINE_integer("fuzz_strings", 10_000, "Hostile strings per form.")
flags.DEFINE_integer("requests", 50_000, "Requests of mixed lengths.")
flags.DEFINE_integer("tokens_at_once", None, "Another value of serving.rows.TOKENS_AT_ONCE to try.")

SEED = 11
Ask = Callable[..., dict[str, tf.Tensor]]
Columns = dict[str, list[Any]]


def new_model(directory: str, task: TaskConfig, tokenizer_dir: str, **sizes: Any) -> str:
    """Writes the model directory of a randomly initialized model, since agreement does not depend on training."""
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    config = ModelConfig.preset(
        FLAGS.config, tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size, model_type=FLAGS.model_type,
        initializer_range=0.1, max_position_embeddings=512, **sizes,
    )  # fmt: skip
    prepare_model_directory(directory, config, tokenizer)
    task.write(directory)
    Checkpoints(directory, make_model(AmbertBackbone.from_model_config(config, seed=SEED), task), {}).save(0)
    return directory


def declared_task(place: Place) -> TaskConfig:
    """Returns the task configuration that fine-tuning would write."""
    task, length = TASKS[place.task], place.max_seq_length
    return TaskConfig(
        task_name=task.name, form=task.form, labels=tuple(label.name for label in task.labels or ()), pair=task.pair,
        max_seq_length=length, max_coarse_seq_length=length, choices=task.choices,
        doc_stride=64, max_query_length=32, null_answers=task.null_answers, score_range=task.score_range,
        inputs=task.inputs,
    )  # fmt: skip


def columns_of(task: TaskConfig, split: Split) -> dict[str, list[Any]]:
    """Returns the requests for the examples, by input of the signature."""
    columns = {name: [getattr(example.inputs, name) for example in split.examples] for name in input_specs(task)}
    if "choices" in columns:
        columns["choices"] = pad_choices(columns["choices"])
    return columns


def ask_all(signature: Ask, task: TaskConfig, columns: Columns, size: int = 32) -> dict[str, np.ndarray]:
    """Returns a signature's outputs for all examples."""
    specs = input_specs(task)
    count = len(next(iter(columns.values())))
    parts = [
        signature(**{name: tf.constant(values[start : start + size], specs[name].dtype)
                     for name, values in columns.items()})
        for start in range(0, count, size)
    ]  # fmt: skip
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def agreement(place: Place, model_dir: str, export_dir: str, inference: str) -> None:
    """Prints a row that compares the SavedModel's predictions with those of fine-tuning."""
    declared, loaded = TASKS[place.task], load_model(model_dir, inference)
    task = loaded.task
    assert task is not None
    data_dir = os.path.join(FLAGS.data_dir, place.directory)
    # Some development files are small.
    paths = (*split_files(declared, data_dir, "dev", place.dev), *split_files(declared, data_dir, "train", place.train))
    records = list(itertools.islice(file_records(declared, paths, "dev"), FLAGS.examples))
    form: Any = (SpanForm if task.form == SPANS else SequenceForm)(declared, task)
    split = form.read(records, "test", paths, needs_labels=False)
    data = TokenizedExamples(split, task, loaded.tokenizer)
    logits = Predictor(loaded.model)(data, 32)
    started = time.perf_counter()
    found = ask_all(tf.saved_model.load(export_dir).signatures["serving_default"], task,
                    columns_of(task, split))  # fmt: skip
    seconds = time.perf_counter() - started
    joint = logits.by_head["joint"]
    if task.form == SPANS:
        best = [answers.best[0] if answers.best else ("", answers.null_score, 0, 0)
                for answers in form.answers(logits, data)]  # fmt: skip
        ends = zip((answer.decode() for answer in found["answer"]), found["start"], found["end"], strict=True)
        same = [a == (b[0], b[2], b[3]) for a, b in zip(ends, best, strict=True)]
        difference = np.abs(found["score"] - [b[1] for b in best]).max()
    elif task.form == REGRESSION:
        difference = np.abs(found["score"] - form.predicted(joint, split.examples)).max()
        same = [True] * len(found["score"])
    else:
        shares = tf.nn.softmax(joint).numpy()[:, : found["probabilities"].shape[1]]
        difference = np.abs(found["probabilities"] - shares).max()
        chosen = joint.argmax(axis=-1)
        ours = [task.labels.index(label.decode()) for label in found["label"]] if task.labels else found["choice"]
        same = list(np.array(ours) == chosen)
    print(f"| {task.task_name} | {task.form} | {inference} | {len(split.examples)} | {difference:.1e} | {sum(same)} | "
          f"{len(split.examples) / seconds:.0f} |", flush=True)  # fmt: skip


def hostile(random: np.random.Generator) -> bytes:
    """Returns a string that may break programs: arbitrary bytes, code points, control characters, marks and lengths."""
    length = int(random.choice([0, 1, 2, 7, 40, 300, 3000], p=[0.05, 0.1, 0.1, 0.3, 0.3, 0.14, 0.01]))
    kind = int(random.integers(8))
    if kind == 0:
        return random.integers(0, 256, length, np.uint8).tobytes()
    alphabets = (
        "\u0000\u0001\t\n\r\x7f\u0085\u00a0\u3000\ufeff\u200b\u200d\u202e\ufffd a中",
        "#idiom0123_ []()",
        "e\u0301\u0302\u0327\u20dd\u1ab0ก็",
        "👩🏽‍🚀🇨🇳👍😀",
        "0123456789.,-%½Ⅷ٣",
        "中文字符，。！？ＡＢＣ",
    )
    if kind <= len(alphabets):
        return "".join(random.choice(list(alphabets[kind - 1]), length)).encode()
    points = random.integers(0, 0x110000, length)
    text = "".join(map(chr, points)).encode("utf-8", "surrogatepass")
    return text[: len(text) - int(random.integers(0, 2))]


def hostile_request(specs: dict[str, tf.TensorSpec], random: np.random.Generator, size: int) -> dict[str, tf.Tensor]:
    """Returns a batch of hostile strings and numbers."""
    request = {}
    for name, spec in specs.items():
        if spec.dtype == tf.int32:
            numbers = random.choice([0, 1, -1, 5, 2**31 - 1, -(2**31)], size)
            request[name] = tf.constant(numbers, tf.int32)
        elif spec.shape.rank == 2:
            choices = [[hostile(random) for _ in range(3)] for _ in range(size)]
            request[name] = tf.reshape(tf.constant(choices, tf.string), [size, 3])
        else:
            request[name] = tf.constant([hostile(random) for _ in range(size)], tf.string, shape=[size])
    return request


def fuzz(task: TaskConfig, export_dir: str) -> None:
    """Prints the errors and non-finite outputs caused by hostile strings."""
    random = np.random.default_rng(SEED)
    signature = tf.saved_model.load(export_dir).signatures["serving_default"]
    asked = errors = infinite = 0
    while asked < FLAGS.fuzz_strings:
        size = int(random.integers(0, 65))
        try:
            outputs = signature(**hostile_request(input_specs(task), random, size))
        except tf.errors.OpError as error:
            errors += 1
            print(f"  {task.task_name}: {error.message[:200]}")
        else:
            numbers = [value.numpy() for value in outputs.values() if value.dtype == tf.float32]
            infinite += sum(int((~np.isfinite(values)).sum()) for values in numbers)
        asked += size
    print(f"| {task.task_name} | {task.form} | {asked} | {errors} | {infinite} |", flush=True)


def memory_mb() -> float:
    """Returns this process' resident memory."""
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def many_requests(export_dir: str, texts: Sequence[str]) -> None:
    """Prints memory and the number of traced functions during requests of mixed lengths."""
    from tensorflow.python.eager import context

    random = np.random.default_rng(SEED)
    signature = tf.saved_model.load(export_dir).signatures["serving_default"]
    joined = "".join(texts)
    begun, rows, marks = time.perf_counter(), 0, 10
    functions: list[int] = []
    for number in range(FLAGS.requests + 1):
        if number and number % max(1, FLAGS.requests // marks) == 0:
            functions.append(len(context.context().list_function_names()))
            rate = rows / (time.perf_counter() - begun)
            print(f"  after {number} requests: {memory_mb():.0f} MB, {functions[-1]} functions, {rate:.0f} texts/s",
                  flush=True)  # fmt: skip
        size = int(random.integers(1, 5))
        starts = random.integers(0, max(1, len(joined) - 400), size)
        batch = [joined[start : start + int(2 ** random.uniform(0, 8.5))] for start in starts]
        signature(text=tf.constant(batch))
        rows += size
    print(f"  functions traced after the first tenth: {functions[-1] - functions[0]}")


def main(argv: Sequence[str]) -> None:
    """Runs the parts listed in --parts."""
    del argv
    if not FLAGS.data_dir:
        raise InputError(
            "--data_dir is needed: the directory with the tasks' files, in the layout of benchmarks/places.py"
        )
    logging.set_verbosity(logging.WARNING)
    if FLAGS.tokens_at_once:
        from ambert_tf.serving import rows

        rows.TOKENS_AT_ONCE = FLAGS.tokens_at_once
    print(machine(), flush=True)
    places = [p for p in PLACES if p.task in FLAGS.forms and has_files(FLAGS.data_dir, p)]
    with tempfile.TemporaryDirectory() as holder:
        directory = FLAGS.work_dir or holder
        os.makedirs(directory, exist_ok=True)
        exports: dict[tuple[str, str], str] = {}
        models: dict[str, str] = {}
        for place in places if set(FLAGS.parts) - {"throughput"} else ():
            tokenizer_dir = task_benchmark.make_tokenizer(
                place.language, [each for each in places if each.language == place.language], directory
            )
            models[place.task] = new_model(os.path.join(directory, place.task), declared_task(place), tokenizer_dir)
            for inference in FLAGS.inferences:
                exports[place.task, inference] = os.path.join(directory, f"{place.task} {inference}")
                run_export(ExportSettings(
                    model_dir=models[place.task], export_dir=exports[place.task, inference], inference=inference,
                    check=False,
                ))  # fmt: skip
        if "agreement" in FLAGS.parts:
            print("| task | form | inference | examples | maximum difference | same answers | examples/s |\n"
                  "|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
            for place in places:
                for inference in FLAGS.inferences:
                    agreement(place, models[place.task], exports[place.task, inference], inference)
        if "fuzz" in FLAGS.parts:
            print("| task | form | hostile strings | errors | non-finite numbers |\n|---|---|---|---|---|", flush=True)
            for place in places:
                fuzz(declared_task(place), exports[place.task, FLAGS.inferences[0]])
        if "requests" in FLAGS.parts:
            place = next(p for p in places if list(input_specs(declared_task(p))) == ["text"])
            print(f"{FLAGS.requests} requests of mixed lengths to {place.task}:", flush=True)
            many_requests(exports[place.task, FLAGS.inferences[0]], task_benchmark.texts_of(place))
        if "throughput" in FLAGS.parts:
            serving_speed.throughput(directory)


if __name__ == "__main__":
    run_main(main)
