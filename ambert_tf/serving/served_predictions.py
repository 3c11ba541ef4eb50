"""`Prediction`: TensorFlow ops from the strings of a request to predictions."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from ambert_tf.models.task_answers import (
    Candidates,
    best_answers,
    final_answers,
    sequence_predictions,
    window_candidates,
)
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION, SEQUENCE_LABELLING, SPANS, TaskConfig
from ambert_tf.models.task_inputs import MODEL_INPUTS, task_inputs
from ambert_tf.models.token_labels import find_entities
from ambert_tf.serving.rows import run_rows
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

Outputs = dict[str, tf.Tensor | tf.RaggedTensor]


class Prediction:
    """Computes predictions from the raw inputs listed by `input_specs`.

    The outputs depend on the form of the task. Classification: `probabilities`, float32 [batch, classes], in the order
    of the task's labels, and `label`, string [batch]. Regression: `score`, float32 [batch]. Multiple choice:
    `probabilities`, float32 [batch, n], and `choice`, int32 [batch]. An empty choice has probability 0, and `choice` is
    -1 if all choices are empty. Spans: see `final_answers`. Sequence labelling: ragged tensors [batch, (entities)] of
    `label`, string; `start` and `end`, int32, byte offsets into the text; and `score`, float32.

    Args:
      task: the task.
      tokenizer: the model's tokenizer.
      logits: function from dense model inputs, int32 [rows, length], to the joint head's logits.
      whole_coarse: see `window_candidates`. For models that read only the coarse grain.
      transitions: for sequence labelling, returns the joint head's transition matrix.
    """

    def __init__(
        self,
        task: TaskConfig,
        tokenizer: MultiGrainedTokenizer,
        logits: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
        whole_coarse: bool,
        transitions: Callable[[], tf.Tensor] | None = None,
    ) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.logits = logits
        self.whole_coarse = whole_coarse
        self.transitions = transitions
        self.longest = {"fine": task.max_seq_length, "coarse": task.max_coarse_seq_length}

    def __call__(self, **inputs: tf.Tensor) -> Outputs:
        """Predicts a batch."""
        inputs = _of_one_batch(**inputs)
        if self.task.form == SPANS:
            return self._answer(**inputs)
        if self.task.form == SEQUENCE_LABELLING:
            return self._entities(**inputs)
        rows = task_inputs(self.task, self.tokenizer, **inputs)
        shape = tf.TensorSpec([self.task.num_outputs], tf.float32)

        def run(some: Mapping[str, tf.Tensor], numbers: tf.Tensor) -> tuple[tf.Tensor]:
            if self.task.form == MULTIPLE_CHOICE:  # each choice as an example with a single choice
                some = {name: values[:, tf.newaxis] for name, values in some.items()}
            return (self.logits(some),)

        (logits,) = run_rows(rows, run, [shape], self.longest)
        if self.task.form == MULTIPLE_CHOICE:
            logits = tf.reshape(logits, tf.shape(inputs["choices"]))
        outputs = sequence_predictions(self.task, logits)
        if self.task.form == REGRESSION:
            return outputs
        prediction = outputs.pop("prediction")
        if self.task.form == MULTIPLE_CHOICE:
            return outputs | {"choice": prediction}
        return outputs | {"label": tf.gather(tf.constant(self.task.labels), prediction)}

    def _answer(self, question: tf.Tensor, context: tf.Tensor) -> Outputs:
        windows = task_inputs(self.task, self.tokenizer, question=question, context=context)

        def run(rows: Mapping[str, tf.Tensor], numbers: tf.Tensor) -> Candidates:
            own = {name: tf.gather(values, numbers) for name, values in windows.items()}
            return window_candidates(self.task, self.logits(rows), own, self.whole_coarse).best()

        shapes = [tf.TensorSpec([1], dtype) for dtype in (tf.float32, tf.int32, tf.int32)]
        inputs = {name: windows[name] for name in MODEL_INPUTS}
        found = run_rows(inputs, run, [*shapes, tf.TensorSpec([], tf.float32)], self.longest)
        answers = best_answers(Candidates(*found), windows["window_example"], context, count=1)
        return final_answers(self.task, answers)

    def _entities(self, text: tf.Tensor) -> Outputs:
        windows = task_inputs(self.task, self.tokenizer, text=text)
        length, tags = self.task.max_seq_length, self.task.num_outputs

        def run(rows: Mapping[str, tf.Tensor], numbers: tf.Tensor) -> tuple[tf.Tensor]:
            logits = self.logits(rows)
            return (tf.pad(logits, [[0, 0], [0, length - tf.shape(logits)[1]], [0, 0]]),)

        inputs = {name: windows[name] for name in MODEL_INPUTS}
        (logits,) = run_rows(inputs, run, [tf.TensorSpec([length, tags], tf.float32)], self.longest)
        assert self.transitions is not None
        found = find_entities(self.task.tag_set, logits, windows, tf.size(text), self.transitions())
        label = tf.gather(tf.constant(self.task.labels), found.label)
        return {"label": label, "start": found.start, "end": found.end, "score": found.score}


def _of_one_batch(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the inputs, after an assertion that they have the same batch size."""
    (first, size), *others = ((name, tf.shape(value)[0]) for name, value in inputs.items())
    same = [
        tf.debugging.assert_equal(size, other, f"{first} and {name} must have the same batch size")
        for name, other in others
    ]
    # Without the control dependency, another operation that reads the inputs may fail first.
    with tf.control_dependencies(same if not tf.executing_eagerly() else []):
        return {name: tf.identity(value) for name, value in inputs.items()}
