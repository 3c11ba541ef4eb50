"""The demo's report: results, loss curves, and both tokenizations of sample sentences."""

import json
import os
from collections.abc import Sequence
from typing import Any

from ambert_tf.figures import new_figure, save_figure
from ambert_tf.outputs import atomic_path

TITLES = {"pretrained": "after pre-training", "from_scratch": "from scratch", "tfidf": "tf-idf + logistic regression"}


def joint_accuracy(metrics: dict[str, Any], name: str, labels: int) -> float:
    """Returns the accuracy of the joint head, or of tf-idf, with a number of labels."""
    found = metrics["review_accuracy"][name][labels]
    return found if name == "tfidf" else found["joint"]


def write_report(
    output_dir: str, metrics: dict[str, Any], sentences: Sequence[str], answers: Sequence[dict[str, Any]]
) -> None:
    """Writes `accuracy.png`, `loss_curves.png` and `report.md` to the demo's directory.

    Args:
      output_dir: the demo's output directory.
      metrics: the contents of metrics.json.
      sentences: the sentences classified by the SavedModel.
      answers: label and probability of each sentence.
    """
    _draw_accuracy(output_dir, metrics)
    _draw_curves(output_dir, metrics)
    masked, data, settings = metrics["held_out_masked_lm"], metrics["data"], metrics["settings"]
    numbers = list(metrics["review_accuracy"]["tfidf"])
    start = "a randomly initialized model" if settings["from_scratch"] else "`ambert_tiny_zh`"
    classifier = f"{output_dir}/classifier"
    with open(os.path.join(classifier, "config.json"), encoding="utf-8") as file:
        size = "a {num_hidden_layers}-layer AMBERT with hidden size {hidden_size}".format(**json.load(file))
    lines = [
        "# AMBERT demo: report",
        "",
        f"{size.capitalize().replace('ambert', 'AMBERT')}: {start}, pre-trained for {settings['num_train_steps']:,} "
        f"steps on {data['characters']:,} characters without labels, mostly reviews, and fine-tuned on few labelled "
        f"reviews. Total time: {metrics['total_seconds'] / 60:.1f} minutes.",
        "",
        "## Accuracy and number of labels",
        "",
        "![Accuracy against number of labels](accuracy.png)",
        "",
        f"Accuracy on {data['test_reviews']:,} held-out reviews, half of them positive, of one run each. It "
        "varies by one or two points between seeds. That of AMBERT is the joint head's.",
        "",
        "| | " + " | ".join(f"{labels:,} labels" for labels in numbers) + " |",
        "|---|" + "---|" * len(numbers),
        *(
            f"| {title} | " + " | ".join(_percent(joint_accuracy(metrics, name, labels)) for labels in numbers) + " |"
            for name, title in TITLES.items()
        ),
        "",
        "## Pre-training",
        "",
        "Accuracy on the masked tokens of held-out text:",
        "",
        "| | fine | coarse |",
        "|---|---|---|",
        f"| most frequent token | {_percent(masked['fine']['most_frequent_accuracy'])} | "
        f"{_percent(masked['coarse']['most_frequent_accuracy'])} |",
        f"| pre-trained model | {_percent(masked['fine']['accuracy'])} | {_percent(masked['coarse']['accuracy'])} |",
        "",
        "![Losses of pre-training and fine-tuning](loss_curves.png)",
        "",
        f"## Predictions of the SavedModel, fine-tuned on {numbers[1]:,} reviews",
        "",
        "| sentence; fine tokens; coarse tokens | label | probability |",
        "|---|---|---|",
        *_rows(os.path.join(classifier, "tokenizer"), sentences, answers),
        "",
        "## Time",
        "",
        "| step | seconds |",
        "|---|---|",
        *(f"| {title} | {seconds:.0f} |" for title, seconds in metrics["seconds"].items()),
        "",
        "## Next steps",
        "",
        "Attention maps of the classifier as a web page:",
        "",
        f"    python -m ambert_tf.analysis.attention --model_dir={classifier} \\",
        f"        --text={sentences[0]} --output=attention.html",
        "",
        "A web page to try the model (`pip install 'gradio>=6,<7'` first):",
        "",
        f"    python -m ambert_tf.analysis.page --saved_model={output_dir}/saved_model",
        "",
    ]
    with (
        atomic_path(os.path.join(output_dir, "report.md")) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write("\n".join(lines))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _rows(tokenizer_dir: str, sentences: Sequence[str], answers: Sequence[dict[str, Any]]) -> list[str]:
    from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer  # imports TensorFlow, unlike the demo's --help

    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    tokens = tokenizer(list(sentences))
    rows = []
    for sentence, fine, coarse, answer in zip(
        sentences, tokens.fine_ids.to_list(), tokens.coarse_ids.to_list(), answers, strict=True
    ):
        fine_text = "/".join(tokenizer.fine_vocab[index] for index in fine)
        coarse_text = "/".join(tokenizer.coarse_vocab[index] for index in coarse)
        texts = f"{sentence}<br>{fine_text}<br>{coarse_text}"
        rows.append(f"| {texts} | {answer['label']} | {answer['probability']:.3f} |")
    return rows


def _read_metrics(output_dir: str, directory: str, name: str) -> tuple[list[int], list[float]]:
    with open(os.path.join(output_dir, directory, "metrics.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    points = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in points], [value for _, value in points]


COLOURS = {"pretrained": "tab:green", "from_scratch": "tab:red", "tfidf": "tab:gray"}


def _draw_accuracy(output_dir: str, metrics: dict[str, Any]) -> None:
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for name, title in TITLES.items():
        numbers = list(metrics["review_accuracy"][name])
        values = [100 * joint_accuracy(metrics, name, labels) for labels in numbers]
        axes.plot(numbers, values, color=COLOURS[name], marker="o", label=title)
    axes.set(xscale="log", xlabel="labelled reviews", ylabel="accuracy (%)")
    axes.set_xticks(numbers, [f"{labels:,}" for labels in numbers])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, os.path.join(output_dir, "accuracy.png"), dpi=120)


def _draw_curves(output_dir: str, metrics: dict[str, Any]) -> None:
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for grain, colour in (("fine", "tab:blue"), ("coarse", "tab:orange")):
        name = f"{grain}_masked_lm_loss"
        left.plot(*_read_metrics(output_dir, "pretrained", name), color=colour, label=f"{grain}, training")
        held_out = _read_metrics(output_dir, "pretrained", f"eval_{name}")
        left.plot(*held_out, color=colour, linestyle="none", marker="o", label=f"{grain}, held-out")
    left.set(title="Pre-training", xlabel="training step", ylabel="masked-LM loss (nats)")
    labels = list(metrics["review_accuracy"]["tfidf"])[1]
    for name, directory in (("pretrained", "classifier"), ("from_scratch", "classifier_from_scratch")):
        curve = _read_metrics(output_dir, directory, "joint_loss")
        right.plot(*curve, color=COLOURS[name], label=TITLES[name])
    right.set(
        title=f"Fine-tuning on {labels:,} reviews", xlabel="training step", ylabel="loss of the joint head (nats)"
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, os.path.join(output_dir, "loss_curves.png"), dpi=120)
