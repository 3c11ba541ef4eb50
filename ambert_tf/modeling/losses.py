"""The paper's training objectives: eq. (1) for pre-training and eq. (2) for fine-tuning."""

from collections.abc import Callable, Mapping

import tensorflow as tf


@tf.custom_gradient
def log_losses(logits: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns `-log softmax(logits)[ids]`, float32 [rows].

    It is `tf.nn.sparse_softmax_cross_entropy_with_logits`, in a third of its time on a CPU where the rows are
    as long as a vocabulary.

    Args:
      logits: float32 [rows, classes].
      ids: int32 [rows].
    """
    probabilities = tf.nn.softmax(logits)
    # The highest probability is exp(max - log of the sum of exponentials), and never next to zero.
    log_sums = tf.reduce_max(logits, axis=-1) - tf.math.log(tf.reduce_max(probabilities, axis=-1))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        rows = tf.range(tf.shape(ids)[0])
        scaled = probabilities * upstream[:, tf.newaxis]
        return tf.tensor_scatter_nd_sub(scaled, tf.stack([rows, ids], axis=1), upstream), None

    return log_sums - tf.gather(logits, ids, batch_dims=1), gradient


def masked_lm_loss(
    logits: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor | None = None, total: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the mean negative log likelihood of the masked tokens of one grain (natural logarithm).

    Args:
      logits: float32 [predictions, vocab].
      ids: int32 [predictions], the tokens that were masked.
      weights: float32 [predictions], 1 for a real prediction and 0 for padding; all 1 by default.
      total: what to divide the sum by; the sum of `weights` by default. Replicas that share a batch give
        the number of real predictions in the whole batch, so that their losses add up to its mean.
    """
    losses = log_losses(logits, ids)
    weights = tf.ones_like(losses) if weights is None else weights
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights) if total is None else total)


def masked_lm_accuracy(
    logits: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor | None = None, total: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the share of masked tokens whose logit is the highest; arguments as `masked_lm_loss`'s."""
    own = tf.gather(logits, ids, batch_dims=1)
    right = tf.cast(own >= tf.reduce_max(logits, axis=-1), tf.float32)
    weights = tf.ones_like(right) if weights is None else weights
    return tf.math.divide_no_nan(tf.reduce_sum(right * weights), tf.reduce_sum(weights) if total is None else total)


def pretraining_loss(parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Eq. (1): the fine and the coarse masked-LM loss added up, and the next-sentence loss if there is one.

    Args:
      parts: scalars by name; those whose name ends in `_loss` are added.
    """
    return tf.add_n([value for name, value in sorted(parts.items()) if name.endswith("_loss")])


def agreement_loss(
    fine_logits: tf.Tensor, coarse_logits: tf.Tensor, of: str = "probabilities", squared: bool = False
) -> tf.Tensor:
    """Eq. (2)'s last term: the L2 distance between the fine and the coarse head's predictions.

    Args:
      fine_logits: float32 [batch, classes].
      coarse_logits: float32 [batch, classes].
      of: `probabilities` (the paper's ŷ) or `logits`.
      squared: the square of the distance instead.

    Returns:
      float32 [batch]. The gradient where both agree exactly is zero.
    """
    if of not in ("probabilities", "logits"):
        raise ValueError(f"agreement of {of!r}; it must be 'probabilities' or 'logits'")
    if of == "probabilities":
        fine_logits, coarse_logits = tf.nn.softmax(fine_logits), tf.nn.softmax(coarse_logits)
    square = tf.reduce_sum(tf.math.squared_difference(fine_logits, coarse_logits), axis=-1)
    if squared:
        return square
    # The root has an infinite slope at zero, which both branches of `where` would see.
    apart = square > 0
    return tf.where(apart, tf.sqrt(tf.where(apart, square, 1.0)), 0.0)


def classification_loss(
    logits: Mapping[str, tf.Tensor],
    labels: tf.Tensor,
    agreement_weight: float = 1.0,
    agreement_of: str = "probabilities",
    agreement_squared: bool = False,
    weights: tf.Tensor | None = None,
    total: tf.Tensor | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Eq. (2): the log losses of the fine, the coarse and the joint head, and the agreement of the first two.

    Args:
      logits: `ClassificationHeads`' result; of a model with one head only that head's loss counts.
      labels: int32 [batch].
      agreement_weight: λ.
      agreement_of: see `agreement_loss`.
      agreement_squared: see `agreement_loss`.
      weights: float32 [batch], 0 for an example that does not count; all 1 by default.
      total: what to divide the sums over the batch by; the sum of `weights` by default.

    Returns:
      The loss, and its parts by name: `fine_loss`, `coarse_loss`, `joint_loss`, `agreement_loss` (before λ).
    """
    weights = tf.ones_like(logits["joint"][:, 0]) if weights is None else weights
    total = tf.reduce_sum(weights) if total is None else total

    def mean(values: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(tf.reduce_sum(values * weights), total)

    names = ("fine", "coarse", "joint") if len(logits) == 3 else ("joint",)
    parts = {
        f"{name}_loss": mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits[name]))
        for name in names
    }
    loss = tf.add_n(list(parts.values()))
    if len(logits) == 3:
        distance = agreement_loss(logits["fine"], logits["coarse"], agreement_of, agreement_squared)
        parts["agreement_loss"] = mean(distance)
        loss += agreement_weight * parts["agreement_loss"]
    return loss, parts
