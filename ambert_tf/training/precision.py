"""Numeric precision: Keras dtype policies, and dynamic loss scaling for float16."""

import tensorflow as tf

# With every policy, variables, softmax, layer normalization and losses are float32.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class LossScale:
    """Dynamic loss scale, which keeps small float16 gradients from underflowing.

    The scale is halved after each step with non-finite gradients, which is skipped, and doubled after `growth_interval`
    consecutive finite steps. Create it in the strategy's scope. `optimizer.py` explains why it is not Keras' own.

    Args:
      initial: the initial scale.
      growth_interval: number of consecutive finite steps after which the scale is doubled.
    """

    MINIMUM = 1.0
    MAXIMUM = 2.0**24

    def __init__(self, initial: float = 2.0**15, growth_interval: int = 2000) -> None:
        self.growth_interval = growth_interval
        self.scale = tf.Variable(initial, dtype=tf.float32, trainable=False, name="loss_scale")
        self.finite_steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="finite_steps")

    def update(self, finite: tf.Tensor) -> None:
        """Adjusts the scale after a step, in cross-replica context."""
        steps = tf.where(finite, self.finite_steps.read_value() + 1, 0)
        grow = steps >= self.growth_interval
        scale = self.scale.read_value()
        scale = tf.where(finite, tf.where(grow, scale * 2.0, scale), scale / 2.0)
        self.scale.assign(tf.clip_by_value(scale, self.MINIMUM, self.MAXIMUM))
        self.finite_steps.assign(tf.where(grow, tf.zeros_like(steps), steps))

    def variables(self) -> dict[str, tf.Variable]:
        """Returns the variables to save in a checkpoint, by name."""
        return {"scale": self.scale, "finite_steps": self.finite_steps}
