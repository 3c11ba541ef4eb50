"""BERT's input: token, position and segment embeddings, added and normalized."""

from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import LayerNormalization, dropout, normal_initializer


class Embeddings(keras.layers.Layer):
    """Embeds the tokens of one or two grains; each grain has its own token table, the rest is shared.

    Args:
      config: the model's sizes.
      grains: the grains that have a token table here.
      position_table_per_grain: whether each grain also has its own position embeddings. AMBERT-Hybrid needs this: it
        reads both sequences as one.
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
        # No autocast: only the rows that are looked up are cast, not the whole table.
        return self.add_weight(
            name=name, shape=(rows, self.config.hidden_size), initializer=initializer, autocast=False
        )

    def call(self, ids: tf.Tensor, segment_ids: tf.Tensor, grain: str, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Embeds one grain.

        Args:
          ids: int32 [batch, length].
          segment_ids: int32 [batch, length].
          grain: whose tables to use.
          seed: of the dropout; None for no dropout.

        Returns:
          [batch, length, hidden].
        """
        length = ids.shape[1] if ids.shape[1] is not None else tf.shape(ids)[1]
        longest = self.config.max_position_embeddings
        tf.debugging.assert_less_equal(
            length, longest, f"a {grain} sequence is longer than max_position_embeddings ({longest})"
        )
        tokens = tf.gather(self.token_tables[grain].value, ids)
        # A product with two or three one-hot columns: its gradient is a product too, not a scatter.
        if self.config.type_vocab_size == 1:  # both texts of a pair get it
            segment_ids = tf.zeros_like(segment_ids)
        one_hot = tf.one_hot(tf.reshape(segment_ids, [-1]), self.config.type_vocab_size, dtype=tf.float32)
        segments = tf.reshape(tf.matmul(one_hot, self.segment_table.value), tf.shape(tokens))
        embedded = tokens + segments + self.position_tables[grain].value[:length]
        return dropout(self.layer_norm(embedded), self.config.hidden_dropout_prob, seed, site=0)


class TokenEmbedding(keras.layers.Layer):
    """One grain's token table as a layer, from ids to vectors; the table belongs to `Embeddings`.

    Args:
      embeddings: what owns the table.
      grain: whose table.
    """

    def __init__(self, embeddings: Embeddings, grain: str) -> None:
        super().__init__(name=f"{grain}_token_embedding", dtype=embeddings.dtype_policy)
        # In a function Keras does not track the other layer as a part of this one.
        self._table = lambda: embeddings.token_tables[grain]
        self.built = True

    @property
    def embeddings(self) -> keras.Variable:
        """The table, [vocab, hidden]."""
        return self._table()

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of ids of any shape."""
        return tf.cast(tf.gather(self.embeddings.value, ids), self.compute_dtype)

    def compute_output_spec(self, ids: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((*ids.shape, self.embeddings.shape[1]), self.compute_dtype)
