"""The demo's report: results, loss curves, and both tokenizations of sample sentences."""

import json
import os
from collections.abc import Sequence
from typing import Any

from ambert_tf.figures import new_figure, save_figure
from ambert_tf.files import atomic_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


def write_report(
    output_dir: str, metrics: dict[str, Any], sentences: Sequence[str], answers: Sequence[dict[str, Any]]
) -> None:
    """Writes `loss_curves.png` and `report.md` to the demo's directory.

    Args:
      output_dir: directory with pretrained/, classifier/, classifier_from_scratch/ and tokenizer/.
      metrics: the contents of metrics.json.
      sentences: the sentences classified by the SavedModel.
      answers: label and probability of each sentence.
    """
    _draw_curves(output_dir)
    masked, accuracy, data = metrics["held_out_masked_lm"], metrics["review_accuracy"], metrics["data"]
    lines = [
        "# AMBERT demo: report",
        "",
        f"A 2-layer AMBERT with hidden size 128, pre-trained for {metrics['settings']['num_train_steps']:,} steps on "
        f"{data['characters']:,} characters in {data['documents']:,} documents, fine-tuned on "
        f"{data['train_reviews']:,} reviews. Total time: {metrics['total_seconds'] / 60:.1f} minutes.",
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
        "## Fine-tuning",
        "",
        f"Accuracy on {data['test_reviews']:,} held-out reviews, half of them positive:",
        "",
        "| | joint head | fine head | coarse head |",
        "|---|---|---|---|",
        *(
            f"| {title} | " + " | ".join(_percent(accuracy[name][head]) for head in ("joint", "fine", "coarse")) + " |"
            for name, title in (("from_scratch", "from scratch"), ("pretrained", "after pre-training"))
        ),
        "",
        f"Pre-training changes the joint head's accuracy by {100 * accuracy['gain_of_pretraining']:+.1f} points "
        "in this run. It varies by about one point between seeds of fine-tuning.",
        "",
        "![Losses of pre-training and fine-tuning](loss_curves.png)",
        "",
        "## Predictions of the SavedModel",
        "",
        "| sentence; fine tokens; coarse tokens | label | probability |",
        "|---|---|---|",
        *_rows(os.path.join(output_dir, "tokenizer"), sentences, answers),
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
        f"    python -m ambert_tf.analysis.attention --model_dir={output_dir}/classifier \\",
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


def _draw_curves(output_dir: str) -> None:
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for grain, colour in (("fine", "tab:blue"), ("coarse", "tab:orange")):
        left.plot(
            *_read_metrics(output_dir, "pretrained", f"{grain}_masked_lm_loss"),
            color=colour,
            label=f"{grain}, training",
        )
        held_out = _read_metrics(output_dir, "pretrained", f"eval_{grain}_masked_lm_loss")
        left.plot(*held_out, color=colour, linestyle="none", marker="o", label=f"{grain}, held-out")
    left.set(title="Pre-training", xlabel="training step", ylabel="masked-LM loss (nats)")
    for directory, colour, label in (
        ("classifier", "tab:green", "after pre-training"),
        ("classifier_from_scratch", "tab:red", "from scratch"),
    ):
        right.plot(*_read_metrics(output_dir, directory, "joint_loss"), color=colour, label=label)
    right.set(title="Fine-tuning", xlabel="training step", ylabel="loss of the joint head (nats)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, os.path.join(output_dir, "loss_curves.png"), dpi=120)
