"""The five models: AMBERT, its alternatives Combo and Hybrid (§3.4 of the paper), BERT on either grain."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.embeddings import Embeddings
from ambert_tf.models.encoder import Encoder
from ambert_tf.models.layers import Dense

PAD_ID = 0


def build_model(
    config: ModelConfig, dtype: str | None = None, seed: int = 0, static_shapes: bool = False
) -> "Backbone":
    """Returns the model that `config.model_type` names, with initial weights.

    Args:
      config: sizes.
      dtype: Keras' dtype policy, such as `float32` or `mixed_bfloat16`; None for Keras' current one.
      seed: of the initial weights.
      static_shapes: compute padding in training too, as XLA's fixed shapes need.

    Example:
      >>> config = ModelConfig.preset("tiny", vocab_size=100, coarse_vocab_size=150)
      >>> ids = tf.constant([[2, 7, 3]])
      >>> inputs = {"fine_input_ids": ids, "fine_segment_ids": tf.zeros_like(ids),
      ...           "coarse_input_ids": ids, "coarse_segment_ids": tf.zeros_like(ids)}
      >>> build_model(config)(inputs)["coarse"].shape
      TensorShape([1, 3, 128])
    """
    classes = {"ambert_combo": ComboBackbone, "ambert_hybrid": HybridBackbone}
    model_class = classes.get(config.model_type, SharedBackbone)
    model = model_class(config, seed=seed, static_shapes=static_shapes, name="backbone", dtype=dtype)
    model.build()
    return model


class Backbone(keras.Model):
    """What all five models are: token sequences in, one representation a token out.

    Attributes:
      config: its sizes.
      static_shapes: whether its encoders compute padding in training too.
      grains: the grains it reads, of `fine` and `coarse`.
      classification_grains: the grains whose `[CLS]` fine-tuning puts a head on: both for `ambert` and
        `ambert_combo`, one for the others; AMBERT-Hybrid is fine-tuned as BERT is (§3.4).
    """

    def __init__(self, config: ModelConfig, seed: int = 0, static_shapes: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.seed = seed
        self.static_shapes = static_shapes
        self.grains = config.grains
        self.classification_grains = ("fine",) if config.one_sequence else config.grains

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool = False,
        grains: Sequence[str] | None = None,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Encodes both grains, or only some: `grains=("fine",)` of an AMBERT is AMBERT-Single.

        Args:
          inputs: for each grain g that is encoded, `g_input_ids` and `g_segment_ids`, int32 [batch,
            g_length]; id 0 is padding. Other keys are passed over.
          training: whether dropout is on.
          grains: what to return; all by default.
          seed: of the dropout, int32 [2]; a random one by default.

        Returns:
          For each grain [batch, g_length, hidden]; in training of no meaning at padding.
        """
        if not training:
            seed = None
        elif seed is None:
            seed = tf.random.uniform([2], minval=0, maxval=tf.int32.max, dtype=tf.int32)
        return self.encode(inputs, tuple(grains or self.grains), seed, return_weights=False)[0]

    def attention_weights(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, list[tf.Tensor]]:
        """Returns for each grain the weights of each layer, [batch, heads, g_length, g_length].

        AMBERT-Hybrid has one sequence, fine tokens first, and returns its weights under both names.
        """
        return self.encode(inputs, self.grains, None, return_weights=True)[1]

    @abstractmethod
    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None,
        return_weights: bool,
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        """Returns representations and attention weights by grain."""

    @abstractmethod
    def token_embeddings(self, grain: str) -> keras.Variable:
        """Returns a grain's token table [vocab, hidden], to which the masked-LM output is tied."""

    @abstractmethod
    def pool(self, grain: str, sequence_output: tf.Tensor) -> tf.Tensor:
        """Returns BERT's pooled `[CLS]`, [batch, hidden], of [batch, length, hidden]."""


class SharedBackbone(Backbone):
    """AMBERT: one encoder for both grains, which differ in their token tables only. BERT with one grain."""

    own_positions = False

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        size, policy = config.hidden_size, self.dtype_policy
        self.embeddings = Embeddings(
            config, config.grains, self.own_positions, seed=seed, name="embeddings", dtype=policy
        )
        self.encoder = Encoder(config, seed, self.static_shapes, name="encoder", dtype=policy)
        self.pooler = Dense(
            size, size, initializer_range=config.initializer_range, seed=seed, name="pooler", dtype=policy
        )

    def build(self, input_shape: object = None) -> None:
        for layer in (self.embeddings, self.encoder, self.pooler):
            layer.build()

    def token_embeddings(self, grain: str) -> keras.Variable:
        return self.embeddings.token_tables[grain]

    def pool(self, grain: str, sequence_output: tf.Tensor) -> tf.Tensor:
        first = tf.reshape(sequence_output[:, :1], [-1, self.config.hidden_size])  # an empty batch has no first token
        return tf.tanh(self.pooler(first))

    def embed(
        self, inputs: Mapping[str, tf.Tensor], grains: Sequence[str], seed: tf.Tensor | None
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Returns each grain's embeddings [batch, length, hidden], and [batch, length], False at padding."""
        embedded, real = [], []
        for index, grain in enumerate(grains):
            ids = inputs[f"{grain}_input_ids"]
            grain_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            embedded.append(self.embeddings(ids, inputs[f"{grain}_segment_ids"], grain=grain, seed=grain_seed))
            real.append(tf.not_equal(ids, PAD_ID))
        return embedded, real

    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None,
        return_weights: bool,
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        embedded, real = self.embed(inputs, grains, seed)
        outputs, weights = self.encoder(embedded, real, seed=seed, return_weights=return_weights)
        by_grain = {grain: [layer[i] for layer in weights if layer] for i, grain in enumerate(grains)}
        return dict(zip(grains, outputs, strict=True)), by_grain


class HybridBackbone(SharedBackbone):
    """AMBERT-Hybrid, eq. (3): one encoder over the fine and the coarse sequence, one after the other."""

    own_positions = True

    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None,
        return_weights: bool,
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        embedded, real = self.embed(inputs, self.grains, seed)
        outputs, weights = self.encoder(
            [tf.concat(embedded, 1)], [tf.concat(real, 1)], seed=seed, return_weights=return_weights
        )
        fine_length = tf.shape(embedded[0])[1]
        parts = {"fine": outputs[0][:, :fine_length], "coarse": outputs[0][:, fine_length:]}
        by_layer = [layer[0] for layer in weights if layer]
        return {grain: parts[grain] for grain in grains}, dict.fromkeys(self.grains, by_layer)


class ComboBackbone(Backbone):
    """AMBERT-Combo: two complete BERTs that share nothing."""

    def __init__(self, config: ModelConfig, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, seed, **kwargs)
        self.berts = {}
        for grain in self.grains:
            single = ModelConfig(**{**config.to_dict(), "model_type": f"bert_{grain}"})
            self.berts[grain] = SharedBackbone(
                single, seed, static_shapes=self.static_shapes, name=f"{grain}_bert", dtype=self.dtype_policy
            )

    def build(self, input_shape: object = None) -> None:
        for bert in self.berts.values():
            bert.build()

    def token_embeddings(self, grain: str) -> keras.Variable:
        return self.berts[grain].token_embeddings(grain)

    def pool(self, grain: str, sequence_output: tf.Tensor) -> tf.Tensor:
        return self.berts[grain].pool(grain, sequence_output)

    def encode(
        self,
        inputs: Mapping[str, tf.Tensor],
        grains: tuple[str, ...],
        seed: tf.Tensor | None,
        return_weights: bool,
    ) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        outputs: dict[str, tf.Tensor] = {}
        weights: dict[str, list[tf.Tensor]] = {}
        for index, grain in enumerate(grains):
            grain_seed = seed if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            output, weight = self.berts[grain].encode(inputs, (grain,), grain_seed, return_weights)
            outputs.update(output)
            weights.update(weight)
        return outputs, weights
