"""The schema of pre-training records: encoding and parsing.

A record is a serialized `tf.train.Example`. For each grain g in `fine` and `coarse` it has the int64 lists
`g_input_ids` and `g_segment_ids`, and, with static masks, `g_masked_lm_positions` and `g_masked_lm_ids`, all without
padding; `fine_to_coarse`, the position of each fine token's coarse token; and, with next sentence prediction,
`next_sentence_label` (1: the second segment is random).

Records are encoded in batches here, because creating one `tf.train.Example` at a time takes as long as all previous
steps together. Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

import functools
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

INPUT_FEATURES = (
    "coarse_input_ids",
    "coarse_segment_ids",
    "fine_input_ids",
    "fine_segment_ids",
    "fine_to_coarse",
)
MASK_FEATURES = (
    "coarse_masked_lm_ids",
    "coarse_masked_lm_positions",
    "fine_masked_lm_ids",
    "fine_masked_lm_positions",
)
NEXT_SENTENCE_FEATURE = "next_sentence_label"

# Tags of the wire format: field number and wire type 2 (LEN). Example.features, Features.feature and the key of a map
# entry are field 1 and its value is field 2; Feature.int64_list is field 3; Int64List.value is field 1.
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"

Column = tuple[np.ndarray, np.ndarray]


def encode_examples(batch: dict[str, Column]) -> list[bytes]:
    """Serializes a batch of records.

    Args:
      batch: for each feature name, values (integers in [0, 2^28), flat over the batch) and row splits [batch + 1].

    Returns:
      One serialized `tf.train.Example` per row, with its features sorted by name.
    """
    encoded = []
    for name in sorted(batch):
        values, row_splits = batch[name]
        payload, ends = encode_varints(np.asarray(values))
        encoded.append((name.encode(), memoryview(payload), ends[np.asarray(row_splits)].tolist()))
    records = []
    for row in range(len(encoded[0][2]) - 1):
        parts: list[bytes | memoryview] = []
        length = 0
        for name_bytes, payload_view, splits in encoded:
            start, end = splits[row], splits[row + 1]
            header, header_length = _feature_header(name_bytes, end - start)
            parts.append(header)
            parts.append(payload_view[start:end])
            length += header_length + end - start
        records.append(b"".join((_FIELD_1, _varint(length), *parts)))
    return records


def encode_varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Encodes integers in [0, 2^28) as base-128 varints.

    Returns:
      The bytes of all values, and offsets [values + 1]: value i is bytes[offsets[i]:offsets[i + 1]].
    """
    count = len(values)
    largest = int(values.max()) if count else 0
    if count and (largest >= 2**28 or int(values.min()) < 0):
        raise ValueError(f"values from {values.min()} to {largest}; a record has integers from 0 to 2^28 - 1")
    if largest < 2**7:
        return values.astype(np.uint8).tobytes(), np.arange(count + 1)
    width = (largest.bit_length() + 6) // 7
    values = values.astype(np.uint32)
    groups = np.empty((count, width), np.uint8)
    used = np.empty((count, width), bool)
    for place in range(width):
        rest = values >> np.uint32(7 * place)
        used[:, place] = rest > 0 if place else True
        # The high bit marks continuation bytes.
        groups[:, place] = (rest & np.uint32(0x7F)) | (np.uint32(0x80) * (rest >= 0x80))
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(used.sum(axis=1), out=offsets[1:])
    return groups[used].tobytes(), offsets


@functools.lru_cache(maxsize=1 << 16)
def _feature_header(name: bytes, payload_length: int) -> tuple[bytes, int]:
    """Returns the bytes that precede the packed values of a feature, and their number."""
    values = _FIELD_1 + _varint(payload_length) if payload_length else b""
    int64_list = _FIELD_3 + _varint(len(values) + payload_length) + values
    key = _FIELD_1 + _varint(len(name)) + name
    value = _FIELD_2 + _varint(len(int64_list) + payload_length) + int64_list
    entry = _FIELD_1 + _varint(len(key) + len(value) + payload_length) + key + value
    return entry, len(entry)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def decode_example(serialized: bytes) -> dict[str, list[int]]:
    """Returns the features of one record, for inspection.

    Raises:
      ValueError: the record is not a `tf.train.Example`.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's DecodeError has no public name
        raise ValueError("not a tf.train.Example") from None
    return {name: list(feature.int64_list.value) for name, feature in features.items()}


def parse_examples(serialized: tf.Tensor, features: Iterable[str]) -> dict[str, tf.RaggedTensor]:
    """Parses serialized records (string [batch]) with TensorFlow ops.

    Returns:
      int32 ragged [batch, (length)] for each of `features`. A row is empty if the record lacks the feature.
    """
    specification = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in features}
    parsed = tf.io.parse_example(serialized, specification)
    return {name: tf.cast(parsed[name], tf.int32) for name in specification}
