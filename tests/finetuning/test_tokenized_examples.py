import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.finetuning.span_examples import SpanExample
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples, training_plan
from ambert_tf.models.task_config import MULTIPLE_CHOICE, REGRESSION, SPANS, TaskConfig
from ambert_tf.tasks.declaration import Choices, Example, Question, Texts
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from tests.tokenizers import chinese_tokenizer

TEXTS = ["南京市长江大桥", "好", "", "中国人民的生活"]


def tokenize(examples, static_shapes=False, **config):
    task = TaskConfig(task_name="sentence", max_seq_length=16, max_coarse_seq_length=16, **config)
    split = Split("train", ("a.json", "b.json"), examples, {})
    return TokenizedExamples(split, task, chinese_tokenizer(), static_shapes)


def tokenized(texts=TEXTS, **options):
    return tokenize([Example(index, Texts(text), index) for index, text in enumerate(texts)], **options)


def test_batches_are_what_the_tokenizer_returns():
    batch = next(iter(tokenized().batches(tf.data.Dataset.from_tensors([3, 1]))))
    inputs = build_model_inputs(chinese_tokenizer(), tf.constant([TEXTS[3], TEXTS[1]]), max_seq_length=16)
    expected = {**pad_model_inputs(inputs), "label": [3, 1]}
    assert batch.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values)


def test_pairs_are_segments():
    data = tokenize([Example(0, Texts("好", "中国"), 0)], pair=True)
    ((_, batch),) = data.in_order_of_length(4)
    assert batch["fine_segment_ids"].numpy().tolist() == [[0, 0, 0, 1, 1, 1]]
    assert batch["coarse_segment_ids"].numpy().tolist() == [[0, 0, 0, 1, 1]]


def test_choices_have_an_axis_and_missing_ones_are_padding():
    examples = [
        Example(0, Choices("好", "", ("中国", "人民", "了")), 2),
        Example(1, Choices("中国", "", ("好", "长江大桥")), 0),
    ]
    data = tokenize(examples, form=MULTIPLE_CHOICE, choices=3)
    ((rows, batch),) = data.in_order_of_length(4)
    assert rows.tolist() == [1, 0]
    fine = batch["fine_input_ids"].numpy()
    assert fine.shape == (2, 3, 9)
    assert (fine != 0).sum(axis=2).tolist() == [[6, 9, 0], [6, 6, 5]]
    pair = tokenize([Example(0, Texts("中国", "长江大桥"), 0)], pair=True)
    ((_, single),) = pair.in_order_of_length(1)
    assert fine[0, 1].tolist() == single["fine_input_ids"].numpy()[0].tolist()
    assert batch["label"].numpy().tolist() == [0, 2]


def test_scores_are_numbers():
    data = tokenize([Example(0, Texts("好"), 2.5)], form=REGRESSION)
    assert data.targets["label"].tolist() == [2.5]


class TestSpanTargets:
    def windows(self, context, answer, max_seq_length=16):
        start = context.index(answer)
        example = SpanExample("q7", Question("好", context), (answer,), (start, start + len(answer)))
        task = TaskConfig(
            task_name="squad1", form=SPANS, max_seq_length=max_seq_length, max_coarse_seq_length=max_seq_length,
            doc_stride=4, max_query_length=4,
        )  # fmt: skip
        data = TokenizedExamples(Split("train", ("a.json",), [example], {}), task, chinese_tokenizer())
        return list(zip(data.targets["start"].tolist(), data.targets["end"].tolist(), strict=True))

    # The tokens are [CLS] 好 [SEP] 南 京 ….
    @pytest.mark.parametrize(
        ("context", "answer", "target"),
        [
            ("南京市长江", "长江", (6, 7)),
            # Characters without a token at the ends of the answer and of the context.
            ("南京 ", "南京 ", (3, 4)),
            ("\u200b南京\x07", "\u200b南京\x07", (3, 4)),
        ],
    )
    def test_are_the_fine_positions_of_the_answer(self, context, answer, target):
        assert self.windows(context, answer) == [target]

    def test_an_answer_that_fits_into_no_window_causes_a_warning(self, caplog):
        context = "南京市长江大桥的商店里的乒乓球拍"
        assert set(self.windows(context, context, 12)) == {(0, 0)}
        assert "1 of 1 answers do not fit into any window, such as the answer to question q7" in caplog.text


def test_static_shapes():
    data = tokenized(static_shapes=True)
    assert all(batch["fine_input_ids"].shape[1] == 16 for _, batch in data.in_order_of_length(2))


def test_the_digest_is_that_of_the_sequences_and_targets():
    assert tokenized(["好", "中国"]).digest == tokenized(["好", "中国"]).digest
    assert tokenized(["好", "中国"]).digest.startswith("2 rows, CRC-32 ")
    assert len({tokenized(texts).digest for texts in (["好", "中国"], ["中国", "好"], ["好", "人民"], ["好"])}) == 4
    examples = [Example(0, Texts("好"), 0)], [Example(0, Texts("好"), 1)]
    assert len({tokenize(rows).digest for rows in examples}) == 2
    # Only the beginning of a text that is truncated.
    assert tokenized(["好" * 100]).digest == tokenized(["好" * 200]).digest


def test_rows_are_named_by_the_ids_of_the_data():
    data = tokenize([Example(name, Texts("a"), 0) for name in (7, "b", "c")])
    assert data.describe([2, 0, 2]) == "the examples with id c, 7 in a.json and b.json"


def test_in_order_of_length_yields_every_example_once():
    batches = list(tokenized().in_order_of_length(3))
    assert [rows.tolist() for rows, _ in batches] == [[2, 1, 0], [3]]
    assert [batch["label"].numpy().tolist() for _, batch in batches] == [[2, 1, 0], [3]]


class TestTrainingPlan:
    lengths = np.array([9, 3, 7, 5, 8, 2, 6, 4, 1, 10])

    @pytest.mark.parametrize(("count", "batch_size"), [(32, 16), (10, 4), (3, 2), (10, 16), (1, 4), (700, 16)])
    def test_each_epoch_reads_every_example_once(self, count, batch_size):
        lengths = np.random.default_rng(count).integers(1, 100, count)
        plan = training_plan(lengths, batch_size, -(-3 * count // batch_size), seed=1)
        for epoch in range(3):
            assert sorted(plan.ravel()[epoch * count : (epoch + 1) * count]) == list(range(count))

    @pytest.mark.parametrize(("count", "batch_size"), [(32, 16), (10, 4), (3, 2), (10, 16), (7, 50)])
    def test_no_batch_repeats_an_example_while_there_are_others(self, count, batch_size):
        plan = training_plan(np.arange(count), batch_size, 50, seed=1)
        for batch in plan:
            counts = np.bincount(batch, minlength=count)
            assert counts.max() - counts.min() <= 1

    def test_batches_of_few_examples_differ_between_epochs(self):
        plan = training_plan(np.arange(32), 16, 40, seed=1)
        assert len({frozenset(batch) for batch in plan.tolist()}) == 40

    def test_lengths_in_a_batch_are_similar(self):
        lengths = np.random.default_rng(0).integers(1, 100, 6400)
        spread = np.mean([np.ptp(lengths[rows]) for rows in training_plan(lengths, 16, 400, seed=1)])
        assert spread < 5

    def test_the_plan_depends_on_the_seed(self):
        first, again, other = (training_plan(self.lengths, 2, 10, seed) for seed in (1, 1, 2))
        assert first.tolist() == again.tolist() != other.tolist()

    def test_replicas_share_each_batch_and_a_resumed_run_continues(self):
        data = tokenized()
        plan = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
        context = tf.distribute.InputContext(1, 0, num_replicas_in_sync=2)
        labels = [batch["label"].numpy().tolist() for batch in data.training_batches(plan, 1, context)]
        assert labels == [[3, 2], [1, 0], [1, 0], [3, 2]]
        second_worker = tf.distribute.InputContext(2, 1, num_replicas_in_sync=2)
        labels = [batch["label"].numpy().tolist() for batch in data.training_batches(plan, 1, second_worker)]
        assert labels == [[1, 0], [3, 2]]
