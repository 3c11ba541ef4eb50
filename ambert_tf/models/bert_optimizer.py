"""The default optimizer of `compile()`: AdamW with BERT's weight decay exclusions and learning rate schedule."""

from typing import Any

import keras
import tensorflow as tf

WARMUP_PROPORTION = 0.1


@keras.saving.register_keras_serializable(package="ambert_tf")
class BertLearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then linear decay to zero, over the steps of one `fit`.

    `fit` sets the number of steps. Before that, or if the size of the data is unknown, the learning rate is constant.

    Args:
      peak: float. The peak learning rate.
      warmup_proportion: float. Fraction of the steps used for warm-up.
    """

    def __init__(self, peak: float = 5e-5, warmup_proportion: float = WARMUP_PROPORTION) -> None:
        super().__init__()
        self.peak = peak
        self.warmup_proportion = warmup_proportion
        # Variables, because a second `fit` reuses the graph traced in the first one.
        self._first_step = tf.Variable(0.0, trainable=False)
        self._num_steps = tf.Variable(0.0, trainable=False)

    def set_steps(self, first_step: int, num_steps: int) -> None:
        """Sets the first step and the number of steps of a `fit`, 0 if unknown."""
        self._first_step.assign(first_step)
        self._num_steps.assign(num_steps)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32) - self._first_step
        num_steps = tf.maximum(self._num_steps, 1.0)
        # Whole steps, so that the only step of a short `fit` is not one of warm-up, whose first rate is 0.
        num_warmup_steps = tf.floor(num_steps * self.warmup_proportion)
        decay = tf.maximum(0.0, 1.0 - step / num_steps)
        rate = tf.where(step < num_warmup_steps, tf.math.divide_no_nan(step, num_warmup_steps), decay)
        return self.peak * tf.where(self._num_steps > 0, rate, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "warmup_proportion": self.warmup_proportion}


@keras.saving.register_keras_serializable(package="ambert_tf")
class BertAdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with BERT's settings, without weight decay on biases and layer normalization.

    One fused operation per variable computes the same as Keras' dozen. The docstring of `training/optimizer.py` states
    what this saves on large embedding tables.
    """

    def __init__(
        self,
        learning_rate: Any = None,
        weight_decay: float = 0.01,
        epsilon: float = 1e-6,
        global_clipnorm: float | None = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=BertLearningRate() if learning_rate is None else learning_rate,
            weight_decay=weight_decay,
            epsilon=epsilon,
            global_clipnorm=global_clipnorm,
            **kwargs,
        )
        self.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])

    def build(self, variables: Any) -> None:
        """Creates the moments; raises a ValueError if a variable is not float32."""
        # In bfloat16, beta_2 = 0.999 is 1, and nothing would be learned. Clipping does not mix dtypes.
        others = sorted({variable.dtype for variable in variables} - {"float32"})
        if others:
            raise ValueError(
                'BertAdamW trains float32 variables. Create the model with `dtype="mixed_bfloat16"` or '
                f'`dtype="mixed_float16"`, or pass another optimizer. Received: variables of dtype {", ".join(others)}'
            )
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        variable = variable.value if isinstance(variable, keras.Variable) else variable
        time = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), time),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), time),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
        )
