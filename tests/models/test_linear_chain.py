"""Against the enumeration of all sequences of tags."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.linear_chain import constrained, log_likelihood, log_partition, viterbi
from ambert_tf.models.tagging_schemes import SCHEMES, TagSet, spans_of_tags

TAGS, LENGTHS = 3, [4, 2, 1]
RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(3, 4, TAGS)).astype(np.float32)
TRANSITIONS = RANDOM.normal(size=(TAGS + 1, TAGS + 1)).astype(np.float32)


def all_sequences(row):
    """Returns the score of each sequence of tags of a row: start, tags with transitions between them, end."""
    found = {}
    for tags in itertools.product(range(TAGS), repeat=LENGTHS[row]):
        moves = zip((TAGS, *tags), (*tags, TAGS), strict=True)
        own = sum(SCORES[row, index, tag] for index, tag in enumerate(tags))
        found[tags] = own + sum(TRANSITIONS[move] for move in moves)
    return found


def test_the_best_sequence():
    found = viterbi(SCORES, tf.constant(LENGTHS), tf.constant(TRANSITIONS)).numpy()
    for row, length in enumerate(LENGTHS):
        sequences = all_sequences(row)
        assert tuple(found[row, :length]) == max(sequences, key=sequences.get)
        assert not found[row, length:].any()


def test_log_partition():
    expected = [np.log(sum(map(np.exp, all_sequences(row).values()))) for row in range(3)]
    found = log_partition(tf.constant(SCORES), tf.constant(LENGTHS), tf.constant(TRANSITIONS))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_likelihood_skips_positions_without_a_tag():
    # The second row's two tags, with a gap: its scores are those of positions 0 and 1.
    scores = tf.constant(np.stack([SCORES[1, 0], SCORES[2, 3], SCORES[1, 1], SCORES[2, 2]])[np.newaxis])
    found = log_likelihood(scores, tf.constant([[2, -1, 0, -1]]), tf.constant(TRANSITIONS))
    sequences = all_sequences(1)
    expected = sequences[2, 0] - np.log(sum(map(np.exp, sequences.values())))
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)


def test_gradients_are_expected_counts():
    """The gradient of the log partition function is the probability of each tag at each position."""
    scores = tf.constant(SCORES)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        total = log_partition(scores, tf.constant(LENGTHS), tf.constant(TRANSITIONS))
    found = tape.gradient(total, scores).numpy()
    sequences = all_sequences(0)
    shares = np.exp(np.array(list(sequences.values())))
    for position, tag in itertools.product(range(4), range(TAGS)):
        has = np.array([tags[position] == tag for tags in sequences])
        assert found[0, position, tag] == pytest.approx(shares[has].sum() / shares.sum(), abs=1e-5)
    assert not found[2, 1:].any()


def test_empty_sequences():
    transitions = tf.constant(TRANSITIONS)
    assert viterbi(tf.zeros([2, 0, TAGS]), tf.zeros([2], tf.int32), transitions).shape == (2, 0)
    assert viterbi(tf.zeros([0, 0, TAGS]), tf.zeros([0], tf.int32), transitions).shape == (0, 0)
    assert log_likelihood(tf.zeros([2, 0, TAGS]), tf.zeros([2, 0], tf.int32), transitions).numpy().tolist() == [0, 0]
    assert log_likelihood(SCORES[:1], tf.fill([1, 4], -1), transitions).numpy().tolist() == [0]


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "IOB1"])
def test_no_sequence_is_ill_formed(scheme, outside):
    tag_set = TagSet(("LOC", "PER"), scheme, outside)
    # Large random scores, most of whose best tags do not fit together.
    scores = np.random.default_rng(1).normal(size=(50, 7, len(tag_set.tags)), scale=1000).astype(np.float32)
    lengths = np.arange(50) % 7 + 1
    transitions = constrained(tf.zeros([len(tag_set.tags) + 1] * 2), tag_set.allowed())
    found = viterbi(tf.constant(scores), tf.constant(lengths, tf.int32), transitions).numpy()
    assert (found != scores.argmax(-1)).any()
    for tags, length in zip(found, lengths, strict=True):
        names = [tag_set.tags[tag] for tag in tags[:length]]
        spans, faults = spans_of_tags(names, scheme)
        assert not faults
        if not outside:
            assert sum(span.end - span.start for span in spans) == length


def test_a_loss_of_allowed_tags_is_finite_and_shrinks_the_others():
    tag_set = TagSet(("LOC",), "BIO")
    transitions = constrained(tf.zeros([4, 4]), tag_set.allowed())
    # O may be followed by O and B; B and I by all three. Of two tags, B O, B B, B I, O O, O B are well-formed.
    found = log_likelihood(tf.zeros([1, 2, 3]), tf.constant([[1, 2]]), transitions)
    assert float(found[0]) == pytest.approx(-np.log(5))
