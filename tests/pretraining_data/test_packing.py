from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.packing import PackingSettings, TokenizedUnit, keep_documents, pack
from ambert_tf.pretraining_data.packing import _shares as shares

# A document is a list of sentences. A sentence is a list of coarse tokens, given as their numbers of fine tokens.
sentences = st.lists(st.integers(1, 3), max_size=25)
documents = st.lists(st.lists(sentences, max_size=8), max_size=5)


def splits(lengths):
    return np.cumsum([0, *lengths])


def make_unit(documents):
    counts = [count for document in documents for sentence in document for count in sentence]
    return keep_documents(
        coarse_ids=np.arange(len(counts), dtype=np.int32),
        fine_ids=np.arange(sum(counts), dtype=np.int32),
        fine_splits=splits(counts),
        sentence_splits=splits(len(sentence) for document in documents for sentence in document),
        document_splits=splits(map(len, documents)),
    )


def rule(**settings):
    return PackingSettings(
        **{
            "max_seq_length": 16,
            "max_coarse_seq_length": 12,
            "short_seq_prob": 0.0,
            "next_sentence": False,
            **settings,
        }
    )


def segments(unit, packing, seed=0):
    return pack(unit, packing, seed).segments.tolist()


def document_bounds(unit):
    return unit.sentence_splits[unit.document_splits].tolist()


def test_documents_that_are_too_short_are_dropped_and_counted():
    unit, too_short = make_unit([[[1], []], [[2], [1]], [], [[], [1, 1]]])
    assert too_short == 2
    assert unit.coarse_ids.tolist() == [1, 2, 3, 4]
    assert unit.fine_ids.tolist() == [1, 2, 3, 4, 5]
    assert unit.fine_splits.tolist() == [0, 2, 3, 4, 5]
    assert unit.sentence_splits.tolist() == [0, 1, 2, 4]
    assert unit.document_splits.tolist() == [0, 2, 3]


def test_empty_input_gives_no_sequences():
    unit, too_short = make_unit([[[1]]])
    assert too_short == 1
    assert pack(unit, rule(), 0).segments.shape == (0, 2)
    assert pack(unit, rule(next_sentence=True), 0).segments.shape == (0, 4)


class TestSentences:
    def test_sequences_are_filled_with_sentences_of_one_document(self):
        # Room for 14 fine and 10 coarse tokens.
        unit, _ = make_unit([[[1] * 3, [1] * 3, [1] * 3], [[1] * 4]])
        assert segments(unit, rule()) == [[0, 9], [9, 13]]

    def test_a_sentence_that_does_not_fit_is_split(self):
        unit, _ = make_unit([[[1] * 5, [1] * 8]])
        assert segments(unit, rule()) == [[0, 10], [10, 13]]

    def test_a_sequence_ends_with_a_sentence_if_little_room_is_lost(self):
        unit, _ = make_unit([[[1] * 9, [1] * 8]])
        assert segments(unit, rule()) == [[0, 9], [9, 17]]

    def test_the_fine_limit_applies(self):
        unit, _ = make_unit([[[3] * 10]])
        assert segments(unit, rule()) == [[0, 4], [4, 8], [8, 10]]  # 12, 12 and 6 of 14 fine tokens

    @settings(deadline=None)
    @given(documents, st.integers(0, 100), st.sampled_from([0.0, 0.5, 1.0]))
    def test_all_text_is_packed_once_in_order_and_within_the_limits(self, documents, seed, short_seq_prob):
        unit, _ = make_unit(documents)
        packing = rule(short_seq_prob=short_seq_prob)
        found = segments(unit, packing, seed)
        assert [token for start, end in found for token in range(start, end)] == list(range(len(unit.coarse_ids)))
        bounds = document_bounds(unit)
        for start, end in found:
            assert 0 < end - start <= 10
            assert unit.fine_splits[end] - unit.fine_splits[start] <= 14
            assert not any(start < bound < end for bound in bounds)

    def test_short_sequences_come_with_their_probability(self):
        unit, _ = make_unit([[[1] * 5] * 4000])
        packing = rule(max_seq_length=102, max_coarse_seq_length=102, short_seq_prob=0.1)
        lengths = np.array([end - start for start, end in segments(unit, packing)])
        # With a target above 95, a sequence is filled up to the next sentence like a full one.
        assert np.mean(lengths < 100) == pytest.approx(0.1 * 94 / 99, abs=0.03)
        assert lengths.min() == 5


class TestPairs:
    packing = rule(next_sentence=True, max_seq_length=33, max_coarse_seq_length=24)

    @settings(deadline=None)
    @given(documents, st.integers(0, 100), st.sampled_from([0.0, 0.5]))
    def test_invariants_of_pairs(self, documents, seed, short_seq_prob):
        unit, _ = make_unit(documents)
        packing = rule(next_sentence=True, max_seq_length=33, max_coarse_seq_length=24, short_seq_prob=short_seq_prob)
        sequences = pack(unit, packing, seed)
        bounds = document_bounds(unit)
        for (a_start, a_end, b_start, b_end), label in zip(
            sequences.segments.tolist(), sequences.next_sentence_label.tolist(), strict=True
        ):
            assert a_start < a_end and b_start < b_end
            assert a_end - a_start + b_end - b_start <= 21
            fine = unit.fine_splits
            assert fine[a_end] - fine[a_start] + fine[b_end] - fine[b_start] <= 30
            a_document, b_document = (np.searchsorted(bounds, start, "right") for start in (a_start, b_start))
            assert a_end <= bounds[a_document] and b_end <= bounds[b_document]
            if label == 0:
                assert a_document == b_document and a_end <= b_start
            elif len(bounds) > 2:
                assert a_document != b_document

    def test_half_of_the_second_segments_are_random(self):
        unit, _ = make_unit([[[1] * 6] * 50] * 40)
        labels = pack(unit, self.packing, 1).next_sentence_label
        assert len(labels) > 500
        assert labels.mean() == pytest.approx(0.5, abs=0.08)

    def test_the_rest_of_a_sequence_with_a_random_second_segment_is_used_next(self):
        unit, _ = make_unit([[[1] * 6] * 50] * 2)
        sequences = pack(unit, rule(next_sentence=True, max_seq_length=63, max_coarse_seq_length=63), 3)
        firsts = list(zip(sequences.segments.tolist(), sequences.next_sentence_label, strict=True))
        for ((_, a_end, _, b_end), label), ((start, *_), _) in pairwise(firsts):
            assert start == (a_end if label else b_end)

    def test_a_following_segment_follows_directly_unless_it_is_trimmed(self):
        unit, _ = make_unit([[[1] * 5] * 60])
        sequences = pack(unit, rule(next_sentence=True, max_seq_length=43, max_coarse_seq_length=43), 0)
        following = sequences.segments[sequences.next_sentence_label == 0]
        assert len(following) > 3
        np.testing.assert_array_equal(following[:, 1], following[:, 2])

    def test_the_longer_segment_is_trimmed(self):
        assert shares(10, 5, 20) == (10, 5)
        assert shares(18, 5, 20) == (15, 5)
        assert shares(5, 18, 20) == (5, 15)
        assert shares(18, 15, 21) == (11, 10)

    def test_text_is_cut_at_front_and_back(self):
        # One sentence per document, longer than its share.
        unit, _ = make_unit([[[1] * 20]] * 200)
        found = pack(unit, self.packing, 0).segments
        assert (found[:, 0] % 20 > 0).any() and (found[:, 1] % 20 > 0).any()
        np.testing.assert_array_equal(found[:, 1] - found[:, 0] + found[:, 3] - found[:, 2], 21)
        # 20 + 20 tokens, of which 21 are kept: about 5 of the 9 tokens removed from the first segment are at its front.
        assert (found[:, 0] % 20).mean() == pytest.approx(4.5, abs=0.5)


@settings(deadline=None, max_examples=20)
@given(documents, st.booleans())
def test_a_seed_gives_the_same_sequences(documents, next_sentence):
    unit, _ = make_unit(documents)
    packing = rule(next_sentence=next_sentence, short_seq_prob=0.5)
    assert segments(unit, packing, 5) == segments(unit, packing, 5)


@pytest.mark.parametrize(("next_sentence", "least"), [(False, 17), (True, 33)])
def test_a_coarse_token_must_fit(next_sentence, least):
    unit, _ = make_unit([[[1, 15, 1]]])
    with pytest.raises(InputError, match=f"--max_seq_length=16: too short for a coarse token of 15 fine .* {least}$"):
        pack(unit, rule(next_sentence=next_sentence), 0)
    fitting = rule(next_sentence=next_sentence, max_seq_length=least)
    assert isinstance(unit, TokenizedUnit) and len(segments(unit, fitting))
