"""BERT's optimizer and LAMB for `tf.distribute`, with gradient clipping after the all-reduce.

These replace Keras' optimizers for the following reasons. Times are from `benchmarks/optimizers.py`, for a mini AMBERT
with the paper's Chinese vocabularies on 2 AVX2 cores.

- AdamW takes 386 ms per optimizer step here and 1,198 ms in Keras 3.15; with float16 loss scaling, 527 and 1,752 ms.
- Lamb takes 2,216 and 2,416 ms. Keras applies weight decay outside of the trust ratio, but the paper inside.
- Keras clips each replica's gradients, and checks them for overflow, before summing them. Training on two replicas
  would therefore differ from training on one with the same batch.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.training.precision import LossScale

# BERT's optimizer excludes these from weight decay. They are matched against the parts of a variable's path.
NO_WEIGHT_DECAY = ("layer_norm", "LayerNorm", "bias")


@dataclasses.dataclass(frozen=True)
class AdamWSettings:
    """AdamW's settings. The defaults are BERT's, except for `bias_correction`.

    BERT's code omits Adam's bias correction. It is on here because fine-tuning on few examples is unstable without it.
    In pre-training, the difference is small due to the warm-up.
    """

    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0
    bias_correction: bool = True
    no_weight_decay: tuple[str, ...] = NO_WEIGHT_DECAY


class AdamW:
    """AdamW with decoupled weight decay, in a few fused operations per variable.

    Create it in the strategy's scope, and call `apply_gradients` in replica context.

    Args:
      variables: the Keras variables to train. Their paths determine whether weight decay applies.
      learning_rate: function from the global step to the learning rate.
      settings: see `AdamWSettings`.
      loss_scale: the float16 loss scale.

    Attributes:
      step: int64 variable, the global step, including skipped steps.
      updates: int64 variable, the number of steps that were not skipped because of non-finite gradients.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        learning_rate: Callable[[tf.Tensor], tf.Tensor],
        settings: AdamWSettings | None = None,
        loss_scale: LossScale | None = None,
    ) -> None:
        self.trainable = list(variables)
        self.learning_rate = learning_rate
        self.settings = settings or AdamWSettings()
        self.loss_scale = loss_scale
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        self.first_moments = [self._zeros_like(variable, "first_moment") for variable in self.trainable]
        self.second_moments = [self._zeros_like(variable, "second_moment") for variable in self.trainable]

    @staticmethod
    def _zeros_like(variable: keras.Variable, name: str) -> tf.Variable:
        return tf.Variable(tf.zeros(variable.shape, tf.float32), trainable=False, name=name)

    def decays(self, variable: keras.Variable) -> bool:
        """Returns whether weight decay applies to a variable."""
        parts = variable.path.split("/")
        exclusions = self.settings.no_weight_decay
        return not any(part == name or part.endswith("_" + name) for part in parts for name in exclusions)

    def variables(self) -> dict[str, Any]:
        """Returns the variables to save in a checkpoint, by name."""
        named: dict[str, Any] = {"step": self.step, "updates": self.updates}
        for name, moments in (("first_moment", self.first_moments), ("second_moment", self.second_moments)):
            named[name] = {variable.path: moment for variable, moment in zip(self.trainable, moments, strict=True)}
        if self.loss_scale is not None:
            named["loss_scale"] = self.loss_scale.variables()
        return named

    def apply_gradients(
        self, gradients: Sequence[tf.Tensor | None], loss: tf.Tensor | float = 0.0
    ) -> dict[str, tf.Tensor]:
        """Sums the gradients over all replicas, clips the sum by its global norm, and updates the variables.

        Args:
          gradients: gradients of this replica's share of the loss, multiplied by the loss scale. None if the loss does
            not depend on the variable, which then remains unchanged, even by weight decay.
          loss: this replica's unscaled share of the loss, used only to check whether it is finite.

        Returns:
          `learning_rate`, `gradient_norm` before clipping and, in float16, `loss_scale`. If the norm or a loss is not
          finite, only `step` and the loss scale are updated.
        """
        context = tf.distribute.get_replica_context()
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        # The gradients of the token embeddings are dense anyway because of the tied output layer.
        dense = [tf.cast(tf.convert_to_tensor(gradients[index]), tf.float32) for index in used]
        loss = tf.convert_to_tensor(loss)
        if context.num_replicas_in_sync > 1:
            *dense, loss = context.all_reduce(tf.distribute.ReduceOp.SUM, [*dense, loss])
        scale = self.loss_scale.scale.read_value() if self.loss_scale is not None else tf.constant(1.0)
        norm = tf.linalg.global_norm(dense) / scale
        clip = self.settings.clip_norm
        factor = (tf.minimum(1.0, clip / norm) if clip else tf.constant(1.0)) / scale
        rate = self.learning_rate(self.step.read_value())
        scalars = {"factor": factor, "rate": rate, "decay": rate * self.settings.weight_decay}
        context.merge_call(
            lambda strategy, *values: self._update_all(strategy, used, *values),
            args=(dense, {**scalars, **self._bias_correction()}, tf.math.is_finite(norm) & tf.math.is_finite(loss)),
        )
        metrics = {"learning_rate": rate, "gradient_norm": norm}
        return metrics if self.loss_scale is None else {**metrics, "loss_scale": scale}

    def _bias_correction(self) -> dict[str, tf.Tensor]:
        """Returns the bias correction arguments of `ResourceApplyAdam`."""
        beta_1, beta_2, epsilon = self.settings.beta_1, self.settings.beta_2, self.settings.epsilon
        if not self.settings.bias_correction:
            return {
                "beta_1_power": tf.constant(0.0),
                "beta_2_power": tf.constant(0.0),
                "epsilon": tf.constant(epsilon),
            }
        time = tf.cast(self.updates.read_value() + 1, tf.float32)
        power = tf.pow(beta_2, time)
        # The operation adds epsilon to the uncorrected square root, AdamW to the corrected one.
        return {
            "beta_1_power": tf.pow(beta_1, time),
            "beta_2_power": power,
            "epsilon": epsilon * tf.sqrt(1.0 - power),
        }

    def _update_all(
        self,
        strategy: tf.distribute.Strategy,
        indices: Sequence[int],
        gradients: Sequence[Any],
        scalars: Mapping[str, Any],
        finite: Any,
    ) -> None:
        """Updates all copies of all variables, in cross-replica context."""
        all_finite = strategy.experimental_local_results(finite)[0]

        def update() -> tf.Tensor:
            for index, gradient in zip(indices, gradients, strict=True):
                variable = self.trainable[index]
                strategy.extended.update(
                    variable.value,
                    self._update_one,
                    args=(self.first_moments[index], self.second_moments[index], gradient, scalars),
                    kwargs={"decayed": self.decays(variable)},
                )
            self.updates.assign_add(1)
            return tf.constant(True)

        tf.cond(all_finite, update, lambda: tf.constant(False))
        if self.loss_scale is not None:
            self.loss_scale.update(all_finite)
        self.step.assign_add(1)

    def _update_one(
        self,
        variable: tf.Variable,
        first_moment: tf.Variable,
        second_moment: tf.Variable,
        gradient: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
        decayed: bool,
    ) -> None:
        """Updates one copy of one variable, on its device."""
        if self.settings.weight_decay and decayed:
            variable.assign_sub(variable.read_value() * scalars["decay"])
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first_moment.handle,
            v=second_moment.handle,
            beta1_power=scalars["beta_1_power"],
            beta2_power=scalars["beta_2_power"],
            lr=scalars["rate"],
            beta1=self.settings.beta_1,
            beta2=self.settings.beta_2,
            epsilon=scalars["epsilon"],
            grad=gradient * scalars["factor"],
        )


class Lamb(AdamW):
    """AdamW with a per-variable trust ratio, ‖w‖/‖update‖, for large batches (LAMB, You et al., arXiv 1904.00962).

    If r is AdamW's update direction including weight decay, a variable w changes by `-rate * (‖w‖ / ‖r‖) * r`
    (algorithm 2 with the identity as φ). As in the authors' code, variables without weight decay, and all-zero
    variables, change by `-rate * r`.

    Example:
      >>> Lamb(model.trainable_variables, WarmupLinearDecay(2e-3, num_train_steps=10_000, num_warmup_steps=1000))
    """

    def _update_one(
        self,
        variable: tf.Variable,
        first_moment: tf.Variable,
        second_moment: tf.Variable,
        gradient: tf.Tensor,
        scalars: Mapping[str, tf.Tensor],
        decayed: bool,
    ) -> None:
        settings = self.settings
        gradient = gradient * scalars["factor"]
        first = first_moment.assign_add((1.0 - settings.beta_1) * (gradient - first_moment))
        second = second_moment.assign_add((1.0 - settings.beta_2) * (tf.square(gradient) - second_moment))
        corrected = tf.sqrt(1.0 - scalars["beta_2_power"]) / (1.0 - scalars["beta_1_power"])
        direction = corrected * first / (tf.sqrt(second) + scalars["epsilon"])
        rate = scalars["rate"]
        if decayed:
            value = variable.read_value()
            direction += settings.weight_decay * value
            direction_norm, norm = tf.norm(direction), tf.norm(value)
            positive = (direction_norm > 0) & (norm > 0)
            rate *= tf.where(positive, tf.math.divide_no_nan(norm, direction_norm), 1.0)
        variable.assign_sub(rate * direction)
