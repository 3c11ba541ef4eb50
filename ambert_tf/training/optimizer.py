"""BERT's optimizer over `tf.distribute`: AdamW, warm-up and linear decay, clipping after the all-reduce."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from ambert_tf.training.precision import LossScale

# BERT's optimizer leaves these out of weight decay. Matched against the parts of a variable's path.
NO_WEIGHT_DECAY = ("layer_norm", "LayerNorm", "bias")


@dataclasses.dataclass(frozen=True)
class WarmupLinearDecay:
    """BERT's learning rate: up from 0 in `num_warmup_steps`, and `peak * (1 - step / num_train_steps)` after.

    As in google-research/bert's `optimization.py`, the decay counts from step 0, not from the warm-up's end.
    """

    peak: float
    num_train_steps: int
    num_warmup_steps: int = 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate, float32, of the update that follows `step` updates."""
        step = tf.cast(step, tf.float32)
        decay = tf.maximum(0.0, 1.0 - step / self.num_train_steps)
        if not self.num_warmup_steps:
            return self.peak * decay
        return self.peak * tf.where(step < self.num_warmup_steps, step / self.num_warmup_steps, decay)


@dataclasses.dataclass(frozen=True)
class AdamWSettings:
    """AdamW's settings; the defaults are BERT's, except `bias_correction`.

    BERT's pre-training code left Adam's bias correction out (`bias_correction=False` does so too). It is on
    here: fine-tuning on few examples is unstable without it, and in pre-training the warm-up makes it matter
    little.
    """

    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-6
    clip_norm: float = 1.0
    bias_correction: bool = True
    no_weight_decay: tuple[str, ...] = NO_WEIGHT_DECAY


class AdamW:
    """AdamW with decoupled weight decay, as a few fused operations a variable.

    Make it in the strategy's scope; call `apply_gradients` in replica context.

    Args:
      variables: what it trains, Keras variables; their paths decide on weight decay.
      learning_rate: function from the step to the rate.
      settings: the rest.
      loss_scale: of float16.

    Attributes:
      step: int64 variable, the number of batches seen; it counts those left out for non-finite gradients.
      updates: int64 variable, the number of updates made.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        learning_rate: WarmupLinearDecay,
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
        """Returns what a checkpoint has to hold, by name."""
        named: dict[str, Any] = {"step": self.step, "updates": self.updates}
        for name, moments in (("first_moment", self.first_moments), ("second_moment", self.second_moments)):
            named[name] = {variable.path: moment for variable, moment in zip(self.trainable, moments, strict=True)}
        if self.loss_scale is not None:
            named["loss_scale"] = self.loss_scale.variables()
        return named

    def apply_gradients(
        self, gradients: Sequence[tf.Tensor | None], loss: tf.Tensor | float = 0.0
    ) -> dict[str, tf.Tensor]:
        """Adds the replicas' gradients up, clips the sum by its global norm, and updates.

        Args:
          gradients: of this replica's share of the loss, times the loss scale; None where the loss does not
            depend on the variable, which then stays as it is (no weight decay either).
          loss: this replica's share, not scaled; only whether it is finite counts.

        Returns:
          `learning_rate`, `gradient_norm` before clipping and, of float16, `loss_scale`. If the norm or a loss is not
          finite, nothing but `step` and the loss scale has changed.
        """
        context = tf.distribute.get_replica_context()
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        # Token tables get a dense gradient from the tied output anyway.
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
        """Returns the powers of the decay rates and the epsilon that `ResourceApplyAdam` takes."""
        beta_1, beta_2, epsilon = self.settings.beta_1, self.settings.beta_2, self.settings.epsilon
        if not self.settings.bias_correction:
            return {
                "beta_1_power": tf.constant(0.0),
                "beta_2_power": tf.constant(0.0),
                "epsilon": tf.constant(epsilon),
            }
        time = tf.cast(self.updates.read_value() + 1, tf.float32)
        power = tf.pow(beta_2, time)
        # The operation adds epsilon to the uncorrected root; AdamW adds it to the corrected one.
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
        """Updates every copy of every variable; in cross-replica context."""
        all_finite = strategy.experimental_local_results(finite)[0]

        def update() -> tf.Tensor:
            for index, gradient in zip(indices, gradients, strict=True):
                variable = self.trainable[index]
                strategy.extended.update(
                    variable.value,
                    self._update_one,
                    args=(self.first_moments[index], self.second_moments[index], gradient, scalars),
                    kwargs={"excluded": not self.decays(variable)},
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
        excluded: bool,
    ) -> None:
        """Updates one copy of one variable, on its device; `excluded` ones have no weight decay."""
        if self.settings.weight_decay and not excluded:
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
