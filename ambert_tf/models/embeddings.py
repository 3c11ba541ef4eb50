"""BERT's input: token, position and segment embeddings, added and normalised."""

from typing import Any

import keras
import tensorflow as tf

from ambert_tf.models.config import ModelConfig
from ambert_tf.models.layers import LayerNormalization, SeededLayer, dropout


class Embeddings(SeededLayer):
    """Embeds the tokens of one or two grains; each grain has a token table, the rest is shared.

    Args:
      config: the model's sizes.
      grains: the grains that have a token table here.
      own_positions: give each grain its own position embeddings too, as AMBERT-Hybrid needs, which has
        both sequences in one.
    """

    def __init__(
        self, config: ModelConfig, grains: tuple[str, ...], own_positions: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(initializer_range=config.initializer_range, **kwargs)
        self.config = config
        self.grains = grains
        self.own_positions = own_positions
        self.layer_norm = LayerNormalization(
            config.hidden_size, config.layer_norm_eps, name="layer_norm", dtype=self.dtype_policy
        )
        self.token_tables: dict[str, keras.Variable] = {}
        self.position_tables: dict[str, keras.Variable] = {}

    def build(self, input_shape: object = None) -> None:
        config = self.config
        # Not cast to the compute type as a whole: only the rows that are looked up are.
        for grain in self.grains:
            shape = (config.grain_vocab_size(grain), config.hidden_size)
            self.token_tables[grain] = self.add_normal_weight(f"{grain}_token_embeddings", shape, autocast=False)
        shape = (config.max_position_embeddings, config.hidden_size)
        if self.own_positions:
            for grain in self.grains:
                name = f"{grain}_position_embeddings"
                self.position_tables[grain] = self.add_normal_weight(name, shape, autocast=False)
        else:
            table = self.add_normal_weight("position_embeddings", shape, autocast=False)
            self.position_tables = dict.fromkeys(self.grains, table)
        shape = (config.type_vocab_size, config.hidden_size)
        self.segment_table = self.add_normal_weight("segment_embeddings", shape, autocast=False)
        self.layer_norm.build()

    def call(self, ids: tf.Tensor, segment_ids: tf.Tensor, grain: str, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Embeds one grain.

        Args:
          ids: int32 [batch, length].
          segment_ids: int32 [batch, length].
          grain: whose tables to use.
          seed: of the dropout; None for none.

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
        one_hot = tf.one_hot(tf.reshape(segment_ids, [-1]), self.config.type_vocab_size, dtype=tf.float32)
        segments = tf.reshape(tf.matmul(one_hot, self.segment_table.value), tf.shape(tokens))
        embedded = tokens + segments + self.position_tables[grain].value[:length]
        return dropout(self.layer_norm(embedded), self.config.hidden_dropout_prob, seed, site=0)
