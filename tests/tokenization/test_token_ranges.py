import tensorflow as tf

from ambert_tf.tokenization.token_ranges import TokenRanges
from tests.tokenizers import chinese_tokenizer

# Coarse tokens: 南京市 | 长江大桥; none; 的 | 中国.
TEXTS = ["南京市长江大桥", "", "的中国"]


def ranges():
    return TokenRanges(chinese_tokenizer()(tf.constant(TEXTS)))


def test_lengths():
    assert ranges().fine_lengths.numpy().tolist() == [7, 0, 3]
    assert ranges().coarse_lengths.numpy().tolist() == [2, 0, 2]


def test_positions_of_one_grain_in_the_other():
    rows = tf.constant([0, 0, 0, 1, 2, 2, 2])
    assert ranges().coarse_at(rows, tf.constant([0, 3, 7, 0, 0, 2, 3])).numpy().tolist() == [0, 1, 2, 0, 0, 1, 2]
    assert ranges().fine_at(rows, tf.constant([0, 1, 2, 0, 0, 1, 2])).numpy().tolist() == [0, 3, 7, 0, 0, 1, 3]


def test_parts_of_texts_in_any_order():
    part = ranges().take(tf.constant([2, 0, 1, 0]), tf.constant([1, 1, 0, 0]), tf.constant([2, 2, 0, 0]))
    assert part.coarse_starts.to_list() == [[3], [9], [], []]
    assert part.fine_starts.to_list() == [[3, 6], [9, 12, 15, 18], [], []]
    assert part.fine_to_coarse.to_list() == [[0, 0], [0, 0, 0, 0], [], []]
