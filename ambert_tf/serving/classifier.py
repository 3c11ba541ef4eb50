"""A classifier that takes raw text: what its SavedModel holds."""

from collections.abc import Callable

import tensorflow as tf

from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.training.classifiers import Classifier

SIGNATURE = "serving_default"


class ServedClassifier(tf.Module):
    """Text in, probabilities and labels out; the tokenizer is part of the graph.

    Any batch size will do, none included, and texts of any length, which are cut as in training.

    Args:
      classifier: whose model runs, without dropout.

    Attributes:
      input_names: the signature's inputs.
      serving_default: the signature, a `tf.function` of `text`, string [batch], and for pairs `text_pair`, string
        [batch]. It returns `probabilities`, float32 [batch, classes] in the order of the task's labels, and `label`,
        string [batch], the label with the highest one.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(name="classifier")
        task, model = classifier.task, classifier.model
        self.tokenizer = classifier.tokenizer
        # The variables alone: tracked as a Keras model, it would bring Keras' own metadata and functions along.
        self.model_variables = [variable.value for variable in model.variables]
        self.labels = tf.constant(task.labels)

        def classify(text: tf.Tensor, text_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
            inputs = build_model_inputs(
                self.tokenizer,
                text,
                text_pair,
                max_seq_length=task.max_seq_length,
                max_coarse_seq_length=task.max_coarse_seq_length,
            )
            logits = model(pad_model_inputs(inputs), training=False)["joint"]
            return {
                "probabilities": tf.nn.softmax(logits),
                "label": tf.gather(self.labels, tf.argmax(logits, axis=-1)),
            }

        self.input_names = ("text", "text_pair") if task.pair else ("text",)
        signature = [tf.TensorSpec([None], tf.string, name=name) for name in self.input_names]
        self.serving_default: Callable[..., dict[str, tf.Tensor]] = tf.function(
            classify, input_signature=signature, autograph=False
        )

    def save(self, directory: str) -> None:
        """Writes the SavedModel."""
        tf.saved_model.save(self, directory, signatures={SIGNATURE: self.serving_default})
