"""The paper's training objectives: eq. (1) for pre-training and eq. (2) for fine-tuning."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from ambert_tf.models.gradients import custom_gradient
from ambert_tf.models.linear_chain import log_likelihood

HEADS = ("fine", "coarse", "joint")


@custom_gradient
def log_losses(logits: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """Returns the cross-entropy losses `-log softmax(logits)[ids]`, float32 [rows].

    Computes the same values as `tf.nn.sparse_softmax_cross_entropy_with_logits`, but takes a third of its time on a
    CPU when the number of classes is the size of a vocabulary.

    Args:
      logits: float32 [rows, classes].
      ids: int32 [rows].
    """
    probabilities = tf.nn.softmax(logits)
    # The highest probability is exp(max - log_sum), and it is never close to zero.
    log_sums = tf.reduce_max(logits, axis=-1) - tf.math.log(tf.reduce_max(probabilities, axis=-1))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        rows = tf.range(tf.shape(ids)[0])
        scaled = probabilities * upstream[:, tf.newaxis]
        return tf.tensor_scatter_nd_sub(scaled, tf.stack([rows, ids], axis=1), upstream), None

    return log_sums - tf.gather(logits, ids, batch_dims=1), gradient


def masked_lm_loss(
    logits: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor | None = None, total: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the mean cross-entropy loss over the masked tokens of one grain, in nats.

    Args:
      logits: float32 [predictions, vocab].
      ids: int32 [predictions], the original ids of the masked tokens.
      weights: float32 [predictions], 1 for a real prediction and 0 for padding. Defaults to all ones.
      total: normalizer of the sum. Defaults to the sum of `weights`. Replicas that share a batch pass the number of
        real predictions in the global batch, so that their losses add up to its mean.
    """
    losses = log_losses(logits, ids)
    weights = tf.ones_like(losses) if weights is None else weights
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights) if total is None else total)


def masked_lm_accuracy(
    logits: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor | None = None, total: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the accuracy over the masked tokens of one grain. The arguments are those of `masked_lm_loss`."""
    own = tf.gather(logits, ids, batch_dims=1)
    right = tf.cast(own >= tf.reduce_max(logits, axis=-1), tf.float32)
    weights = tf.ones_like(right) if weights is None else weights
    return tf.math.divide_no_nan(tf.reduce_sum(right * weights), tf.reduce_sum(weights) if total is None else total)


def pretraining_loss(parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Eq. (1): the sum of the fine and coarse masked-LM losses and, with NSP, the next-sentence loss.

    Args:
      parts: scalars by name. Only those whose name ends in `_loss` are added.
    """
    return tf.add_n([value for name, value in sorted(parts.items()) if name.endswith("_loss")])


def agreement_loss(
    fine_logits: tf.Tensor, coarse_logits: tf.Tensor, of: str = "probabilities", squared: bool = False
) -> tf.Tensor:
    """The last term of eq. (2): the L2 distance between the predictions of the fine and the coarse head.

    Args:
      fine_logits: float32 [batch, classes].
      coarse_logits: float32 [batch, classes].
      of: `probabilities` (the paper's ŷ) or `logits`.
      squared: whether to return the squared distance.

    Returns:
      float32 [batch]. The gradient is zero where both predictions are equal.
    """
    if of not in ("probabilities", "logits"):
        raise ValueError(f"`of` must be 'probabilities' or 'logits'. Received: of={of!r}")
    if of == "probabilities":
        fine_logits, coarse_logits = tf.nn.softmax(fine_logits), tf.nn.softmax(coarse_logits)
    square = tf.reduce_sum(tf.math.squared_difference(fine_logits, coarse_logits), axis=-1)
    if squared:
        return square
    # The square root has an infinite gradient at zero, and `where` would propagate it from the unselected branch.
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
    """Eq. (2): the cross-entropy losses of the three heads, plus the agreement loss between fine and coarse head.

    In multiple choice, the classes are the choices, and each choice's logit comes from its own sequence.

    Args:
      logits: the output of `ClassificationHeads`. For a model with a single head, the loss is that head's.
      labels: int32 [batch].
      agreement_weight: λ.
      agreement_of: see `agreement_loss`.
      agreement_squared: see `agreement_loss`.
      weights: float32 [batch], 0 for an example to ignore. Defaults to all ones.
      total: normalizer of the sums over the batch. Defaults to the sum of `weights`.

    Returns:
      The loss, and its parts by name: `fine_loss`, `coarse_loss`, `joint_loss`, and `agreement_loss` before it is
      multiplied by λ.
    """
    names = HEADS if len(logits) == 3 else ("joint",)
    losses = {
        name: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits[name]) for name in names
    }
    distance = None
    if len(logits) == 3:
        distance = agreement_loss(logits["fine"], logits["coarse"], agreement_of, agreement_squared)
    return _weighted_sum(losses, distance, agreement_weight, weights, total)


def regression_loss(
    logits: Mapping[str, tf.Tensor],
    scores: tf.Tensor,
    agreement_weight: float = 1.0,
    agreement_of: str = "probabilities",
    agreement_squared: bool = False,
    weights: tf.Tensor | None = None,
    total: tf.Tensor | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Eq. (2) for regression, with squared errors instead of cross-entropy losses.

    A squared error is, up to constants, the negative log likelihood of a normal distribution centred on the
    prediction. The heads' predictions ŷ are scalars, so `‖ŷ_x − ŷ_z‖₂` is their absolute difference.

    Args:
      logits: by head, float32 [batch, 1].
      scores: float32 [batch].
      agreement_of: ignored, since a regression head outputs no probabilities.

    The other arguments and the return value are those of `classification_loss`.
    """
    names = HEADS if len(logits) == 3 else ("joint",)
    losses = {name: tf.math.squared_difference(logits[name][:, 0], scores) for name in names}
    distance = None
    if len(logits) == 3:
        difference = logits["fine"][:, 0] - logits["coarse"][:, 0]
        distance = tf.square(difference) if agreement_squared else tf.abs(difference)
    return _weighted_sum(losses, distance, agreement_weight, weights, total)


def span_loss(
    logits: Mapping[str, tf.Tensor], starts: tf.Tensor, ends: tf.Tensor, **arguments: Any
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Eq. (2) for spans: the mean of the losses for the start and the end of the answer.

    Each is a classification whose classes are the fine positions of the sequence. A head's prediction ŷ is a
    distribution over them, and the agreement loss is the distance between the distributions of the fine and the
    coarse head.

    Args:
      logits: by head, float32 [batch, fine_length, 2], the start and end logits of each token.
      starts: int32 [batch], fine positions, or 0 ([CLS]) if the sequence contains no answer.
      ends: int32 [batch], likewise.
      **arguments: passed on to `classification_loss`.
    """
    results = [
        classification_loss({name: values[:, :, end] for name, values in logits.items()}, positions, **arguments)
        for end, positions in enumerate((starts, ends))
    ]
    (first, first_parts), (last, last_parts) = results
    return (first + last) / 2, {name: (value + last_parts[name]) / 2 for name, value in first_parts.items()}


def token_loss(
    logits: Mapping[str, tf.Tensor],
    tags: tf.Tensor,
    transitions: Mapping[str, tf.Tensor] | None = None,
    agreement_weight: float = 1.0,
    agreement_of: str = "probabilities",
    agreement_squared: bool = False,
    weights: tf.Tensor | None = None,
    total: tf.Tensor | None = None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Eq. (2) for sequence labelling: the mean of the losses of the tagged tokens.

    Each token is a classification whose classes are the tags. A head's prediction ŷ is a distribution over them, and
    the agreement loss is the distance between the distributions of the fine and the coarse head for that token. With a
    CRF, the negative log likelihood of the whole sequence of tags replaces the sum of its tokens' cross-entropy losses.
    The agreement loss ignores the transitions.

    Args:
      logits: by head, float32 [batch, fine_length, tags].
      tags: int32 [batch, fine_length]; the index of the tag plus 1, or 0 for a position without one: [CLS], [SEP],
        padding, and all pieces of a word but its first.
      transitions: with a CRF, the transition matrix of each head; see `linear_chain`.
      weights: float32 [batch], 0 for a sequence to ignore. Defaults to all ones.
      total: normalizer of the sums. Defaults to the weighted number of tagged tokens.

    The other arguments and the return value are those of `classification_loss`.
    """
    names = HEADS if len(logits) == 3 else ("joint",)
    right, there = tf.maximum(tags - 1, 0), tf.cast(tags > 0, tf.float32)

    def over_tokens(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(values * there, axis=1)

    losses = {}
    for name in names:
        if transitions is not None:
            losses[name] = -log_likelihood(logits[name], tags - 1, transitions[name])
        else:
            losses[name] = over_tokens(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=right, logits=logits[name])
            )
    distance = None
    if len(logits) == 3:
        distance = over_tokens(agreement_loss(logits["fine"], logits["coarse"], agreement_of, agreement_squared))
    counts = tf.reduce_sum(there, axis=1)
    if total is None:
        total = tf.reduce_sum(counts if weights is None else counts * weights)
    return _weighted_sum(losses, distance, agreement_weight, weights, total)


def _weighted_sum(
    losses: Mapping[str, tf.Tensor],
    distance: tf.Tensor | None,
    agreement_weight: float,
    weights: tf.Tensor | None,
    total: tf.Tensor | None,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Combines the heads' losses and their distance, each float32 [batch], into eq. (2)."""
    weights = tf.ones_like(losses["joint"]) if weights is None else weights
    total = tf.reduce_sum(weights) if total is None else total

    def mean(values: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(tf.reduce_sum(values * weights), total)

    parts = {f"{name}_loss": mean(values) for name, values in losses.items()}
    loss = tf.add_n(list(parts.values()))
    if distance is not None:
        parts["agreement_loss"] = mean(distance)
        loss += agreement_weight * parts["agreement_loss"]
    return loss, parts
