"""LAMB (You et al. 2020, arXiv 1904.00962): AdamW for batches of thousands of sequences."""

from collections.abc import Mapping

import tensorflow as tf

from ambert_tf.training.optimizer import AdamW


class Lamb(AdamW):
    """AdamW whose step on each variable is as long, before the learning rate, as the variable itself.

    With r AdamW's direction, weight decay included, a variable w moves by `-rate * (‖w‖ / ‖r‖) * r` (algorithm 2 of the
    paper, φ the identity). Variables without weight decay, and those that are still zero, move by `-rate * r`, as in
    the authors' code. Arguments and state are AdamW's.

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
        excluded: bool,
    ) -> None:
        settings = self.settings
        gradient = gradient * scalars["factor"]
        first = first_moment.assign_add((1.0 - settings.beta_1) * (gradient - first_moment))
        second = second_moment.assign_add((1.0 - settings.beta_2) * (tf.square(gradient) - second_moment))
        corrected = tf.sqrt(1.0 - scalars["beta_2_power"]) / (1.0 - scalars["beta_1_power"])
        direction = corrected * first / (tf.sqrt(second) + scalars["epsilon"])
        rate = scalars["rate"]
        if not excluded:
            value = variable.read_value()
            direction += settings.weight_decay * value
            length, wanted = tf.norm(direction), tf.norm(value)
            rate *= tf.where((length > 0) & (wanted > 0), tf.math.divide_no_nan(wanted, length), 1.0)
        variable.assign_sub(rate * direction)
