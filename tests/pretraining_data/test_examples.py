import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.pretraining_data.examples import decode_example, encode_examples, encode_varints, parse_examples

# Values around those where a varint grows by a byte.
VALUES = st.one_of(st.integers(0, 2**28 - 1), st.sampled_from([0, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**28 - 1]))
NAMES = ["coarse_input_ids", "fine_input_ids", "fine_to_coarse"]


def column(rows):
    values = np.array([value for row in rows for value in row], np.int64)
    return values, np.cumsum([0, *map(len, rows)])


def example(features):
    return tf.train.Example(
        features=tf.train.Features(
            feature={name: tf.train.Feature(int64_list=tf.train.Int64List(value=row)) for name, row in features.items()}
        )
    )


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({name: st.lists(VALUES, max_size=40) for name in NAMES}), min_size=1, max_size=5))
def test_records_equal_those_of_protobuf(rows):
    records = encode_examples({name: column([row[name] for row in rows]) for name in NAMES})
    assert records == [example(row).SerializeToString(deterministic=True) for row in rows]
    assert [decode_example(record) for record in records] == rows


def test_long_lists_have_long_lengths():
    rows = [list(range(100_000)), [], [5] * 300]
    (first, second, third) = encode_examples({"fine_input_ids": column(rows)})
    assert tf.train.Example.FromString(first) == example({"fine_input_ids": rows[0]})
    assert tf.train.Example.FromString(second) == example({"fine_input_ids": []})
    assert tf.train.Example.FromString(third) == example({"fine_input_ids": rows[2]})


def test_the_order_of_features_is_that_of_their_names():
    batch = {name: column([[1, 2]]) for name in NAMES}
    assert encode_examples(batch) == encode_examples(dict(reversed(batch.items())))


def test_an_empty_batch_has_no_records():
    assert encode_examples({"fine_input_ids": column([])}) == []


def test_varints_by_hand():
    encoded, offsets = encode_varints(np.array([1, 300, 127, 128]))
    assert encoded == bytes([0x01, 0xAC, 0x02, 0x7F, 0x80, 0x01])
    assert offsets.tolist() == [0, 1, 3, 4, 6]


@pytest.mark.parametrize("value", [-1, 2**28])
def test_values_out_of_range_are_an_error(value):
    with pytest.raises(ValueError, match=f"{value}"):
        encode_varints(np.array([1, value]))


def test_parsing_gives_back_what_was_encoded():
    rows = [[2, 70_000, 3], [], [2]]
    records = encode_examples({"fine_input_ids": column(rows), "coarse_input_ids": column([[1], [2], [3]])})
    parsed = parse_examples(tf.constant(records), ["fine_input_ids", "coarse_input_ids", "fine_masked_lm_ids"])
    assert parsed["fine_input_ids"].to_list() == rows
    assert parsed["fine_input_ids"].dtype == tf.int32
    assert parsed["coarse_input_ids"].to_list() == [[1], [2], [3]]
    assert parsed["fine_masked_lm_ids"].to_list() == [[], [], []]


def test_a_record_of_something_else_is_an_error():
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(b"\xff\xff\xff")
