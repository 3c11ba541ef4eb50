"""The demo's report: loss curves as a picture, figures, and sentences in both tokenizations."""

import json
import os
from collections.abc import Sequence
from typing import Any

from ambert_tf.files import atomic_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


def write_report(
    output_dir: str, metrics: dict[str, Any], questions: Sequence[str], answers: Sequence[dict[str, Any]]
) -> None:
    """Writes `loss_curves.png` and `report.md` into the demo's directory.

    Args:
      output_dir: holds pretrained/, classifier/ and tokenizer/.
      metrics: the content of metrics.json.
      questions: sentences asked.
      answers: label and probability of each.
    """
    _draw_curves(output_dir)
    masked, accuracy = metrics["held_out_masked_lm"], metrics["review_accuracy"]
    lines = [
        "# An AMBERT in a quarter of an hour",
        "",
        f"{metrics['data']['documents']:,} documents of {metrics['data']['characters']:,} characters, "
        f"{metrics['data']['train_reviews']:,} reviews to fine-tune on, {metrics['total_seconds'] / 60:.1f} minutes.",
        "",
        "![Losses of pre-training and fine-tuning](loss_curves.png)",
        "",
        "## Pre-training: masked tokens of held-out text",
        "",
        "| grain | accuracy | most frequent token | ratio |",
        "|---|---|---|---|",
        *(
            f"| {grain} | {row['accuracy']:.3f} | {row['most_frequent_accuracy']:.3f} | {row['ratio']:.2f} |"
            for grain, row in masked.items()
        ),
        "",
        f"## Fine-tuning: accuracy on {metrics['data']['test_reviews']:,} held-out reviews",
        "",
        "| weights | joint | fine | coarse |",
        "|---|---|---|---|",
        *(
            f"| {title} | " + " | ".join(f"{accuracy[name][head]:.3f}" for head in ("joint", "fine", "coarse")) + " |"
            for name, title in (("pretrained", "pre-trained"), ("from_scratch", "new"))
        ),
        "",
        f"Pre-training adds {100 * accuracy['gain_of_pretraining']:+.1f} points.",
        "",
        "## Answers of the SavedModel",
        "",
        "| sentence, fine tokens, coarse tokens | answer |",
        "|---|---|",
        *_rows(os.path.join(output_dir, "tokenizer"), questions, answers),
        "",
        "## Time",
        "",
        "| step | seconds |",
        "|---|---|",
        *(f"| {title} | {seconds:.0f} |" for title, seconds in metrics["seconds"].items()),
        "",
    ]
    with (
        atomic_path(os.path.join(output_dir, "report.md")) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write("\n".join(lines))


def _rows(tokenizer_dir: str, questions: Sequence[str], answers: Sequence[dict[str, Any]]) -> list[str]:
    tokenizer = MultiGrainedTokenizer.load(tokenizer_dir)
    tokens = tokenizer(list(questions))
    rows = []
    for question, fine, coarse, answer in zip(
        questions, tokens.fine_ids.to_list(), tokens.coarse_ids.to_list(), answers, strict=True
    ):
        fine_text = " ".join(tokenizer.fine_vocab[index] for index in fine)
        coarse_text = " ".join(tokenizer.coarse_vocab[index] for index in coarse)
        rows.append(f"| {question}<br>{fine_text}<br>{coarse_text} | {answer['label']} ({answer['probability']:.3f}) |")
    return rows


def _read_metrics(output_dir: str, directory: str, name: str) -> tuple[list[int], list[float]]:
    with open(os.path.join(output_dir, directory, "metrics.jsonl"), encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    points = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in points], [value for _, value in points]


def _draw_curves(output_dir: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for grain, colour in (("fine", "tab:blue"), ("coarse", "tab:orange")):
        left.plot(
            *_read_metrics(output_dir, "pretrained", f"{grain}_masked_lm_loss"),
            color=colour,
            label=f"{grain}, training",
        )
        held_out = _read_metrics(output_dir, "pretrained", f"eval_{grain}_masked_lm_loss")
        left.plot(*held_out, color=colour, linestyle="none", marker="o", label=f"{grain}, held out")
    left.set(title="Pre-training", xlabel="update", ylabel="masked-LM loss (nats)")
    for directory, colour, label in (
        ("classifier", "tab:green", "pre-trained"),
        ("classifier_from_scratch", "tab:red", "without pre-training"),
    ):
        right.plot(*_read_metrics(output_dir, directory, "joint_loss"), color=colour, label=f"{label}, training")
    right.set(title="Fine-tuning", xlabel="update", ylabel="joint head's loss (nats)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_path(os.path.join(output_dir, "loss_curves.png")) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot.close(figure)
