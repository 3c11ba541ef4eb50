"""Learning rate schedules: functions from the global step to the rate."""

import abc
import dataclasses
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LearningRate(abc.ABC):
    """A schedule that warms up linearly from 0 to `peak`; subclasses say how the rate decays.

    Attributes:
      peak: the highest rate.
      num_train_steps: the step at which the rate reaches 0.
      num_warmup_steps: steps of the warm-up.
    """

    peak: float
    num_train_steps: int
    num_warmup_steps: int = 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of the training step that follows `step` steps, float32."""
        step = tf.cast(step, tf.float32)
        decay = self.decay(step)
        if not self.num_warmup_steps:
            return self.peak * decay
        return self.peak * tf.where(step < self.num_warmup_steps, step / self.num_warmup_steps, decay)

    @abc.abstractmethod
    def decay(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the factor of `peak` after the warm-up, float32."""


class WarmupLinearDecay(LearningRate):
    """BERT's schedule: `peak * (1 - step / num_train_steps)`.

    As in google-research/bert's `optimization.py`, the decay counts from step 0, not from the end of the warm-up.
    """

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        return tf.maximum(0.0, 1.0 - step / self.num_train_steps)


class WarmupCosineDecay(LearningRate):
    """Half a cosine from the end of the warm-up to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983)."""

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        length = max(1, self.num_train_steps - self.num_warmup_steps)
        progress = tf.clip_by_value((step - self.num_warmup_steps) / length, 0.0, 1.0)
        return 0.5 * (1.0 + tf.cos(math.pi * progress))


@dataclasses.dataclass(frozen=True)
class WarmupStableDecay(LearningRate):
    """The peak rate until the last `decay_proportion` of the steps, then linearly to 0 (WSD, arXiv 2404.06395)."""

    decay_proportion: float = 0.1

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        length = max(1.0, self.decay_proportion * self.num_train_steps)
        return tf.clip_by_value((self.num_train_steps - step) / length, 0.0, 1.0)


SCHEDULES: dict[str, type[LearningRate]] = {
    "linear": WarmupLinearDecay,
    "cosine": WarmupCosineDecay,
    "wsd": WarmupStableDecay,
}
