"""BERT's input layer: the sum of token, position and segment embeddings, normalized."""

from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import FLOAT32, LayerNormalization, dropout, normal_initializer


class Embeddings(keras.layers.Layer):
    """Embeds the tokens of one or two grains. Each grain has its own token table. Everything else is shared.

    Args:
      config: the model's sizes.
      grains: the grains to create a token table for.
      position_table_per_grain: whether each grain also has its own position embeddings. AMBERT-Hybrid needs them,
        because it reads both sequences as one.
      seed: seed of the initial weights.
    """

    def __init__(
        self,
        config: ModelConfig,
        grains: tuple[str, ...],
        position_table_per_grain: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.grains = grains
        self.position_table_per_grain = position_table_per_grain
        self.seed = seed
        self.layer_norm = LayerNormalization(
            config.hidden_size, config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )
        self.token_tables: dict[str, keras.Variable] = {}
        self.position_tables: dict[str, keras.Variable] = {}

    def build(self, input_shape: object = None) -> None:
        config = self.config
        for grain in self.grains:
            self.token_tables[grain] = self._add_table(f"{grain}_token_embeddings", config.grain_vocab_size(grain))
        positions = config.max_position_embeddings
        if self.position_table_per_grain:
            for grain in self.grains:
                self.position_tables[grain] = self._add_table(f"{grain}_position_embeddings", positions)
        else:
            self.position_tables = dict.fromkeys(self.grains, self._add_table("position_embeddings", positions))
        self.segment_table = self._add_table("segment_embeddings", config.type_vocab_size)
        self.layer_norm.build()

    def _add_table(self, name: str, rows: int) -> keras.Variable:
        initializer = normal_initializer(self.config.initializer_range, self.seed, f"{self.path}/{name}")
        # No autocast: only the gathered rows are cast, not the whole table.
        return self.add_weight(name=name, shape=(rows, self.config.hidden_size), initializer=initializer, **FLOAT32)

    def call(self, ids: tf.Tensor, segment_ids: tf.Tensor, grain: str, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Embeds one grain.

        Args:
          ids: int32 [batch, length].
          segment_ids: int32 [batch, length].
          grain: the grain whose tables to use.
          seed: dropout seed, or None for no dropout.

        Returns:
          [batch, length, hidden].
        """
        length = ids.shape[1] if ids.shape[1] is not None else tf.shape(ids)[1]
        longest = self.config.max_position_embeddings
        tf.debugging.assert_less_equal(
            length, longest, f"a {grain} sequence is longer than max_position_embeddings ({longest})"
        )
        tokens = tf.gather(self.token_tables[grain].value, ids)
        # A matrix product with one-hot rows, because its gradient is a matrix product rather than a scatter.
        if self.config.type_vocab_size == 1:  # both texts of a pair get the only segment
            segment_ids = tf.zeros_like(segment_ids)
        one_hot = tf.one_hot(tf.reshape(segment_ids, [-1]), self.config.type_vocab_size, dtype=tf.float32)
        segments = tf.reshape(tf.matmul(one_hot, self.segment_table.value), tf.shape(tokens))
        embedded = tokens + segments + self.position_tables[grain].value[:length]
        return dropout(self.layer_norm(embedded), self.config.hidden_dropout_prob, seed, site=0)


class TokenEmbedding(keras.layers.Layer):
    """One grain's token table as a layer that maps ids to vectors. `Embeddings` owns the table.

    Args:
      embeddings: the owner of the table.
      grain: the grain whose table to use.
    """

    def __init__(self, embeddings: Embeddings, grain: str) -> None:
        super().__init__(name=f"{grain}_token_embedding", dtype=embeddings.dtype_policy)
        # Wrapped in a function, so that Keras does not track the other layer as part of this one.
        self._table = lambda: embeddings.token_tables[grain]
        self.built = True

    @property
    def embeddings(self) -> keras.Variable:
        """The table, [vocab, hidden]."""
        return self._table()

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the embeddings of ids of any shape."""
        return tf.cast(tf.gather(self.embeddings.value, ids), self.compute_dtype)

    def compute_output_spec(self, ids: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((*ids.shape, self.embeddings.shape[1]), self.compute_dtype)
