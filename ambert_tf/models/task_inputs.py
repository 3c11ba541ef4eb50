"""TensorFlow ops from raw strings to model inputs. Training, evaluation and serving all call `task_inputs`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ambert_tf.models import task_texts
from ambert_tf.models.task_config import (
    IDIOMS,
    MARKED_SPANS,
    MULTIPLE_CHOICE,
    SEQUENCE_LABELLING,
    SPANS,
    TaskConfig,
)
from ambert_tf.tokenization.model_inputs import build_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.windows import build_windows, inner_positions

MODEL_INPUTS = ("fine_input_ids", "fine_segment_ids", "coarse_input_ids", "coarse_segment_ids", "fine_to_coarse")
STRINGS = tf.TensorSpec([None], tf.string)
NUMBERS = tf.TensorSpec([None], tf.int32)


def input_specs(task: TaskConfig) -> dict[str, tf.TensorSpec]:
    """Returns the raw inputs of a task, by name and in order, for `task_inputs` and for `serving_default`."""
    if task.form == SPANS:
        return {"question": STRINGS, "context": STRINGS}
    if task.form == MULTIPLE_CHOICE:
        return {"context": STRINGS, "question": STRINGS, "choices": tf.TensorSpec([None, None], tf.string)}
    if task.inputs == MARKED_SPANS:
        return {
            "text": STRINGS, "span1_text": STRINGS, "span1_index": NUMBERS, "span2_text": STRINGS,
            "span2_index": NUMBERS,
        }  # fmt: skip
    return {"text": STRINGS, "text_pair": STRINGS} if task.pair else {"text": STRINGS}


def pad_choices(choices: Sequence[Sequence[str]], count: int = 0) -> list[list[str]]:
    """Pads lists of choices with empty strings, which are ignored, to the longest list or to `count`."""
    longest = max([count, *map(len, choices)])
    return [[*each, *[""] * (longest - len(each))] for each in choices]


def task_inputs(task: TaskConfig, tokenizer: MultiGrainedTokenizer, **inputs: tf.Tensor) -> dict[str, Any]:
    """Tokenizes a batch of examples.

    Args:
      task: the task, which defines the form, the kind of inputs and the maximum lengths.
      tokenizer: the model's tokenizer.
      **inputs: the raw inputs; see `input_specs`.

    Returns:
      Ragged model inputs; see `build_model_inputs`. There is one row per example. Multiple choice has one row per
      choice, batch * n in total, which is empty for an empty choice. Spans and sequence labelling have one row per
      window, plus the other outputs of `build_windows`. For sequence labelling, these include `begins_word`, bool
      [windows, (tokens)].
    """
    lengths: dict[str, Any] = {
        "max_seq_length": task.max_seq_length,
        "max_coarse_seq_length": task.max_coarse_seq_length,
    }
    if task.form == SPANS:
        return build_windows(
            tokenizer,
            inputs["question"],
            inputs["context"],
            doc_stride=task.doc_stride,
            max_query_length=task.max_query_length,
            **lengths,
        )
    if task.form == SEQUENCE_LABELLING:
        windows = build_windows(tokenizer, None, inputs["text"], doc_stride=task.doc_stride, **lengths)
        starts = windows["context_starts"]
        ids = tf.gather(windows["fine_input_ids"].flat_values, inner_positions(starts))
        windows["begins_word"] = starts.with_flat_values(tokenizer.begins_word(ids))
        return windows
    if task.form == MULTIPLE_CHOICE:
        context, question, choices = (inputs[name] for name in ("context", "question", "choices"))
        if task.inputs == IDIOMS:
            texts = task_texts.idiom_rows(context, question, choices, task.max_seq_length)
        else:
            texts = task_texts.choice_rows(context, question, choices)
        real = tf.reshape(choices, [-1]) != ""
        rows = build_model_inputs(tokenizer, *(tf.boolean_mask(each, real) for each in texts), **lengths)
        return {name: _with_empty_rows(values, real) for name, values in rows.items()}
    if task.inputs == MARKED_SPANS:
        inputs["text"] = task_texts.marked_texts(
            inputs["text"],
            (inputs["span1_text"], inputs["span2_text"]),
            (inputs["span1_index"], inputs["span2_index"]),
            task.max_seq_length,
        )
    return build_model_inputs(tokenizer, inputs["text"], inputs.get("text_pair"), **lengths)


def _with_empty_rows(rows: tf.RaggedTensor, real: tf.Tensor) -> tf.RaggedTensor:
    """Returns n rows: the given ones where `real`, bool [n], is true, and empty ones elsewhere."""
    lengths = tf.scatter_nd(tf.where(real), rows.row_lengths(), tf.shape(real, tf.int64))
    return tf.RaggedTensor.from_row_lengths(rows.flat_values, lengths, validate=False)
