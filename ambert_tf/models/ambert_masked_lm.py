"""`AmbertMaskedLM`: a backbone with masked-LM heads, pre-trained with eq. (1)."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm_preprocessor import AmbertMaskedLMPreprocessor
from ambert_tf.models.ambert_task import AmbertTask
from ambert_tf.models.layers import Dense, dropout_seed
from ambert_tf.models.losses import masked_lm_loss, pretraining_loss
from ambert_tf.models.masked_lm_head import MaskedLMHead, masked_lm_targets, remove_padding

# Prefixes of the paths of the heads' variables.
PRETRAINING_HEADS = ("masked_lm_head/", "fine_masked_lm_head/", "coarse_masked_lm_head/", "next_sentence_head/")


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertMaskedLM(AmbertTask, keras_hub.models.MaskedLM):
    """An end-to-end AMBERT model for masked language modeling at both grains, eq. (1) of the paper.

    Each grain has a masked-LM head. Grains that share an encoder share the head's transform. AMBERT-Combo has two
    complete heads. The loss is the sum of the grains' losses, plus the next-sentence loss if there is a next-sentence
    head.

    Args:
      backbone: an `AmbertBackbone`.
      next_sentence: bool. Whether to add a next-sentence head. The preprocessor does not create its labels.
      preprocessor: an `AmbertMaskedLMPreprocessor` or `None`. If `None`, inputs must be preprocessed.

    The `sample_weight` of `fit` and `evaluate` is an array [batch]. Without a preprocessor, it may also be a dictionary
    of arrays [batch, predictions] by grain, such as the preprocessor's.

    A call returns a dictionary of logits by grain, float32 [predictions of the batch, vocabulary]. `predict` returns
    them as [batch, predictions, vocabulary].

    Example:

    ```python
    masked_lm = ambert_tf.AmbertMaskedLM.from_preset("./my_preset")
    masked_lm.fit(["商店里的乒乓球拍卖完了", "服务很好"])
    ```
    """

    preprocessor_cls = AmbertMaskedLMPreprocessor

    def __init__(
        self, backbone: AmbertBackbone, next_sentence: bool = False, preprocessor: Any = None, **kwargs: Any
    ) -> None:
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.config = config = backbone.config
        self.masked_lm_heads: dict[str, MaskedLMHead] = {}
        if config.model_type == "ambert_combo":
            for grain in config.grains:
                head = MaskedLMHead(backbone, (grain,), name=f"{grain}_masked_lm_head")
                self.masked_lm_heads[grain] = head
        else:
            head = MaskedLMHead(backbone, config.grains, name="masked_lm_head")
            self.masked_lm_heads = dict.fromkeys(config.grains, head)
        for head in {id(head): head for head in self.masked_lm_heads.values()}.values():
            head.build()
        self.next_sentence_head: Dense | None = None
        if next_sentence:
            self.next_sentence_head = Dense(
                config.hidden_size, 2, config.initializer_range, backbone.seed,
                name="next_sentence_head", dtype=backbone.dtype_policy,
            )  # fmt: skip
            self.next_sentence_head.build()

        # === Functional Model ===
        inputs = dict(backbone.input)
        for grain in config.grains:
            for name, dtype in (("masked_lm_positions", "int32"), ("masked_lm_weights", "float32")):
                inputs[f"{grain}_{name}"] = keras.Input((None,), dtype=dtype, name=f"{grain}_{name}")
        outputs = self.call(inputs)

        # === Config ===
        self.next_sentence = next_sentence
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False, seed: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Predicts the masked tokens.

        Args:
          inputs: the backbone's inputs and, for each grain g, `g_masked_lm_positions`, int32 [batch, g_predictions],
            and `g_masked_lm_weights`, float32 [batch, g_predictions], 0 at padding.
          training: whether to apply dropout.
          seed: dropout seed, int32 [2]. Defaults to a random one.

        Returns:
          Logits by grain, float32 [predictions of the batch, vocab]. `masked_lm_targets` returns their targets. With a
          next-sentence head also `next_sentence`, float32 [batch, 2], computed from the first grain's pooled output.
        """
        seed = dropout_seed(training, seed)
        sequences = self.backbone(inputs, training=training, seed=seed)
        outputs = {
            grain: self.masked_lm_heads[grain](
                sequences[f"{grain}_sequence_output"],
                inputs[f"{grain}_masked_lm_positions"],
                inputs[f"{grain}_masked_lm_weights"],
                grain=grain,
                static_shapes=self.static_shapes,
            )
            for grain in self.config.grains
        }
        if self.next_sentence_head is not None:
            logits = self.next_sentence_head(sequences[f"{self.config.grains[0]}_pooled_output"])
            outputs["next_sentence"] = keras.ops.cast(logits, "float32")
        return outputs

    @property
    def static_shapes(self) -> bool:
        """Whether padding tokens and padding predictions are computed, as set on the backbone."""
        return self.backbone.static_shapes

    def _arrays(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, ...]:
        if y is None and isinstance(self.preprocessor, AmbertMaskedLMPreprocessor):
            y = sample_weight  # fills the place of the labels, which the preprocessor makes from the texts
        return super()._arrays(x, y, sample_weight)

    def training_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
        y, y_pred, sample_weight = self.metric_inputs(x, y, y_pred, sample_weight)
        parts = {
            f"{grain}_loss": masked_lm_loss(y_pred[grain], y[grain], sample_weight[grain])
            for grain in self.config.grains
        }
        if "next_sentence" in y:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y["next_sentence"], y_pred["next_sentence"])
            parts["next_sentence_loss"] = tf.reduce_mean(losses)
        return pretraining_loss(parts)

    def metric_inputs(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        grains = self.config.grains
        targets, weights = {}, {}
        for grain in grains:
            named = {f"{grain}_masked_lm_ids": y[grain], f"{grain}_masked_lm_weights": x[f"{grain}_masked_lm_weights"]}
            targets[grain], weights[grain] = masked_lm_targets(named, grain, self.static_shapes)
            if sample_weight is not None:
                there = named[f"{grain}_masked_lm_weights"]
                given = _prediction_weights(sample_weight, there, grain)
                weights[grain] = remove_padding(given, there, self.static_shapes)
        if self.next_sentence and isinstance(y, Mapping) and "next_sentence" in y:
            targets["next_sentence"] = y["next_sentence"]
        return targets, {grain: y_pred[grain] for grain in y_pred if grain in targets}, weights

    def default_metrics(self) -> Any:
        return {grain: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] for grain in self.config.grains}

    def prediction(self, x: Any, y_pred: Any) -> Any:
        def restored(grain: str) -> tf.Tensor:
            real = x[f"{grain}_masked_lm_weights"] > 0
            shape = tf.concat([tf.shape(real), [self.config.grain_vocab_size(grain)]], 0)
            if self.static_shapes:
                return tf.reshape(y_pred[grain], shape)
            return tf.scatter_nd(tf.cast(tf.where(real), tf.int32), y_pred[grain], shape)

        return {name: logits if name == "next_sentence" else restored(name) for name, logits in y_pred.items()}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "next_sentence": self.next_sentence}


def _prediction_weights(sample_weight: Any, there: tf.Tensor, grain: str) -> tf.Tensor:
    """Returns weights per prediction, 0 at padding, given those per example or, by grain, per prediction."""
    if isinstance(sample_weight, Mapping):
        return tf.where(there > 0, tf.cast(sample_weight[grain], tf.float32), 0.0)
    return tf.cast(there, tf.float32) * tf.reshape(tf.cast(sample_weight, tf.float32), [-1, 1])
