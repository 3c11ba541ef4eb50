import functools
import types

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.pretraining_data.masking import MaskingSettings, mask_sequences, replacement_ids
from ambert_tf.pretraining_data.random_keys import fold, seed_key

PAD, UNK, CLS, SEP, MASK = range(5)
FINE_SIZE, COARSE_SIZE = 50, 90
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]"]
TOKENIZER = types.SimpleNamespace(
    pad_id=PAD,
    unk_id=UNK,
    cls_id=CLS,
    sep_id=SEP,
    mask_id=MASK,
    fine_vocab=[*SPECIAL, *(f"f{i}" for i in range(FINE_SIZE - 6))],
    coarse_vocab=[
        *SPECIAL,
        *(f"f{i}" for i in range(FINE_SIZE - 6)),
        *(f"c{i}" for i in range(COARSE_SIZE - FINE_SIZE)),
    ],
)


def rule(**settings):
    return MaskingSettings.for_tokenizer(TOKENIZER, **{"max_seq_length": 512, **settings})


@functools.cache
def masker(**settings):
    """Returns a function that masks with the given settings."""
    masking = rule(**settings)
    function = lambda inputs, keys: mask_sequences(inputs, keys, masking)  # noqa: E731
    return tf.function(function, reduce_retracing=True, autograph=False)


def ragged_inputs(sequences):
    """Creates inputs from sequences. A sequence is a list of segments of coarse tokens, given as lists of fine ids."""
    inputs = {name: [] for name in ("fine_input_ids", "coarse_input_ids", "fine_to_coarse")}
    for segments in sequences:
        tokens = [[CLS]]
        for segment in segments:
            tokens += [*segment, [SEP]]
        # A coarse token of several fine tokens gets a new coarse id. That of a single fine token is the fine id.
        inputs["coarse_input_ids"].append(
            [held[0] if len(held) == 1 else FINE_SIZE + sum(held) % 40 for held in tokens]
        )
        inputs["fine_input_ids"].append([token for held in tokens for token in held])
        inputs["fine_to_coarse"].append([place for place, held in enumerate(tokens) for _ in held])
    # tf.ragged.constant takes seconds for a thousand rows.
    return {
        name: tf.RaggedTensor.from_row_lengths(
            np.array([value for row in rows for value in row], np.int32), np.array([len(row) for row in rows], np.int64)
        )
        for name, rows in inputs.items()
    }


def mask(inputs, seed=0, **settings):
    keys = tf.constant(fold(seed_key(seed), np.arange(int(inputs["fine_input_ids"].nrows()))))
    return {name: value.to_list() for name, value in masker(**settings)(inputs, keys).items()}


coarse_tokens = st.lists(st.integers(6, FINE_SIZE - 1), min_size=1, max_size=5)
segments = st.lists(coarse_tokens, min_size=1, max_size=40)
batches = st.lists(st.lists(segments, min_size=1, max_size=2), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(batches, st.integers(0, 1000))
def test_invariants_of_masked_sequences(sequences, seed):
    inputs = ragged_inputs(sequences)
    masked = mask(inputs, seed)
    for row in range(len(sequences)):
        before = {name: value.to_list()[row] for name, value in inputs.items()}
        after = {name: value[row] for name, value in masked.items()}
        chosen = set(after["coarse_masked_lm_positions"])
        holder = before["fine_to_coarse"]

        # Every fine token of a chosen coarse token, and no others.
        assert after["fine_masked_lm_positions"] == [i for i, place in enumerate(holder) if place in chosen]
        for grain in ("fine", "coarse"):
            ids, new_ids = before[f"{grain}_input_ids"], after[f"{grain}_input_ids"]
            positions = after[f"{grain}_masked_lm_positions"]
            assert positions == sorted(set(positions))
            assert after[f"{grain}_masked_lm_ids"] == [ids[position] for position in positions]
            assert [i for i in range(len(ids)) if ids[i] != new_ids[i] and i not in positions] == []
            assert not {ids[position] for position in positions} & {CLS, SEP}
            shown = [new_ids[position] for position in positions]
            assert not set(shown) & {PAD, UNK, CLS, SEP, 5}

        # The rule is drawn once per coarse token, so [MASK] is in both grains or in neither.
        for position in chosen:
            held = [after["fine_input_ids"][i] == MASK for i, place in enumerate(holder) if place == position]
            assert set(held) == {after["coarse_input_ids"][position] == MASK}

        count = len(before["coarse_input_ids"]) - sum(i in (CLS, SEP) for i in before["coarse_input_ids"])
        assert len(chosen) == max(1, round(0.15 * count))


def long_batch(sequences=300, length=70):
    random = np.random.default_rng(0)
    lengths = random.choice([1, 2, 3], (sequences, length), p=[0.5, 0.4, 0.1])
    return ragged_inputs([[[random.integers(6, FINE_SIZE, n).tolist() for n in row]] for row in lengths])


def test_proportions_over_twenty_thousand_coarse_tokens():
    inputs = long_batch()
    masked = mask(inputs)
    kinds = {"mask": 0, "kept": 0, "random": 0}
    places = np.zeros(72)
    for new_ids, positions, originals in zip(
        masked["coarse_input_ids"], masked["coarse_masked_lm_positions"], masked["coarse_masked_lm_ids"], strict=True
    ):
        assert len(positions) == round(0.15 * 70)
        places[positions] += 1
        for position, original in zip(positions, originals, strict=True):
            shown = new_ids[position]
            kinds["mask" if shown == MASK else "kept" if shown == original else "random"] += 1
    total = sum(kinds.values())
    assert total == 300 * 10
    assert kinds["mask"] / total == pytest.approx(0.8, abs=0.03)
    assert kinds["random"] / total == pytest.approx(0.1, abs=0.02)
    assert kinds["kept"] / total == pytest.approx(0.1, abs=0.02)
    # Every position is chosen equally often: 300 sequences * 10 / 70 = 43 times, with a standard deviation of 6.
    assert places[1:-1].min() > 18 and places[1:-1].max() < 70


def test_random_tokens_come_from_the_whole_vocabulary_of_the_grain():
    masked = mask(long_batch(1500))
    for grain, size in (("fine", FINE_SIZE), ("coarse", COARSE_SIZE)):
        drawn = set()
        for new_ids, positions, originals in zip(
            masked[f"{grain}_input_ids"],
            masked[f"{grain}_masked_lm_positions"],
            masked[f"{grain}_masked_lm_ids"],
            strict=True,
        ):
            drawn |= {new_ids[p] for p, original in zip(positions, originals, strict=True) if new_ids[p] != original}
        assert drawn == {MASK, *range(6, size)}


def test_masks_do_not_depend_on_the_batch():
    inputs = long_batch(20)
    together = mask(inputs)
    keys = fold(seed_key(0), np.arange(20))
    alone = masker()({name: value[7:8] for name, value in inputs.items()}, tf.constant(keys[7:8]))
    assert {name: value[7] for name, value in together.items()} == {
        name: value.to_list()[0] for name, value in alone.items()
    }


def test_another_seed_masks_other_tokens():
    inputs = long_batch(5)
    first, second = (mask(inputs, seed)["coarse_masked_lm_positions"] for seed in (1, 2))
    assert first != second


@settings(deadline=None, max_examples=30)
@given(batches, st.sampled_from([(1, 1), (5, 3), (3, 5)]))
def test_no_limit_is_exceeded(sequences, limits):
    most_fine, most_coarse = limits
    masked = mask(
        ragged_inputs(sequences),
        masked_lm_prob=0.5,
        max_predictions_per_seq=most_fine,
        max_coarse_predictions_per_seq=most_coarse,
    )
    fine, coarse = masked["fine_masked_lm_positions"], masked["coarse_masked_lm_positions"]
    assert max(map(len, fine)) <= most_fine
    assert max(map(len, coarse)) <= most_coarse
    for row, sequence in enumerate(sequences):
        # At least one token is masked wherever one fits.
        if any(len(held) <= most_fine for segment in sequence for held in segment):
            assert coarse[row]


def test_a_limit_applies_to_both_grains():
    assert rule(max_predictions_per_seq=20).max_coarse_predictions == 20
    assert rule(max_predictions_per_seq=20, max_coarse_predictions_per_seq=9).max_fine_predictions == 20
    assert rule(max_predictions_per_seq=20, max_coarse_predictions_per_seq=9).max_coarse_predictions == 9


def test_default_limits_are_not_reached():
    masking = rule(max_seq_length=128, max_coarse_seq_length=100)
    assert masking.max_fine_predictions == 35  # ceil(1.6 * 0.15 * 128) + 4
    assert masking.max_coarse_predictions == 16  # ceil(0.15 * 100) + 1


def test_special_and_unused_tokens_are_never_replacements():
    vocabulary = ["[PAD]", "[unused1]", "[UNK]", "a", "[unused]", "[unused99]x", "b"]
    assert replacement_ids(vocabulary, {0, 2}).tolist() == [3, 4, 5, 6]


def test_an_empty_batch_and_empty_sequences_pass():
    empty = {name: tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), [0]) for name in ragged_inputs([])}
    assert mask(empty)["coarse_masked_lm_ids"] == []
    nothing_to_mask = ragged_inputs([[[]], [[[7]]], [[], []]])
    assert mask(nothing_to_mask)["coarse_masked_lm_positions"] == [[], [1], []]
    assert mask(nothing_to_mask)["coarse_input_ids"][0] == [CLS, SEP]
