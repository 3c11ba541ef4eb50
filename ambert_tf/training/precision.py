"""Float32, bfloat16 and float16: the Keras policy of each, and float16's dynamic loss scale."""

import tensorflow as tf

# Variables, softmax, layer norm and losses are float32 in all of them.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


class LossScale:
    """What a float16 loss is multiplied by, so that small gradients do not become zero.

    The scale halves at each step whose gradients are not finite (that step is left out) and doubles after
    `growth_interval` finite ones. Make it in the strategy's scope.

    Args:
      initial: the first scale.
      growth_interval: finite steps before it grows.
    """

    MINIMUM = 1.0
    MAXIMUM = 2.0**24

    def __init__(self, initial: float = 2.0**15, growth_interval: int = 2000) -> None:
        self.growth_interval = growth_interval
        self.scale = tf.Variable(initial, dtype=tf.float32, trainable=False, name="loss_scale")
        self.finite_steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="finite_steps")

    def update(self, finite: tf.Tensor) -> None:
        """Adjusts the scale after a step; in cross-replica context."""
        steps = tf.where(finite, self.finite_steps.read_value() + 1, 0)
        grow = steps >= self.growth_interval
        scale = self.scale.read_value()
        scale = tf.where(finite, tf.where(grow, scale * 2.0, scale), scale / 2.0)
        self.scale.assign(tf.clip_by_value(scale, self.MINIMUM, self.MAXIMUM))
        self.finite_steps.assign(tf.where(grow, tf.zeros_like(steps), steps))

    def variables(self) -> dict[str, tf.Variable]:
        """Returns what a checkpoint has to hold."""
        return {"scale": self.scale, "finite_steps": self.finite_steps}
