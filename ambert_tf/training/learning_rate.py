"""Learning rate schedules, functions of the global step."""

import abc
import dataclasses
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LearningRate(abc.ABC):
    """A schedule with linear warm-up from 0 to `peak`. Subclasses define the decay.

    Attributes:
      peak: the peak learning rate.
      num_train_steps: the step at which the learning rate reaches 0.
      num_warmup_steps: number of warm-up steps.
    """

    peak: float
    num_train_steps: int
    num_warmup_steps: int = 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of the training step that follows `step` completed steps, float32."""
        step = tf.cast(step, tf.float32)
        decay = self.decay(step)
        if not self.num_warmup_steps:
            return self.peak * decay
        return self.peak * tf.where(step < self.num_warmup_steps, step / self.num_warmup_steps, decay)

    @abc.abstractmethod
    def decay(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the factor to multiply `peak` by after the warm-up, float32."""


class WarmupLinearDecay(LearningRate):
    """BERT's schedule: `peak * (1 - step / num_train_steps)`.

    As in google-research/bert's `optimization.py`, the decay counts from step 0, not from the end of the warm-up.
    """

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        return tf.maximum(0.0, 1.0 - step / self.num_train_steps)


class WarmupCosineDecay(LearningRate):
    """Cosine decay from the end of the warm-up to 0 (Loshchilov and Hutter, 2017, arXiv 1608.03983)."""

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        length = max(1, self.num_train_steps - self.num_warmup_steps)
        progress = tf.clip_by_value((step - self.num_warmup_steps) / length, 0.0, 1.0)
        return 0.5 * (1.0 + tf.cos(math.pi * progress))


@dataclasses.dataclass(frozen=True)
class WarmupStableDecay(LearningRate):
    """Constant until the last `decay_proportion` of the steps, then linear decay to 0 (WSD, arXiv 2404.06395)."""

    decay_proportion: float = 0.1

    def decay(self, step: tf.Tensor) -> tf.Tensor:
        length = max(1.0, self.decay_proportion * self.num_train_steps)
        return tf.clip_by_value((self.num_train_steps - step) / length, 0.0, 1.0)


SCHEDULES: dict[str, type[LearningRate]] = {
    "linear": WarmupLinearDecay,
    "cosine": WarmupCosineDecay,
    "wsd": WarmupStableDecay,
}
