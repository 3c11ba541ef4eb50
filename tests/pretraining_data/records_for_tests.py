"""Small files of pre-training records that tests share."""

import numpy as np
import tensorflow as tf

from ambert_tf.pretraining_data.examples import encode_examples

CLS, SEP, MASK = 2, 3, 4


def column(rows):
    return np.array([value for row in rows for value in row], np.int64), np.cumsum([0, *map(len, rows)])


def make_records(numbers, masked=True, next_sentence=False):
    """Creates a record for each number n: `[CLS] n 11 12 [SEP]`, where 11 12 is one word."""
    batch = {
        "fine_input_ids": column([[CLS, number, 11, 12, *[9] * (number % 3), SEP] for number in numbers]),
        "fine_segment_ids": column([[0] * (5 + number % 3) for number in numbers]),
        "coarse_input_ids": column([[CLS, number, 30, *[9] * (number % 3), SEP] for number in numbers]),
        "coarse_segment_ids": column([[0] * (4 + number % 3) for number in numbers]),
        "fine_to_coarse": column([[0, 1, 2, 2, *range(3, 4 + number % 3)] for number in numbers]),
    }
    if masked:
        batch |= {
            "fine_masked_lm_positions": column([[2, 3] if number % 2 else [1] for number in numbers]),
            "fine_masked_lm_ids": column([[21, 22] if number % 2 else [23] for number in numbers]),
            "coarse_masked_lm_positions": column([[2] if number % 2 else [1] for number in numbers]),
            "coarse_masked_lm_ids": column([[31] if number % 2 else [32] for number in numbers]),
        }
    if next_sentence:
        batch["next_sentence_label"] = column([[number % 2] for number in numbers])
    return encode_examples(batch)


def write_records(path, records, compression=None):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def numbers_of(batches):
    """Returns the numbers of the records in batches."""
    return [int(number) for batch in batches for number in batch["fine_input_ids"][:, 1]]
