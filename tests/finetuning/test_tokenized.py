import numpy as np
import tensorflow as tf

from ambert_tf.finetuning.tokenized import tokenize_examples, training_plan
from ambert_tf.tasks.declaration import Example, Texts
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from tests.tokenizers import chinese_tokenizer

TEXTS = ["南京市长江大桥", "好", "", "中国人民的生活"]


def tokenized(texts=TEXTS, **options):
    examples = [Example(index, (Texts(text),), index) for index, text in enumerate(texts)]
    return tokenize_examples(chinese_tokenizer(), examples, (16, 16), **options)


def test_batches_hold_what_the_tokenizer_gives():
    batch = next(iter(tokenized().batches(tf.data.Dataset.from_tensors([3, 1]))))
    inputs = build_model_inputs(chinese_tokenizer(), tf.constant([TEXTS[3], TEXTS[1]]), max_seq_length=16)
    expected = {**pad_model_inputs(inputs), "label": [3, 1]}
    assert batch.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values)


def test_pairs_are_segments():
    examples = [Example(0, (Texts("好", "中国"),), 0)]
    data = tokenize_examples(chinese_tokenizer(), examples, (16, 16))
    ((_, batch),) = data.in_order_of_length(4)
    assert batch["fine_segment_ids"].numpy().tolist() == [[0, 0, 0, 1, 1, 1]]
    assert batch["coarse_segment_ids"].numpy().tolist() == [[0, 0, 0, 1, 1]]


def test_choices_have_an_axis_and_those_that_lack_are_padding():
    examples = [
        Example(0, (Texts("好", "中国"), Texts("好", "人民"), Texts("好", "了")), 2),
        Example(1, (Texts("中国", "好"), Texts("中国", "长江大桥")), 0),
    ]
    data = tokenize_examples(chinese_tokenizer(), examples, (16, 16), choices=3)
    ((rows, batch),) = data.in_order_of_length(4)
    assert rows.tolist() == [1, 0]
    fine = batch["fine_input_ids"].numpy()
    assert fine.shape == (2, 3, 9)
    assert (fine != 0).sum(axis=2).tolist() == [[6, 9, 0], [6, 6, 5]]
    one_by_one = tokenize_examples(chinese_tokenizer(), [Example(0, examples[1].rows[1:], 0)], (16, 16))
    ((_, single),) = one_by_one.in_order_of_length(1)
    assert fine[0, 1].tolist() == single["fine_input_ids"].numpy()[0].tolist()
    assert batch["label"].numpy().tolist() == [0, 2]


def test_scores_are_numbers():
    examples = [Example(0, (Texts("好"),), 2.5)]
    data = tokenize_examples(chinese_tokenizer(), examples, (16, 16), label_type=np.float32)
    assert data.targets["label"].tolist() == [2.5]


def test_fixed_lengths():
    data = tokenized(fixed_lengths=True)
    assert all(batch["fine_input_ids"].shape[1] == 16 for _, batch in data.in_order_of_length(2))


def test_in_order_of_length_every_example_comes_once():
    batches = list(tokenized().in_order_of_length(3))
    assert [rows.tolist() for rows, _ in batches] == [[2, 1, 0], [3]]
    assert [batch["label"].numpy().tolist() for _, batch in batches] == [[2, 1, 0], [3]]


class TestTrainingPlan:
    lengths = np.array([9, 3, 7, 5, 8, 2, 6, 4, 1, 10])

    def test_each_epoch_takes_every_example_once(self):
        plan = training_plan(self.lengths, 5, 6, seed=1)
        assert plan.shape == (6, 5)
        assert np.bincount(plan.ravel()).tolist() == [3] * 10

    def test_batches_may_span_epochs_and_be_larger_than_the_data(self):
        assert sorted(np.bincount(training_plan(self.lengths, 16, 1, seed=1)[0]))[-1] == 2

    def test_a_batch_holds_like_lengths(self):
        lengths = np.random.default_rng(0).integers(1, 100, 640)
        spread = np.mean([np.ptp(lengths[rows]) for rows in training_plan(lengths, 16, 40, seed=1)])
        assert spread < 20

    def test_the_seed_decides(self):
        first, again, other = (training_plan(self.lengths, 2, 10, seed) for seed in (1, 1, 2))
        assert first.tolist() == again.tolist() != other.tolist()

    def test_replicas_share_each_batch_and_a_resumed_run_goes_on(self):
        data = tokenized()
        plan = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
        context = tf.distribute.InputContext(1, 0, num_replicas_in_sync=2)
        labels = [batch["label"].numpy().tolist() for batch in data.training_batches(plan, 1, context)]
        assert labels == [[3, 2], [1, 0], [1, 0], [3, 2]]
        second_worker = tf.distribute.InputContext(2, 1, num_replicas_in_sync=2)
        labels = [batch["label"].numpy().tolist() for batch in data.training_batches(plan, 1, second_worker)]
        assert labels == [[1, 0], [3, 2]]
