"""`ServedModel`: a model that takes raw text, with the tokenizer in its graph, to be saved as a SavedModel."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.task_config import SEQUENCE_LABELLING, TaskConfig
from ambert_tf.models.task_inputs import STRINGS, input_specs
from ambert_tf.serving.served_predictions import Outputs, Prediction
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

SERVING_DEFAULT = "serving_default"
PADDED = "padded"


class ServedModel(tf.Module):
    """Maps raw text to predictions, vectors, attention weights or tokens.

    Batches may have any size, including 0. Texts may have any length and contain any bytes, and are truncated as in
    training.

    Args:
      tokenizer: the model's tokenizer.
      model: a backbone or a model with heads, in float32.
      task: the task that it was fine-tuned on. Without a task, there is no `serving_default`.
      max_seq_length, max_coarse_seq_length: maximum lengths for `features` and `attention` of a model without a task.

    Attributes:
      functions: the signatures by name, `tf.function`s with named inputs, string [batch] unless noted:
        `serving_default`: see `Prediction` and `input_specs`.
        `padded`: for sequence labelling only. Maps `text` to the outputs of `serving_default`, padded with "" and 0 to
          [batch, entities], and `count`, int32 [batch], the number of entities of each text. For clients that cannot
          receive ragged tensors, such as those of TensorFlow Serving.
        `features`: maps `text` (and `text_pair` for tasks with two texts, "" for a single text) to, for each grain g,
          `g_sequence`, float32 [batch, g_length, hidden]; `g_cls`, float32 [batch, hidden], the vectors of [CLS]; and
          `g_input_ids`, int32 [batch, g_length], 0 at padding.
        `fine_features`, `coarse_features`: likewise, for models that can run on one grain.
        `attention`: maps the same inputs to `g_attention`, float32 [batch, layers, heads, g_length, g_length], and
          `g_input_ids`. AMBERT-Hybrid has `joint_attention`, over both sequences, fine tokens first.
        `tokenize`: maps `text` to `g_ids`, `g_starts`, `g_ends` (byte offsets) and `fine_to_coarse`, int32 [batch,
          length], 0 after the end of a text, and `g_lengths`, int32 [batch].
      specs: the inputs of each signature.
      model_variables: the stored weights.
    """

    def __init__(
        self,
        tokenizer: MultiGrainedTokenizer,
        model: keras.Model,
        task: TaskConfig | None,
        max_seq_length: int = 512,
        max_coarse_seq_length: int = 512,
    ) -> None:
        super().__init__(name="served_model")
        self.tokenizer = tokenizer
        # Wrapped in a function, so that tf.Module does not track the model and save Keras' metadata and functions.
        self._model = lambda: model
        self.model_variables = [variable.value for variable in model.variables]
        self._limits = (max_seq_length, max_coarse_seq_length)
        grains = model.config.grains
        if task is not None:
            self._limits = (task.max_seq_length, task.max_coarse_seq_length)
        two = task is not None and len(input_specs(task)) > 1 and "span1_text" not in input_specs(task)
        texts = {"text": STRINGS, "text_pair": STRINGS} if two else {"text": STRINGS}
        # Traced once for all signatures. The lambda hides the function, which saving would trace again.
        traced = tf.function(self._model_inputs, autograph=False, input_signature=list(texts.values()))
        self._inputs = lambda **values: traced(*(values[name] for name in texts))
        functions: dict[str, tuple[Callable[..., Outputs], Mapping[str, tf.TensorSpec]]] = {}
        if task is not None:
            prediction = Prediction(task, tokenizer, self._joint_logits, grains == ("coarse",), self._transitions)
            functions[SERVING_DEFAULT] = (prediction, input_specs(task))
            if task.form == SEQUENCE_LABELLING:
                functions[PADDED] = (self._padded, input_specs(task))
        functions["features"] = (lambda **inputs: self._features(grains, **inputs), texts)
        if len(grains) > 1 and not model.config.one_sequence:
            for grain in grains:
                functions[f"{grain}_features"] = (self._features_of(grain), texts)
        functions["attention"] = (self._attention, texts)
        functions["tokenize"] = (self._tokens, {"text": STRINGS})
        self.specs = {name: dict(specs) for name, (_, specs) in functions.items()}
        made = {name: _with_signature(function, specs) for name, (function, specs) in functions.items()}
        # Not tracked either, because saving would trace them again.
        self._functions = lambda: made

    @property
    def functions(self) -> dict[str, Any]:
        """The signatures by name; see the class docstring."""
        return self._functions()

    def _padded(self, text: tf.Tensor) -> Outputs:
        outputs = self.functions[SERVING_DEFAULT](text)
        count = tf.cast(outputs["label"].row_lengths(), tf.int32)
        return {**{name: values.to_tensor() for name, values in outputs.items()}, "count": count}

    def _transitions(self) -> tf.Tensor:
        model = self._model()
        assert isinstance(model, AmbertTokenClassifier)
        return model.transitions()["joint"]

    def _joint_logits(self, rows: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self._model()(rows, training=False)["joint"]

    def _backbone(self) -> AmbertBackbone:
        model: Any = self._model()
        return getattr(model, "backbone", model)

    def _features_of(self, grain: str) -> Callable[..., Outputs]:
        return lambda **inputs: self._features((grain,), **inputs)

    def _model_inputs(self, text: tf.Tensor, text_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        fine, coarse = self._limits
        inputs = build_model_inputs(
            self.tokenizer, text, text_pair, max_seq_length=fine, max_coarse_seq_length=coarse, empty_is_single=True
        )
        return pad_model_inputs(inputs)

    def _features(self, grains: tuple[str, ...], **texts: tf.Tensor) -> Outputs:
        inputs = self._inputs(**texts)
        outputs: Outputs = {}
        found = self._backbone()(inputs, training=False, grains=grains)
        for grain in grains:
            sequence = found[f"{grain}_sequence_output"]
            outputs[f"{grain}_sequence"] = sequence
            # A slice and a reshape instead of an index, because an empty batch has no first token.
            outputs[f"{grain}_cls"] = tf.reshape(sequence[:, :1], [-1, sequence.shape[-1]])
            outputs[f"{grain}_input_ids"] = inputs[f"{grain}_input_ids"]
        return outputs

    def _attention(self, **texts: tf.Tensor) -> Outputs:
        inputs = self._inputs(**texts)
        weights = self._backbone().attention_weights(inputs)
        config = self._backbone().config
        if config.one_sequence:
            weights = {"joint": weights["fine"]}
        outputs = {f"{grain}_attention": tf.stack(layers, axis=1) for grain, layers in weights.items()}
        return outputs | {f"{grain}_input_ids": inputs[f"{grain}_input_ids"] for grain in config.grains}

    def _tokens(self, text: tf.Tensor) -> Outputs:
        tokens = self.tokenizer(text)
        outputs: Outputs = {name: values.to_tensor() for name, values in tokens._asdict().items()}
        for grain in ("fine", "coarse"):
            outputs[f"{grain}_lengths"] = tf.cast(getattr(tokens, f"{grain}_ids").row_lengths(), tf.int32)
        return outputs

    def save(self, directory: str) -> None:
        """Writes the SavedModel."""
        signatures = {name: function.get_concrete_function() for name, function in self.functions.items()}
        tf.saved_model.save(self, directory, signatures=signatures)


def _with_signature(function: Callable[..., Outputs], specs: Mapping[str, tf.TensorSpec]) -> Any:
    """Returns a function as a graph with named inputs."""
    names = tuple(specs)

    def positional(*values: tf.Tensor) -> Outputs:
        return function(**dict(zip(names, values, strict=True)))

    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()]
    return tf.function(positional, input_signature=signature, autograph=False)
