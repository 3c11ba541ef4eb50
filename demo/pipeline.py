"""The demo's steps: each is a command of the project, run as a user runs it."""

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from typing import Any

from corpus import DemoData, write_demo_data
from report import write_report

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, make_directory
from ambert_tf.models.config import ModelConfig

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Sentences of our own, in none of the texts.
QUESTIONS = (
    "房间很干净，服务员也很热情，下次还会再来。",
    "等了一个星期才送到，包装还破了，太失望了！",
    "这本书内容充实，孩子看得津津有味。",
    "屏幕有亮点，客服态度又差，千万别买。",
    "性价比很高，运行速度快，外观也漂亮。",
    "酒店离车站远，早餐难吃，隔音也不好。",
)
ARTEFACTS = {
    "corpus", "reviews", "tokenizer", "config.json", "train_records", "held_out_records", "pretrained", "classifier",
    "classifier_from_scratch", "saved_model", "metrics.json", "report.md", "loss_curves.png",
}  # fmt: skip
# Runs in a process that knows TensorFlow and TensorFlow Text only.
_ASK = """
import json, sys
import tensorflow as tf, tensorflow_text
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"](text=tf.constant(json.load(sys.stdin)))
json.dump([{"label": label.decode(), "probability": max(row)} for label, row in
           zip(answer["label"].numpy().tolist(), answer["probabilities"].numpy().tolist())], sys.stdout)
"""


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """The flags of `demo/run_demo.py`, under their names."""

    output_dir: str
    num_train_steps: int
    num_train_reviews: int
    num_test_reviews: int
    random_seed: int


class _Steps:
    """Runs commands one after the other, prints them, and remembers how long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, title: str, script: str, *arguments: str) -> None:
        command = [sys.executable, os.path.join(ROOT, script), *arguments]
        shown = shlex.join(["python", script, *arguments])
        print(f"\n== {title}\n$ {shown}", flush=True)
        start = time.monotonic()
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}
        status = subprocess.run(command, env=environment, check=False).returncode
        self.seconds[title] = time.monotonic() - start
        if status:
            raise InputError(f"the demo's step '{title}' ended with status {status}: {shown}")


def run_demo(settings: DemoSettings) -> None:
    """Runs all steps and writes `metrics.json`, `report.md` and `loss_curves.png`.

    Raises:
      InputError: a step failed; its own message is on stderr.
    """
    started = time.monotonic()
    output = settings.output_dir
    if os.path.isdir(output):
        others = set(os.listdir(output)) - ARTEFACTS
        if others:
            raise InputError(
                f"--output_dir={output}: holds {min(others)}, which is none of the demo's; name a directory of its own"
            )
        shutil.rmtree(output)
    make_directory(output)
    print("== Write the corpus and the reviews", flush=True)
    data = write_demo_data(output, settings.num_train_reviews, settings.num_test_reviews, settings.random_seed)
    print(
        f"{data.documents:,} documents of {data.characters:,} characters; "
        f"{data.train_reviews:,} reviews to fine-tune on and {data.test_reviews:,} to test on"
    )
    steps = _Steps()
    _make_and_train(settings, steps, data)
    metrics = _gather(settings, steps, data)
    answers = _ask(os.path.join(output, "saved_model"), list(QUESTIONS))
    metrics["total_seconds"] = round(time.monotonic() - started, 1)
    with atomic_path(os.path.join(output, "metrics.json")) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(metrics, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_report(output, metrics, QUESTIONS, answers)
    _print_summary(output, metrics, answers)


def _make_and_train(settings: DemoSettings, steps: _Steps, data: DemoData) -> None:
    def path(name: str) -> str:
        return os.path.join(settings.output_dir, name)

    seed = f"--random_seed={settings.random_seed}"
    tokenizer = f"--tokenizer_dir={path('tokenizer')}"
    steps.run(
        "Build the vocabularies", "data/build_vocab.py",
        f"--input_file={data.train_corpus}", "--language=zh", f"--output_dir={path('tokenizer')}",
        "--fine_vocab_size=4000", "--coarse_vocab_size=8000", "--min_count=4",
    )  # fmt: skip
    config = _write_config(path("tokenizer"), path("config.json"))
    # So short a pre-training learns more from twice the paper's masks; what is held out has the paper's 15 %.
    for name, corpus, more in (
        ("train", data.train_corpus, ("--dupe_factor=4", "--masked_lm_prob=0.3")),
        ("held_out", data.held_out_corpus, ("--dupe_factor=1",)),
    ):
        steps.run(
            f"Create {name.replace('_', '-')} records", "data/create_pretraining_data.py",
            f"--input_file={corpus}", f"--output_file={path(f'{name}_records/{name}.tfrecord')}", tokenizer,
            "--max_seq_length=128", *more, seed,
        )  # fmt: skip
    steps.run(
        "Pre-train", "run_pretraining.py",
        f"--input_file={path('train_records/train.tfrecord')}",
        f"--eval_input_file={path('held_out_records/held_out.tfrecord')}",
        tokenizer, f"--config={config}", f"--output_dir={path('pretrained')}",
        "--train_batch_size=16", "--group_by_length=16", "--max_seq_length=128", "--learning_rate=1e-3",
        f"--num_train_steps={settings.num_train_steps}", f"--num_warmup_steps={settings.num_train_steps // 10}",
        f"--log_steps={max(settings.num_train_steps // 20, 1)}",
        f"--save_checkpoints_steps={max(settings.num_train_steps // 4, 1)}", seed,
    )  # fmt: skip
    fine_tuning = (
        "--task_name=reviews", f"--data_dir={data.task_dir}", "--do_train", "--do_eval", "--max_seq_length=128",
        "--train_batch_size=32", "--learning_rate=5e-4", "--num_train_epochs=2", seed,
    )  # fmt: skip
    steps.run(
        "Fine-tune", "run_classifier.py", *fine_tuning, "--do_predict", "--predict_file=dev.json",
        f"--init_checkpoint={path('pretrained')}", f"--output_dir={path('classifier')}",
    )  # fmt: skip
    steps.run(
        "Fine-tune without pre-training", "run_classifier.py", *fine_tuning,
        f"--config={config}", tokenizer, f"--output_dir={path('classifier_from_scratch')}",
    )  # fmt: skip
    steps.run(
        "Export", "export_saved_model.py",
        f"--model_dir={path('classifier')}", f"--export_dir={path('saved_model')}",
    )  # fmt: skip


def _write_config(tokenizer_dir: str, path: str) -> str:
    """Writes the configuration of the demo's model and returns its path."""
    with open(os.path.join(tokenizer_dir, "tokenizer.json"), encoding="utf-8") as file:
        sizes = json.load(file)
    # In a few minutes so small a model learns too little rather than too much by heart.
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    ModelConfig.preset("tiny", sizes["fine_vocab_size"], sizes["coarse_vocab_size"], **no_dropout).to_file(path)
    return path


def _gather(settings: DemoSettings, steps: _Steps, data: DemoData) -> dict[str, Any]:
    def results(directory: str) -> dict[str, Any]:
        with open(os.path.join(settings.output_dir, directory, "eval_results.json"), encoding="utf-8") as file:
            return json.load(file)

    pretraining, with_it, without = results("pretrained"), results("classifier"), results("classifier_from_scratch")
    return {
        "settings": dataclasses.asdict(settings),
        "data": {**dataclasses.asdict(data), "train_corpus": None, "held_out_corpus": None, "task_dir": None},
        "held_out_masked_lm": {
            grain: {
                "accuracy": pretraining[f"{grain}_masked_lm_accuracy"],
                "most_frequent_accuracy": pretraining[f"{grain}_most_frequent_accuracy"],
                "ratio": pretraining[f"{grain}_masked_lm_accuracy"] / pretraining[f"{grain}_most_frequent_accuracy"],
            }
            for grain in ("fine", "coarse")
        },
        "review_accuracy": {
            "pretrained": {head: with_it[f"{head}_accuracy"] for head in ("joint", "fine", "coarse")},
            "from_scratch": {head: without[f"{head}_accuracy"] for head in ("joint", "fine", "coarse")},
            "gain_of_pretraining": with_it["joint_accuracy"] - without["joint_accuracy"],
        },
        "seconds": {title: round(seconds, 1) for title, seconds in steps.seconds.items()},
    }


def _ask(saved_model: str, texts: list[str]) -> list[dict[str, Any]]:
    print("\n== Ask the SavedModel, in a process that has TensorFlow and TensorFlow Text only", flush=True)
    process = subprocess.run(
        [sys.executable, "-I", "-c", _ASK, saved_model],
        input=json.dumps(texts), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if process.returncode:
        raise InputError(f"the SavedModel does not answer: {process.stderr.strip().splitlines()[-1]}")
    return json.loads(process.stdout)


def _print_summary(output: str, metrics: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"{answer['label']:>8} {answer['probability']:.3f}  {question}")
    masked, accuracy = metrics["held_out_masked_lm"], metrics["review_accuracy"]
    print("\nheld-out masked-LM accuracy, beside always giving the most frequent token")
    for grain, values in masked.items():
        print(
            f"  {grain:<7}{values['accuracy']:.3f} against {values['most_frequent_accuracy']:.3f}, "
            f"{values['ratio']:.2f} times"
        )
    print(f"accuracy on {metrics['data']['test_reviews']:,} held-out reviews   joint   fine   coarse")
    for name, title in (("pretrained", "pre-trained"), ("from_scratch", "without pre-training")):
        heads = accuracy[name]
        print(f"  {title:<36}{heads['joint']:.3f}  {heads['fine']:.3f}  {heads['coarse']:.3f}")
    print(f"  pre-training adds {100 * accuracy['gain_of_pretraining']:+.1f} points")
    print(f"{metrics['total_seconds'] / 60:.1f} minutes; the report is {os.path.join(output, 'report.md')}")
