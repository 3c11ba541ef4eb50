"""What a served model predicts, in graph, for each form of tasks: a request's strings in, tensors out."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.classification_heads import MASKED_LOGIT
from ambert_tf.models.task_config import IDIOMS, MARKED_SPANS, MULTIPLE_CHOICE, REGRESSION, SPANS, TaskConfig
from ambert_tf.serving import request_texts as texts
from ambert_tf.serving.rows import run_rows
from ambert_tf.serving.spans import Best, best_in_windows, best_of_questions
from ambert_tf.serving.weights import Weights
from ambert_tf.tokenization.model_inputs import build_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.windows import build_windows

STRINGS = tf.TensorSpec([None], tf.string)
NUMBERS = tf.TensorSpec([None], tf.int32)
MODEL_INPUTS = ("fine_input_ids", "fine_segment_ids", "coarse_input_ids", "coarse_segment_ids", "fine_to_coarse")

Outputs = dict[str, tf.Tensor]


def input_specs(task: TaskConfig) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of `serving_default`, by name and in order."""
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


class Prediction:
    """Predicts; called with the inputs that `input_specs` names.

    Returns of a classification `probabilities`, float32 [batch, classes] in the order of the task's labels, and
    `label`, string [batch]; of a regression `score`, float32 [batch]; of multiple choice `probabilities`, float32
    [batch, n], and `choice`, int32 [batch], -1 without choices (an empty choice is none); of spans `answer`, string
    [batch], "" for none, `start` and `end`, int32 [batch], bytes of the context, and `score`, float32 [batch], the sum
    of two logits; where questions may have no answer, `null_odds` too, float32 [batch].

    Args:
      task: the task.
      tokenizer: the model's.
      weights: the model.
      whole_coarse: answers begin and end where coarse tokens do: of a model that reads coarse tokens alone.
      null_score_diff_threshold: odds of no answer above which there is none.
    """

    def __init__(
        self,
        task: TaskConfig,
        tokenizer: MultiGrainedTokenizer,
        weights: Weights,
        whole_coarse: bool,
        null_score_diff_threshold: float = 0.0,
    ) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.weights = weights
        self.whole_coarse = whole_coarse
        self.threshold = null_score_diff_threshold
        self.longest = {"fine": task.max_seq_length, "coarse": task.max_coarse_seq_length}
        forms: dict[str, Callable[..., Outputs]] = {
            REGRESSION: self._score, MULTIPLE_CHOICE: self._choose, SPANS: self._answer
        }  # fmt: skip
        self._predict = forms.get(task.form, self._classify)

    def __call__(self, **inputs: tf.Tensor) -> Outputs:
        """Returns what the form says."""
        return self._predict(**texts.of_one_batch(**inputs))

    def _sequences(self, text: tf.Tensor, text_pair: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the joint head's logits for each sequence, float32 [rows, num_outputs]."""
        task = self.task
        inputs = build_model_inputs(
            self.tokenizer,
            text,
            text_pair,
            max_seq_length=task.max_seq_length,
            max_coarse_seq_length=task.max_coarse_seq_length,
        )
        matrices = self.weights.matrices()

        def run(rows: Mapping[str, tf.Tensor], numbers: tf.Tensor) -> tuple[tf.Tensor]:
            return (self.weights.call(matrices, rows, _joint_logits),)

        return run_rows(inputs, run, [tf.TensorSpec([task.num_outputs], tf.float32)], self.longest)[0]

    def _classify(self, **inputs: tf.Tensor) -> Outputs:
        logits = self._text_logits(**inputs)
        labels = tf.constant(self.task.labels)
        return {"probabilities": tf.nn.softmax(logits), "label": tf.gather(labels, tf.argmax(logits, axis=-1))}

    def _score(self, **inputs: tf.Tensor) -> Outputs:
        score = self._text_logits(**inputs)[:, 0]
        if self.task.score_range is not None:
            score = tf.clip_by_value(score, *self.task.score_range)
        return {"score": score}

    def _text_logits(self, text: tf.Tensor, text_pair: tf.Tensor | None = None, **spans: tf.Tensor) -> tf.Tensor:
        if spans:
            text = texts.marked_texts(
                text,
                (spans["span1_text"], spans["span2_text"]),
                (spans["span1_index"], spans["span2_index"]),
                self.task.max_seq_length,
            )
        return self._sequences(text, text_pair)

    def _choose(self, context: tf.Tensor, question: tf.Tensor, choices: tf.Tensor) -> Outputs:
        if self.task.inputs == IDIOMS:
            rows = texts.idiom_rows(context, question, choices, self.task.max_seq_length)
        else:
            rows = texts.choice_rows(context, question, choices)
        logits = tf.where(choices == "", MASKED_LOGIT, tf.reshape(self._sequences(*rows), tf.shape(choices)))
        # Without any choice there is nothing to take the greatest of.
        some = tf.concat([logits, tf.fill([tf.shape(choices)[0], 1], 2 * MASKED_LOGIT)], 1)
        choice = tf.where(tf.reduce_any(choices != "", axis=1), tf.argmax(some, axis=1, output_type=tf.int32), -1)
        return {"probabilities": tf.nn.softmax(logits), "choice": choice}

    def _answer(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        task = self.task
        windows: dict[str, Any] = build_windows(
            self.tokenizer,
            question,
            context,
            max_seq_length=task.max_seq_length,
            max_coarse_seq_length=task.max_coarse_seq_length,
            doc_stride=task.doc_stride,
            max_query_length=task.max_query_length,
        )
        inputs = {name: windows[name] for name in MODEL_INPUTS}
        matrices = self.weights.matrices()

        def run(rows: Mapping[str, tf.Tensor], numbers: tf.Tensor) -> Best:
            logits = self.weights.call(matrices, rows, _joint_logits)
            return self._best(logits, {name: tf.gather(values, numbers) for name, values in windows.items()}, rows)

        shapes = [tf.TensorSpec([], dtype) for dtype in (tf.float32, tf.int32, tf.int32, tf.float32)]
        found = Best(*run_rows(inputs, run, shapes, self.longest))
        best = best_of_questions(found, windows["window_example"], tf.size(question))
        none = ~best.has_answer
        if task.null_answers:
            none |= best.null_score - best.score > self.threshold
        start, end = (tf.where(none, 0, at) for at in (best.start, best.end))
        outputs = {
            "answer": tf.strings.substr(context, start, end - start),
            "start": start,
            "end": end,
            "score": tf.where(none, best.null_score, best.score),
        }
        if task.null_answers:
            odds = best.null_score - best.score
            outputs["null_odds"] = tf.where(best.has_answer, odds, 0.0)
        return outputs

    def _best(self, logits: tf.Tensor, windows: Mapping[str, Any], rows: Mapping[str, tf.Tensor]) -> Best:
        """Returns the best answer in each of some windows."""
        shape = tf.shape(logits)[:2]
        # From the tokens of the context to positions of the sequence.
        position = tf.range(shape[1]) - windows["context_offset"][:, tf.newaxis]
        lengths = tf.cast(windows["context_starts"].row_lengths(), tf.int32)[:, tf.newaxis]
        inside = (position >= 0) & (position < lengths)
        index = tf.clip_by_value(position, 0, shape[1] - 1)

        def at_positions(name: str) -> tf.Tensor:
            dense = windows[name].to_tensor(shape=tf.stack([-1, shape[1]]))
            return tf.gather(dense, index, batch_dims=1)

        may_start, may_end = inside & (at_positions("max_context") > 0), inside
        if self.whole_coarse:
            coarse = rows["fine_to_coarse"]
            edge = tf.fill([shape[0], 1], -1)
            may_start &= coarse != tf.concat([edge, coarse[:, :-1]], 1)
            may_end &= coarse != tf.concat([coarse[:, 1:], edge], 1)
        starts, ends = at_positions("context_starts"), at_positions("context_ends")
        return best_in_windows(logits, may_start, may_end, starts, ends, self.task.max_answer_length)


def _joint_logits(model: keras.Model, rows: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return model(rows, training=False)["joint"]
