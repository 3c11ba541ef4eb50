import itertools

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.dataset import pretraining_dataset
from ambert_tf.pretraining_data.masking import MaskingSettings
from tests.pretraining_data.records_for_tests import CLS, MASK, SEP, make_records, numbers_of, write_records

RULE = MaskingSettings(
    mask_id=MASK,
    special_ids=(CLS, SEP),
    fine_replacement_ids=np.array([50, 51], np.int32),
    coarse_replacement_ids=np.array([60, 61], np.int32),
    masked_lm_prob=0.15,
    max_fine_predictions=8,
    max_coarse_predictions=4,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three files of 10 records each, numbered from 100. The second one is compressed."""
    directory = tmp_path_factory.mktemp("static")
    return [
        write_records(
            directory / f"{part}.tfrecord",
            make_records(range(100 + 10 * part, 110 + 10 * part)),
            "GZIP" if part == 1 else None,
        )
        for part in range(3)
    ]


@pytest.fixture(scope="module")
def dynamic_files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dynamic")
    return [write_records(directory / f"{part}", make_records(range(100, 140), masked=False)) for part in range(2)]


def batches(files, count=None, **settings):
    dataset = pretraining_dataset(files, **{"batch_size": 4, "num_epochs": 1, **settings})
    return [{name: value.numpy() for name, value in batch.items()} for batch in itertools.islice(dataset, count)]


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_batch_is_dense_and_padded_to_its_longest(files):
    batch = batches(files, batch_size=2, shuffle_buffer=0)[0]
    assert {name: value.tolist() for name, value in batch.items()} == {
        "fine_input_ids": [[2, 100, 11, 12, 9, 3, 0], [2, 101, 11, 12, 9, 9, 3]],
        "fine_segment_ids": [[0] * 7] * 2,
        "fine_to_coarse": [[0, 1, 2, 2, 3, 4, 0], [0, 1, 2, 2, 3, 4, 5]],
        "fine_masked_lm_positions": [[1, 0], [2, 3]],
        "fine_masked_lm_ids": [[23, 0], [21, 22]],
        "fine_masked_lm_weights": [[1, 0], [1, 1]],
        "coarse_input_ids": [[2, 100, 30, 9, 3, 0], [2, 101, 30, 9, 9, 3]],
        "coarse_segment_ids": [[0] * 6] * 2,
        "coarse_masked_lm_positions": [[1], [2]],
        "coarse_masked_lm_ids": [[32], [31]],
        "coarse_masked_lm_weights": [[1], [1]],
    }
    assert batch["fine_masked_lm_weights"].dtype == np.float32
    assert batch["fine_input_ids"].dtype == np.int32


def test_lengths_can_be_fixed(files):
    settings = {"fine_length": 16, "coarse_length": 12, "fine_predictions": 5, "coarse_predictions": 3}
    dataset = pretraining_dataset(files, batch_size=4, drop_remainder=True, **settings)
    assert {name: spec.shape.as_list() for name, spec in dataset.element_spec.items()} == {
        "fine_input_ids": [4, 16],
        "fine_segment_ids": [4, 16],
        "fine_to_coarse": [4, 16],
        "fine_masked_lm_positions": [4, 5],
        "fine_masked_lm_ids": [4, 5],
        "fine_masked_lm_weights": [4, 5],
        "coarse_input_ids": [4, 12],
        "coarse_segment_ids": [4, 12],
        "coarse_masked_lm_positions": [4, 3],
        "coarse_masked_lm_ids": [4, 3],
        "coarse_masked_lm_weights": [4, 3],
    }


def test_a_record_longer_than_the_fixed_length_is_an_error(files):
    with pytest.raises(tf.errors.InvalidArgumentError, match="fine_input_ids is longer than 6"):
        batches(files, fine_length=6)


def test_next_sentence_labels_are_returned_if_present(tmp_path):
    name = write_records(tmp_path / "x", make_records([101, 102], next_sentence=True))
    assert batches([name], shuffle_buffer=0)[0]["next_sentence_label"].tolist() == [1, 0]


class TestOrder:
    def test_each_epoch_reads_each_record_once_in_a_different_order(self, files):
        found = numbers_of(batches(files, num_epochs=2, batch_size=30))
        assert sorted(found[:30]) == sorted(found[30:]) == list(range(100, 130))
        assert found[:30] != found[30:]
        assert found[:30] != list(range(100, 130))

    def test_without_shuffling_it_is_that_of_the_files(self, files):
        assert numbers_of(batches(files[::-1], shuffle_buffer=0)) == list(range(100, 130))

    def test_a_seed_gives_the_same_order(self, files):
        first, again, other = (numbers_of(batches(files, seed=seed)) for seed in (1, 1, 2))
        assert first == again
        assert first != other

    def test_a_start_step_resumes_with_the_next_batch(self, files):
        whole = batches(files, 25, num_epochs=None, seed=3)
        for start_step in (1, 8, 23):
            assert_equal(
                batches(files, 25 - start_step, num_epochs=None, seed=3, start_step=start_step), whole[start_step:]
            )

    def test_the_number_of_epochs_counts_from_the_first(self, files):
        whole = batches(files, num_epochs=2)
        assert len(whole) == 15
        assert_equal(batches(files, num_epochs=2, start_step=9), whole[9:])
        assert batches(files, num_epochs=2, start_step=15) == []

    @pytest.mark.parametrize("workers", [2, 3, 4])
    def test_workers_share_the_records(self, files, workers):
        shares = [
            numbers_of(batches(files, input_context=tf.distribute.InputContext(workers, worker, workers), seed=5))
            for worker in range(workers)
        ]
        assert sorted(number for share in shares for number in share) == list(range(100, 130))
        # Not 20 and 10 with three files and two workers, which would use the records of one file twice as often.
        assert [len(share) for share in shares] == {2: [15, 15], 3: [10, 10, 10], 4: [8, 8, 7, 7]}[workers]

    @pytest.mark.parametrize("workers", [2, 4])
    def test_a_worker_resumes(self, files, workers):
        context = tf.distribute.InputContext(workers, 1, workers)
        settings = {"num_epochs": None, "input_context": context, "batch_size": 2}
        assert_equal(batches(files, 5, start_step=9, **settings), batches(files, 14, **settings)[9:])


GROUPED = {"num_epochs": None, "batch_size": 5, "group_by_length": 6, "seed": 4}


class TestGroupsByLength:
    """The records of `make_records` have 5, 6 or 7 fine tokens, in equal proportions."""

    def test_contain_the_same_records_in_batches_of_similar_lengths(self, files):
        grouped = batches(files, 6, **GROUPED)
        assert sorted(numbers_of(grouped)) == list(range(100, 130))
        assert sorted(batch["fine_input_ids"].shape[1] for batch in grouped) == [5, 5, 6, 6, 7, 7]

    def test_come_in_random_order(self, files):
        lengths = [batch["fine_input_ids"].shape[1] for batch in batches(files, 30, **GROUPED)]
        groups = [tuple(lengths[first : first + 6]) for first in range(0, 30, 6)]
        assert len(set(groups)) > 1

    def test_resume_with_the_next_batch(self, files):
        whole = batches(files, 20, **GROUPED)
        for start_step in (1, 6, 14):
            assert_equal(batches(files, 20 - start_step, start_step=start_step, **GROUPED), whole[start_step:])

    def test_give_the_replicas_of_a_step_similar_lengths(self, files):
        context = tf.distribute.InputContext(1, 0, 2)
        settings = GROUPED | {"group_by_length": 3}
        grouped = batches(files, 6, input_context=context, **settings)
        assert sorted(numbers_of(grouped)) == list(range(100, 130))
        lengths = [batch["fine_input_ids"].shape[1] for batch in grouped]
        assert lengths[0::2] == lengths[1::2]
        assert sorted(lengths[0::2]) == [5, 6, 7]


class TestDynamicMasks:
    def test_need_masking_settings(self, dynamic_files):
        with pytest.raises(InputError, match="its records have no masks"):
            batches(dynamic_files)

    def test_are_fresh_in_each_epoch_and_the_same_for_the_same_seed(self, dynamic_files):
        settings = {"masking": RULE, "num_epochs": 2, "shuffle_buffer": 0, "batch_size": 80}
        first, second = batches(dynamic_files, seed=1, **settings)
        again, _ = batches(dynamic_files, seed=1, **settings)
        other, _ = batches(dynamic_files, seed=2, **settings)
        name = "coarse_masked_lm_positions"
        assert_equal([first], [again])
        assert (first[name] != second[name]).any()
        assert (first[name] != other[name]).any()
        # The same records in another file have different masks.
        assert (first[name][:40] != first[name][40:]).any()

    def test_hide_the_same_at_both_grains(self, dynamic_files):
        for batch in batches(dynamic_files, masking=RULE):
            for row in range(len(batch["fine_input_ids"])):
                chosen = batch["coarse_masked_lm_positions"][row][batch["coarse_masked_lm_weights"][row] > 0]
                fine = batch["fine_masked_lm_positions"][row][batch["fine_masked_lm_weights"][row] > 0]
                assert len(chosen) == 1
                held = np.flatnonzero((batch["fine_to_coarse"][row] == chosen[0]) & (batch["fine_input_ids"][row] != 0))
                np.testing.assert_array_equal(fine, held)

    def test_do_not_depend_on_batch_order_or_start(self, dynamic_files):
        whole = batches(dynamic_files, 30, masking=RULE, num_epochs=None, batch_size=8, seed=4)
        assert_equal(
            batches(dynamic_files, 17, masking=RULE, num_epochs=None, batch_size=8, seed=4, start_step=13), whole[13:]
        )
