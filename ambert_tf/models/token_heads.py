"""The heads of eq. (2) for sequence labelling: logits of tags at every fine position, and transitions between tags."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.classification_heads import SpanHeads
from ambert_tf.models.layers import FLOAT32
from ambert_tf.models.linear_chain import constrained
from ambert_tf.models.tagging_schemes import TagSet

# Where a fine token is in its coarse token: the first, an inner, the last, or the only one.
PLACES = 4


class TokenHeads(SpanHeads):
    """Heads that choose a tag for every fine position.

    All fine tokens inside a coarse one share its vector, which alone could not tell the first token of an entity from
    the others. So the coarse head also has a bias for each tag and each place of a fine token in its coarse token.

    Args:
      backbone: the encoder.
      tag_set: the tags.
      crf: whether each head has a transition matrix to train; see `linear_chain`.
    """

    def __init__(self, backbone: AmbertBackbone, tag_set: TagSet, crf: bool, **kwargs: Any) -> None:
        super().__init__(backbone, len(tag_set.tags), **kwargs)
        self.allowed = tag_set.allowed()
        self.crf = crf

    def build_parts(self) -> None:
        super().build_parts()
        if "coarse" in self.grains:
            self.place_bias = self.add_weight(
                name="place_bias", shape=(PLACES, self.num_classes), initializer="zeros", **FLOAT32
            )
        size = self.num_classes + 1
        self.head_transitions = {
            name: self.add_weight(name=f"{name}_transitions", shape=(size, size), initializer="zeros", **FLOAT32)
            for name in (self.heads.heads if self.crf else ())
        }

    def transitions(self) -> dict[str, tf.Tensor]:
        """Returns the transition matrix of each head; only whether they are allowed counts without a CRF."""
        zeros = tf.zeros([self.num_classes + 1] * 2)
        names = (*self.grains, "joint")
        found = {name: self.head_transitions.get(name, zeros) for name in names}
        if len(self.grains) == 1:
            found["joint"] = found[self.grains[0]]
        return {name: constrained(tf.convert_to_tensor(values), self.allowed) for name, values in found.items()}

    def call(
        self,
        outputs: Mapping[str, tf.Tensor],
        fine_input_ids: tf.Tensor,
        fine_to_coarse: tf.Tensor,
        seed: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        logits = super().call(outputs, fine_input_ids, fine_to_coarse, seed)
        if "coarse" in logits:
            before = tf.pad(fine_to_coarse[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
            after = tf.pad(fine_to_coarse[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
            begins, ends = (tf.cast(fine_to_coarse != other, tf.int32) for other in (before, after))
            place = tf.one_hot(2 * begins + ends, PLACES)
            logits["coarse"] += tf.tensordot(place, tf.convert_to_tensor(self.place_bias), 1)
            if len(self.grains) == 1:
                logits["joint"] = logits["coarse"]
        return logits
