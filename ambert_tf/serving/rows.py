"""TensorFlow ops that run a model on any number of rows of any length, with little padding and bounded memory."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from ambert_tf.tokenization.model_inputs import GRAINS

# Maximum number of padded tokens per call of the model, unless a single row has more. benchmarks/serving.py compares
# other values.
TOKENS_AT_ONCE = 1024
# Lengths are padded to one of these, or to a multiple of 64, which gives few shapes and little padding.
BUCKETS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 288, 320, 352, 384, 448, 512)
LAST_STEP = 64

Run = Callable[[dict[str, tf.Tensor], tf.Tensor], Sequence[tf.Tensor]]


def bucket(length: tf.Tensor, longest: int) -> tf.Tensor:
    """Returns the padded length, at most `longest`, for rows of `length`, int32 scalar."""
    steps = tf.constant(BUCKETS)
    index = tf.searchsorted(steps, tf.reshape(length, [1]))[0]
    beyond = (length + LAST_STEP - 1) // LAST_STEP * LAST_STEP
    padded = tf.where(index < len(BUCKETS), tf.gather(steps, tf.minimum(index, len(BUCKETS) - 1)), beyond)
    return tf.minimum(padded, longest)


def pad_rows(inputs: Mapping[str, tf.RaggedTensor], longest: Mapping[str, int]) -> dict[str, tf.Tensor]:
    """Pads model inputs to the bucket of each grain.

    Args:
      inputs: ragged int32 [rows, (length)]; see `build_model_inputs`.
      longest: maximum number of tokens per grain.

    Returns:
      int32 [rows, length].
    """
    lengths = {}
    for grain in GRAINS:
        counts = tf.cast(inputs[f"{grain}_input_ids"].row_lengths(), tf.int32)
        lengths[grain] = bucket(tf.reduce_max(tf.concat([counts, [1]], 0)), longest[grain])
    return {
        name: values.to_tensor(shape=tf.stack([-1, lengths[name.split("_")[0]]])) for name, values in inputs.items()
    }


def run_rows(
    inputs: Mapping[str, tf.RaggedTensor],
    run: Run,
    shapes: Sequence[tf.TensorSpec],
    longest: Mapping[str, int],
) -> list[tf.Tensor]:
    """Runs a function on all rows, in groups of similar length whose size is chosen for speed.

    Args:
      inputs: ragged int32 [rows, (length)]; see `build_model_inputs`.
      run: takes dense inputs, int32 [some, length], and the indices of these rows, int32 [some], and returns tensors
        [some, ...].
      shapes: the shapes of the outputs of `run`, without the first axis.
      longest: maximum number of tokens per grain.

    Returns:
      The outputs of `run` for all rows, in the original order.
    """
    counts = [tf.cast(inputs[f"{grain}_input_ids"].row_lengths(), tf.int32) for grain in GRAINS]
    order = tf.argsort(counts[0] + counts[1], direction="DESCENDING", stable=True)
    ordered = {name: tf.gather(values, order) for name, values in inputs.items()}
    total = tf.concat([tf.gather(counts[0] + counts[1], order), [1]], 0)
    rows = tf.size(order)

    def body(start: tf.Tensor, number: tf.Tensor, arrays: list[tf.TensorArray]) -> tuple:
        # Rows are sorted by decreasing length, so the first one is the longest.
        end = tf.minimum(rows, start + tf.maximum(1, TOKENS_AT_ONCE // tf.maximum(1, total[start])))
        some = {name: values[start:end] for name, values in ordered.items()}
        results = run(pad_rows(some, longest), order[start:end])
        return end, number + 1, [array.write(number, value) for array, value in zip(arrays, results, strict=True)]

    arrays = [
        tf.TensorArray(spec.dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=[None, *spec.shape])
        for spec in shapes
    ]
    # Run once even without rows, so that the result has the right shapes.
    _, _, arrays = tf.while_loop(
        lambda start, number, arrays: (start < rows) | (number == 0), body, (0, 0, arrays), parallel_iterations=2
    )
    inverse = tf.math.invert_permutation(order)
    return [tf.gather(array.concat(), inverse) for array in arrays]
