"""The model card (README.md) of an export."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import is_file, parse_json, read_bytes
from ambert_tf.models.task_config import (
    DECODING_FIELDS,
    IDIOMS,
    MULTIPLE_CHOICE,
    REGRESSION,
    SEQUENCE_LABELLING,
    SPANS,
    TaskConfig,
)
from ambert_tf.serving.check import Report
from ambert_tf.serving.layout import Facts
from ambert_tf.serving.served_model import PADDED, SERVING_DEFAULT

OUTPUTS = {
    REGRESSION: "`score`, float32 [batch]",
    MULTIPLE_CHOICE: "`probabilities`, float32 [batch, n]; `choice`, int32 [batch], an index from 0",
    SPANS: "`answer`, string [batch]; `start`, `end`, int32 [batch], byte offsets into the given context; `score`, "
    "float32 [batch], the sum of two logits",
    SEQUENCE_LABELLING: "ragged [batch, (entities)]: `label`, string; `start`, `end`, int32, byte offsets into the "
    "given text; `score`, float32, the mean probability of the entity's tags",
}
CLASS_OUTPUTS = "`probabilities`, float32 [batch, classes], in the order of the labels; `label`, string [batch]"
EXAMPLES: dict[str, Any] = {
    "text": "…", "text_pair": "…", "question": "…", "context": "…", "choices": ["…", "…"],
    "span1_text": "…", "span1_index": 0, "span2_text": "…", "span2_index": 7,
}  # fmt: skip
# Numeric results that are not scores.
NO_SCORES = {
    "task_name", "step", "inference", "model_type", "metric", "examples_per_second", "runs", "loss", *DECODING_FIELDS,
}  # fmt: skip


def read_scores(model_dir: str, inference: str, task: TaskConfig) -> dict[str, Any]:
    """Returns the contents of `eval_results.json` if the evaluated model answers like the export.

    Args:
      model_dir: the model directory.
      inference: the export's `--inference`.
      task: the export's task. For spans, the parameters of the search must be the same, too. Earlier versions did not
        write them, so their results are not used.

    Returns:
      The results, or an empty dictionary if there are none or if they belong to other settings.

    Raises:
      InputError: the file is not a JSON object.
    """
    path = os.path.join(model_dir, "eval_results.json")
    if not is_file(path):
        return {}
    try:
        results = dict(parse_json(read_bytes(path)))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a JSON object ({error})") from None
    wanted: dict[str, Any] = {"inference": inference}
    if task.form == SPANS:
        wanted.update({name: getattr(task, name) for name in DECODING_FIELDS})
    return results if all(results.get(name) == value for name, value in wanted.items()) else {}


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
      facts: description of the export.
      size_mb: total size of its files.
      parameters: number of parameters.
      scores: see `read_scores`.
      report: result of the check, or None if it was skipped.
      served_name: name of the model in TensorFlow Serving, or None for an export without a version.
    """
    task, config = facts.task, facts.config
    assert task is not None
    parts = [
        f"# {task.task_name}: {config.model_type}, {facts.inference}",
        f"A SavedModel that takes raw text, exported by ambert-tf. Its tokenizer ({facts.language}) is part of the "
        "graph. Loading it only requires tensorflow and tensorflow_text.",
        "## Task\n\n" + _task(task),
        "## Model\n\n"
        f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, {parameters / 1e6:.1f} million "
        f"parameters, {size_mb:.1f} MB on disk. Vocabulary sizes: fine {config.vocab_size}"
        + (f", coarse {config.coarse_vocab_size}" if "coarse" in config.grains else "")
        + f". Sequences have at most {task.max_seq_length} fine and {task.max_coarse_seq_length} coarse tokens"
        + _windows(task),
        "## Scores\n\n" + _scores(scores, task),
        "## Signatures\n\n" + _signatures(facts, task),
        "## Usage\n\n" + _client(facts, served_name),
    ]
    if report is not None:
        parts.insert(5, "## Check\n\n" + _check(report, task.form))
    return "\n\n".join(parts) + "\n"


def _windows(task: TaskConfig) -> str:
    kinds = {SPANS: "contexts", SEQUENCE_LABELLING: "texts"}
    if task.form not in kinds:
        return "."
    return f"; long {kinds[task.form]} are split into windows, with stride {task.doc_stride}."


def _task(task: TaskConfig) -> str:
    lines = f"`{task.task_name}` ({task.form.replace('_', ' ')})."
    if task.labels:
        described = task.label_descriptions or ("",) * len(task.labels)
        names = (f"{name} ({word})" if word else name for name, word in zip(task.labels, described, strict=True))
        lines += f" Labels: {', '.join(names)}."
    if task.form == SEQUENCE_LABELLING:
        lines += f" Tags: {task.tagging_scheme}" + (", with a linear-chain CRF." if task.crf else ".")
    if task.data_augmentation != "none":
        lines += f" Trained with data augmentation ({task.data_augmentation}); inputs should have the same form."
    return lines


def _scores(scores: Mapping[str, Any], task: TaskConfig) -> str:
    numbers = {
        name: value
        for name, value in scores.items()
        if name not in NO_SCORES and isinstance(value, int | float) and not name.endswith("_loss")
    }
    if not numbers:
        search = f" and these values of {', '.join(f'`--{name}`' for name in DECODING_FIELDS)}"
        return f"The model was not evaluated with this `--inference`{search if task.form == SPANS else ''}."
    rows = "\n".join(f"| {name} | {value:.6g} |" for name, value in numbers.items())
    return f"From `eval_results.json`, step {scores.get('step')}:\n\n| result | value |\n|---|---|\n{rows}"


def _signatures(facts: Facts, task: TaskConfig) -> str:
    rows = []
    for name, inputs in facts.signatures.items():
        outputs = {
            "attention": "attention weights by grain, float32 [batch, layers, heads, length, length]",
            "tokenize": "token ids and byte offsets of both grains, int32 [batch, length]",
            PADDED: "the same, padded to [batch, entities] for TensorFlow Serving, and `count`, int32 [batch]",
        }.get(name, "sequence and [CLS] vectors by grain, float32 [batch, length, hidden], [batch, hidden]")
        if name == SERVING_DEFAULT:
            outputs = OUTPUTS.get(task.form, CLASS_OUTPUTS)
            if task.null_answers:
                outputs += "; `null_odds`, float32 [batch]; `answer` is empty for no answer"
        rows.append(f"| `{name}` | {', '.join(f'`{key}`' for key in inputs)} | {outputs} |")
    notes = "\n\nInputs are strings, [batch]"
    if task.form == MULTIPLE_CHOICE:
        notes += "; `choices` [batch, n], padded with empty strings"
    if task.inputs == IDIOMS:
        notes += "; `context` has a blank such as `#idiom000123#`, and `question` is its name"
    if "span1_index" in facts.signatures[SERVING_DEFAULT]:
        notes += "; `span1_index` and `span2_index`, int32 [batch], are character offsets into `text`"
    return "| name | inputs | outputs |\n|---|---|---|\n" + "\n".join(rows) + notes + "."


def _check(report: Report, form: str | None) -> str:
    text = (
        f"Loaded in a separate process and compared with the checkpoint on {report.examples} examples: the predictions "
        f"are equal, and the scores differ by at most {report.difference:.1e}."
    )
    if report.accuracy is not None:
        what = "Pearson correlation" if form == REGRESSION else "Accuracy"
        text += f" {what} on the examples with a known answer: {report.accuracy:.4f}."
    times = ", ".join(f"{1000 * value:.1f} ms for a batch of {size}" for size, value in report.latency_seconds.items())
    text += f" Loading takes {report.load_seconds:.1f} s. Median latency: {times}."
    return text + f" Peak memory: {report.memory_mb:.0f} MB."


def _client(facts: Facts, served_name: str | None) -> str:
    names = facts.signatures[SERVING_DEFAULT]
    arguments = ", ".join(f"{name}=tf.constant([{json.dumps(EXAMPLES[name], ensure_ascii=False)}])" for name in names)
    request: dict[str, Any] = {"inputs": {name: [EXAMPLES[name]] for name in names}}
    if PADDED in facts.signatures:
        request = {"signature_name": PADDED, **request}
    instance = json.dumps(request, ensure_ascii=False)
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
