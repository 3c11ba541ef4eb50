"""Texts made in graph against the tasks' own, which training reads."""

import numpy as np
import tensorflow as tf

from ambert_tf.serving import request_texts as texts
from ambert_tf.tasks.choice_texts import fill, idioms_in_blank
from ambert_tf.tasks.declaration import ReadOptions
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.marked_spans import text_with_marks

CASES = 200
RANDOM = np.random.default_rng(5)


def strings(values):
    return [value.decode() for value in np.asarray(values)]


def some(alphabet, longest, shortest=0):
    return "".join(RANDOM.choice(list(alphabet), RANDOM.integers(shortest, longest + 1)))


def test_choices_stand_in_a_gap_or_behind_the_question():
    pairs = [(some("__ a\u3000b\x1f\n", 8), some("x \\1_", 4)) for _ in range(CASES)]
    questions, choices = zip(*pairs, strict=True)
    found = strings(texts.fill(tf.constant(questions), tf.constant(choices)))
    # White space at the ends is no token.
    assert [text.strip() for text in found] == [fill(*pair).strip() for pair in pairs]


def test_find_takes_the_nearest_place():
    found = texts.find(
        tf.constant(["她说她好", "她说她好", "aaa", "", "中国", "中"]),
        tf.constant(["她", "她", "aa", "她", "", "中国"]),
        tf.constant([0, 2, 2, 0, 0, 0]),
    )
    assert found.numpy().tolist() == [0, 2, 1, -1, -1, -1]


def test_idioms_stand_in_their_blank():
    for max_seq_length in (8, 24):
        cases = [(some("甲乙丙", 25), some("甲乙丙", 25), [some("子丑", 4, 1) for _ in range(2)]) for _ in range(CASES)]
        contexts = [f"{before}#idiom000123#{after}#idiom7#" for before, after, _ in cases]
        for question in ("#idiom000123#", ""):
            found = texts.idiom_rows(
                tf.constant(contexts), tf.constant([question] * CASES), tf.constant([idioms for *_, idioms in cases]),
                max_seq_length,
            )  # fmt: skip
            expected = [
                tuple(row)
                for before, after, idioms in cases
                for row in idioms_in_blank(
                    Record("file", 1, {"before": before, "after": after + "#idiom7#", "choices": idioms}),
                    ReadOptions(max_seq_length=max_seq_length),
                )
            ]
            assert list(zip(*map(strings, found), strict=True)) == expected


def test_spans_are_marked():
    cases = []
    for _ in range(CASES):
        text, target = some("她他说好", 40, 1), {}
        for number in (1, 2):
            start = int(RANDOM.integers(len(text)))
            span = text[start : start + int(RANDOM.integers(1, 5))]
            index = max(0, start + int(RANDOM.integers(-2, 3)))
            target |= {f"span{number}_text": span, f"span{number}_index": index}
        cases.append({"text": text, "target": target})
    for max_seq_length in (8, 20):
        options = ReadOptions(max_seq_length=max_seq_length)
        expected = [text_with_marks(Record("file", 1, case), options).text for case in cases]
        found = texts.marked_texts(
            tf.constant([case["text"] for case in cases]),
            tuple(tf.constant([case["target"][f"span{number}_text"] for case in cases]) for number in (1, 2)),
            tuple(tf.constant([case["target"][f"span{number}_index"] for case in cases]) for number in (1, 2)),
            max_seq_length,
        )
        assert strings(found) == expected


def test_a_span_that_is_not_there_is_marked_where_its_index_says():
    found = texts.marked_texts(
        tf.constant(["中国人民", ""]),
        (tf.constant(["中国", "她"]), tf.constant([b"\xff\xe4\xbb\x96", b"x"])),
        (tf.constant([0, -5]), tf.constant([99, 2**31 - 1])),
        64,
    )
    assert strings(found) == ["_中国_人民][", "]_[_"]
