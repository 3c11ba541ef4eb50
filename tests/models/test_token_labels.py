import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.linear_chain import constrained
from ambert_tf.models.task_config import SEQUENCE_LABELLING, TaskConfig
from ambert_tf.models.task_inputs import task_inputs
from ambert_tf.models.token_labels import NO_SPAN, find_entities, tag_targets
from tests.tokenizers import chinese_tokenizer

LABELS = ("LOC", "THING")


def config(length=16, scheme="BIO", outside=True):
    return TaskConfig(
        task_name="t", form=SEQUENCE_LABELLING, labels=LABELS, tagging_scheme=scheme, outside=outside,
        max_seq_length=length, max_coarse_seq_length=length,
    )  # fmt: skip


def span_tensor(texts, spans):
    """Returns spans, strings with their labels in order, as `tag_targets` takes them."""
    array = np.full((len(texts), 10, 3), NO_SPAN, np.int32)
    for row, (text, of_text) in enumerate(zip(texts, spans, strict=True)):
        position = 0
        for column, (string, label) in enumerate(of_text):
            start = text.encode().index(string.encode(), position)
            position = start + len(string.encode())
            array[row, column] = start, position, LABELS.index(label)
    return tf.constant(array)


def named(task, tags):
    """Returns the names of tags; "" for none."""
    return [[task.tag_set.tags[tag - 1] if tag else "" for tag in row] for row in tags.to_list()]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("BIO", "B-LOC I-LOC I-LOC B-LOC I-LOC O O B-THING"),
        ("BMES", "B-LOC M-LOC E-LOC B-LOC E-LOC O O S-THING"),
    ],
)
def test_tags_of_spans(scheme, expected):
    task = config(scheme=scheme)
    texts = ["南京市长江大桥好"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    spans = [[("南京市", "LOC"), ("长江", "LOC"), ("好", "THING")]]
    tags = tag_targets(task.tag_set, windows, span_tensor(texts, spans))
    assert named(task, tags) == [["", *expected.split(), ""]]


def test_pieces_of_a_word_but_the_first_have_no_tag():
    task = config()
    texts = ["the cafe8 abc,a"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    tokens = [chinese_tokenizer().fine_vocab[i] for i in windows["fine_input_ids"].to_list()[0]]
    tags = tag_targets(task.tag_set, windows, span_tensor(texts, [[("cafe8 abc", "THING")]]))
    assert list(zip(tokens, named(task, tags)[0], strict=True)) == [
        ("[CLS]", ""), ("the", "O"), ("cafe", "B-THING"), ("##8", ""), ("a", "I-THING"), ("##b", ""), ("##c", ""),
        (",", "O"), ("a", "O"), ("[SEP]", ""),
    ]  # fmt: skip


def test_without_an_outside_other_words_have_no_tag():
    task = config(outside=False, scheme="BMES")
    texts = ["南京好"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    tags = tag_targets(task.tag_set, windows, span_tensor(texts, [[("南京", "LOC")]]))
    assert named(task, tags) == [["", "B-LOC", "E-LOC", "", ""]]


def test_a_window_has_no_tags_of_a_span_that_it_cuts():
    task = config(8)
    texts = ["人民生活的南京市长江大桥好"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    tags = tag_targets(task.tag_set, windows, span_tensor(texts, [[("南京市长江", "LOC")]]))
    starts = windows["first_token"].numpy().tolist()
    assert len(starts) > 2
    for start, row in zip(starts, named(task, tags), strict=True):
        whole = start <= 5 and start + len(row) - 2 >= 10
        for position, tag in enumerate(row[1:-1], start):
            inside = 5 <= position < 10
            assert tag == ("O" if not inside else "" if not whole else "B-LOC" if position == 5 else "I-LOC")


def entities(task, texts, logits, windows):
    transitions = constrained(tf.zeros([len(task.tag_set.tags) + 1] * 2), task.tag_set.allowed())
    found = find_entities(task.tag_set, logits, windows, len(texts), transitions)
    return [
        [(text.encode()[start:end].decode(), LABELS[label], start) for label, start, end in zip(*row, strict=True)]
        for text, *row in zip(texts, *(column.to_list() for column in found[:3]), strict=True)
    ]


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_tags_of_spans_give_the_spans_back(scheme):
    """Of texts with unknown and invisible characters, white space and words of several pieces, one in windows."""
    task = config(16, scheme)
    texts = ["南京市長江\u200b大桥 the cafe8，", "", "中国人民的生活在南京市长江大桥好的商店里", " \t"]
    spans = [
        [("南京市", "LOC"), ("長江\u200b大桥", "LOC"), ("cafe8", "THING")], [],
        [("中国", "LOC"), ("生活", "THING"), ("南京", "LOC"), ("市长", "LOC"), ("商店", "THING")], [],
    ]  # fmt: skip
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    assert windows["window_example"].numpy().tolist() == [0, 1, 2, 2, 3]
    tags = tag_targets(task.tag_set, windows, span_tensor(texts, spans)).to_tensor()
    logits = tf.one_hot(tags - 1, len(task.tag_set.tags)) * 5
    found = entities(task, texts, logits, windows)
    assert [[(string, label) for string, label, _ in row] for row in found] == spans


def test_a_token_is_labelled_where_it_has_the_most_context():
    task = config(8)
    texts = ["人民生活的南京市好"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    # Each window has another opinion: 1 in B-LOC, growing with the window.
    count = len(windows["first_token"])
    logits = np.zeros((count, 8, 5), np.float32)
    for window in range(count):
        logits[window, :, 1 if window % 2 else 3] = 5.0
    found = entities(task, texts, tf.constant(logits), windows)[0]
    owner = {}
    for window, (first, flags) in enumerate(
        zip(windows["first_token"].numpy(), windows["max_context"].to_list(), strict=True)
    ):
        owner.update({first + index: window for index, flag in enumerate(flags) if flag})
    assert [label for _, label, _ in found] == [LABELS[0 if owner[index] % 2 else 1] for index in range(9)]
    assert "".join(string for string, _, _ in found) == texts[0]


def test_scores_are_mean_probabilities():
    task = config()
    texts = ["南京"]
    windows = task_inputs(task, chinese_tokenizer(), text=tf.constant(texts))
    # B-LOC has 1/2 and I-LOC 3/4 of the probability.
    shares = [[1, 1, 1, 1, 1], [1, 4, 1, 1, 1], [1, 1, 12, 1, 1], [1, 1, 1, 1, 1]]
    logits = tf.math.log(tf.constant([shares], tf.float32))
    found = find_entities(
        task.tag_set, logits, windows, 1, constrained(tf.zeros([6, 6]), task.tag_set.allowed())
    )
    assert found.score.to_list() == [[pytest.approx((1 / 2 + 3 / 4) / 2)]]
