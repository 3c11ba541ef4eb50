"""`attention_initializer="local"`: initial weights with which the first layer attends to neighbouring tokens.

From random weights, attention to neighbours has to be learned for each position, because BERT's position embeddings are
learned, and until then a masked LM predicts little more than frequent tokens. Here, position embeddings start as
sinusoids, whose rotations are shifts, and some heads of the first layer start with the rotation by one or two
positions. Only the initial values differ from BERT: all weights are trained, and the architecture is the same.
Trockman and Kolter (2023) initialize attention with a similar purpose.
"""

from typing import Any

import numpy as np

# Angular frequencies of the sinusoids, in radians per position. The longest wave spans 314 positions.
_HIGHEST, _LOWEST = 3.0, 0.02
# Positions that the first heads attend to, relative to a token's own.
_OFFSETS = (-1, 1, -2, 2)
# Size of the rotations, and of what remains of the random weights: a head gives most of its weight to its position.
_ROTATION, _RANDOM = 1.5, 0.3


def position_embeddings(positions: int, size: int, stddev: float) -> np.ndarray:
    """Returns sinusoids with the given standard deviation, float32 [positions, size]."""
    angles = np.arange(positions)[:, np.newaxis] * _frequencies(size)
    table = np.zeros((positions, size), np.float32)
    table[:, 0 : 2 * (size // 2) : 2], table[:, 1 : 2 * (size // 2) : 2] = np.sin(angles), np.cos(angles)
    return table * np.float32(stddev * 2**0.5)


def attention_kernels(query: np.ndarray, key: np.ndarray, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernels of query and key, [size, size], whose first heads attend to the positions at `_OFFSETS`.

    Args:
      query, key: random kernels.
      heads: number of heads.
    """
    size = len(query)
    head_size = size // heads
    query, key = query.copy(), key.copy()
    # The faster half of the waves, which distinguish neighbours.
    pairs = np.linspace(0, max(size // 4 - 1, 0), head_size // 2).round().astype(int)
    frequencies = _frequencies(size)[pairs]
    sine, cosine = 2 * pairs, 2 * pairs + 1
    for head, offset in zip(range(heads), _OFFSETS, strict=False):
        columns = slice(head * head_size, (head + 1) * head_size)
        first = head * head_size + 2 * np.arange(len(pairs))
        for kernel, shift in ((query, offset), (key, 0)):
            kernel[:, columns] *= _RANDOM
            turn, stay = _ROTATION * np.sin(shift * frequencies), _ROTATION * np.cos(shift * frequencies)
            kernel[sine, first] += stay  # sin(p + shift) = sin(p) cos(shift) + cos(p) sin(shift)
            kernel[cosine, first] += turn
            kernel[cosine, first + 1] += stay  # cos(p + shift) = cos(p) cos(shift) - sin(p) sin(shift)
            kernel[sine, first + 1] -= turn
    return query, key


def initialize_locally(encoder: Any) -> None:
    """Assigns these initial values to the position embeddings and the first layer of a `GrainEncoder`.

    The first layer of a quantized encoder stays as it is.
    """
    config = encoder.config
    values = position_embeddings(config.max_position_embeddings, config.hidden_size, config.initializer_range)
    for table in {id(each): each for each in encoder.embeddings.position_tables.values()}.values():
        table.assign(values)
    attention = encoder.encoder.parts[0].attention
    if attention.query.quantization_mode or attention.key.quantization_mode:
        return  # integer kernels, which are loaded from a file
    query, key = attention.query.kernel, attention.key.kernel
    for variable, kernel in zip(
        (query, key), attention_kernels(np.asarray(query), np.asarray(key), config.num_attention_heads), strict=True
    ):
        variable.assign(kernel)


def _frequencies(size: int) -> np.ndarray:
    return np.geomspace(_HIGHEST, _LOWEST, max(size // 2, 1))
