import numpy as np

from ambert_tf.pretraining_data.packing import Sequences, TokenizedUnit
from ambert_tf.pretraining_data.sequences import assemble

CLS, SEP = 2, 3
# Coarse token 50 contains fine token 10; 51 contains 11 and 12; 52 contains 13; 53 contains 14, 15 and 16.
UNIT = TokenizedUnit(
    coarse_ids=np.array([50, 51, 52, 53], np.int32),
    fine_ids=np.arange(10, 17, dtype=np.int32),
    fine_splits=np.array([0, 1, 3, 4, 7]),
    sentence_splits=np.array([0, 4]),
    document_splits=np.array([0, 1]),
)


def rows(batch):
    return {
        name: [part.tolist() for part in np.split(values, splits[1:-1])] for name, (values, splits) in batch.items()
    }


def test_one_segment():
    sequences = Sequences(np.array([[0, 2], [1, 4]]), None)
    assert rows(assemble(UNIT, sequences, 0, 2, CLS, SEP)) == {
        "coarse_input_ids": [[CLS, 50, 51, SEP], [CLS, 51, 52, 53, SEP]],
        "coarse_segment_ids": [[0, 0, 0, 0], [0, 0, 0, 0, 0]],
        "fine_input_ids": [[CLS, 10, 11, 12, SEP], [CLS, 11, 12, 13, 14, 15, 16, SEP]],
        "fine_segment_ids": [[0] * 5, [0] * 8],
        "fine_to_coarse": [[0, 1, 2, 2, 3], [0, 1, 1, 2, 3, 3, 3, 4]],
    }


def test_two_segments():
    sequences = Sequences(np.array([[0, 1, 3, 4], [1, 2, 2, 4]]), np.array([1, 0]))
    assert rows(assemble(UNIT, sequences, 0, 2, CLS, SEP)) == {
        "coarse_input_ids": [[CLS, 50, SEP, 53, SEP], [CLS, 51, SEP, 52, 53, SEP]],
        "coarse_segment_ids": [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]],
        "fine_input_ids": [[CLS, 10, SEP, 14, 15, 16, SEP], [CLS, 11, 12, SEP, 13, 14, 15, 16, SEP]],
        "fine_segment_ids": [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1]],
        "fine_to_coarse": [[0, 1, 2, 3, 3, 3, 4], [0, 1, 1, 2, 3, 4, 4, 4, 5]],
        "next_sentence_label": [[1], [0]],
    }


def test_a_part_of_the_sequences():
    sequences = Sequences(np.array([[0, 1], [1, 2], [2, 3]]), None)
    batch = rows(assemble(UNIT, sequences, 1, 2, CLS, SEP))
    assert batch["coarse_input_ids"] == [[CLS, 51, SEP]]
    assert batch["fine_to_coarse"] == [[0, 1, 1, 2]]
