"""The model card of an export, its README.md."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import IDIOMS, MULTIPLE_CHOICE, REGRESSION, SPANS, TaskConfig
from ambert_tf.serving.check import Report
from ambert_tf.serving.layout import Facts
from ambert_tf.serving.served_model import SERVING_DEFAULT

OUTPUTS = {
    REGRESSION: "`score`, float32 [batch]",
    MULTIPLE_CHOICE: "`probabilities`, float32 [batch, n]; `choice`, int32 [batch], an index from 0",
    SPANS: "`answer`, string [batch]; `start`, `end`, int32 [batch], bytes of the context as given; `score`, "
    "float32 [batch], the sum of two logits",
}
CLASS_OUTPUTS = "`probabilities`, float32 [batch, classes], in the order of the labels; `label`, string [batch]"
EXAMPLES: dict[str, Any] = {
    "text": "…", "text_pair": "…", "question": "…", "context": "…", "choices": ["…", "…"],
    "span1_text": "…", "span1_index": 0, "span2_text": "…", "span2_index": 7,
}  # fmt: skip
# Results that are no scores.
NO_SCORES = {"task_name", "step", "inference", "model_type", "metric", "examples_per_second", "runs", "loss"}


def read_scores(model_dir: str, inference: str) -> dict[str, Any]:
    """Returns what `eval_results.json` of a model directory says of this inference; nothing if there is none.

    Raises:
      InputError: it is no JSON object.
    """
    path = os.path.join(model_dir, "eval_results.json")
    if not os.path.isfile(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            results = dict(json.load(file))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is no JSON object ({error})") from None
    return results if results.get("inference") == inference else {}


def model_card(
    facts: Facts,
    size_mb: float,
    parameters: int,
    scores: Mapping[str, Any],
    report: Report | None,
    served_name: str | None,
) -> str:
    """Returns the text of the card.

    Args:
      facts: of the export.
      size_mb: of its files.
      parameters: weights that run.
      scores: see `read_scores`.
      report: of the check, None where it was left out.
      served_name: what TensorFlow Serving is to call the model; None of an export that is not for it.
    """
    task, config = facts.task, facts.config
    assert task is not None
    parts = [
        f"# {task.task_name}: {config.model_type}, {facts.inference}",
        f"A SavedModel that takes raw text, exported by ambert-tf. Its tokenizer "
        f"({facts.language}) is part of the graph. It loads where there are tensorflow and tensorflow_text only.",
        "## Task\n\n" + _task(task),
        "## Model\n\n"
        f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, {parameters / 1e6:.1f} million "
        f"parameters; files of {size_mb:.1f} MB. Fine vocabulary {config.vocab_size}"
        + (f", coarse {config.coarse_vocab_size}" if "coarse" in config.grains else "")
        + f". Texts are cut after {task.max_seq_length} fine and {task.max_coarse_seq_length} coarse tokens"
        + (f"; contexts are read in windows, {task.doc_stride} fine tokens apart." if task.form == SPANS else "."),
        "## Scores\n\n" + _scores(scores),
        "## Signatures\n\n" + _signatures(facts, task),
        "## A client\n\n" + _client(facts, served_name),
    ]
    if report is not None:
        parts.insert(5, "## Check\n\n" + _check(report))
    return "\n\n".join(parts) + "\n"


def _task(task: TaskConfig) -> str:
    lines = f"`{task.task_name}`, a task of {task.form.replace('_', ' ')}."
    if task.labels:
        described = task.label_descriptions or ("",) * len(task.labels)
        names = (f"{name} ({word})" if word else name for name, word in zip(task.labels, described, strict=True))
        lines += f" Labels: {', '.join(names)}."
    if task.data_augmentation != "none":
        lines += f" Trained with {task.data_augmentation}; texts should come alike."
    return lines


def _scores(scores: Mapping[str, Any]) -> str:
    numbers = {
        name: value
        for name, value in scores.items()
        if name not in NO_SCORES and isinstance(value, int | float) and not name.endswith("_loss")
    }
    if not numbers:
        return "There was no `eval_results.json` of this inference in the model directory."
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in numbers.items())
    return f"From `eval_results.json`, step {scores.get('step')}:\n\n| result | value |\n|---|---|\n{rows}"


def _signatures(facts: Facts, task: TaskConfig) -> str:
    rows = []
    for name, inputs in facts.signatures.items():
        outputs = {
            "attention": "attention weights by grain, float32 [batch, layers, heads, length, length]",
            "tokenize": "token ids and byte offsets of both grains, int32 [batch, longest]",
        }.get(name, "sequence and [CLS] vectors by grain, float32 [batch, length, hidden], [batch, hidden]")
        if name == SERVING_DEFAULT:
            outputs = OUTPUTS.get(task.form, CLASS_OUTPUTS)
            if task.null_answers:
                outputs += "; `null_odds`, float32 [batch]; `answer` is empty where there is none"
        rows.append(f"| `{name}` | {', '.join(f'`{key}`' for key in inputs)} | {outputs} |")
    notes = "\n\nInputs are strings, [batch]"
    if task.form == MULTIPLE_CHOICE:
        notes += "; `choices` [batch, n], an empty string where an example has fewer"
    if task.inputs == IDIOMS:
        notes += "; `context` has its blank as `#idiom000123#`, and `question` is that blank's name"
    if "span1_index" in facts.signatures[SERVING_DEFAULT]:
        notes += "; `span1_index` and `span2_index` int32 [batch], characters of `text`"
    return "| name | inputs | outputs |\n|---|---|---|\n" + "\n".join(rows) + notes + "."


def _check(report: Report) -> str:
    text = (
        f"Loaded in a process of its own and compared with the checkpoint on {report.examples} examples: largest "
        f"difference {report.difference:.1e}."
    )
    if report.accuracy is not None:
        text += f" Accuracy on the given examples: {report.accuracy:.4f}."
    times = ", ".join(f"{1000 * value:.1f} ms for a batch of {size}" for size, value in report.latency_seconds.items())
    return text + f" It loads in {report.load_seconds:.1f} s, takes {times} (median) and {report.memory_mb:.0f} MB."


def _client(facts: Facts, served_name: str | None) -> str:
    names = facts.signatures[SERVING_DEFAULT]
    arguments = ", ".join(f"{name}=tf.constant([{json.dumps(EXAMPLES[name], ensure_ascii=False)}])" for name in names)
    instance = json.dumps({"inputs": {name: [EXAMPLES[name]] for name in names}}, ensure_ascii=False)
    text = (
        "```python\nimport tensorflow as tf\nimport tensorflow_text  # its ops are in the graph\n\n"
        f'model = tf.saved_model.load("DIRECTORY")\nprint(model.signatures["{SERVING_DEFAULT}"]({arguments}))\n```'
    )
    if served_name is not None:
        text += (
            "\n\nUnder TensorFlow Serving (see docs/serving.md of ambert-tf):\n\n```bash\n"
            f"curl -d '{instance}' http://localhost:8501/v1/models/{served_name}:predict\n```"
        )
    return text
