"""The texts of sequences: literal values, and a plain Python version of each rule on random inputs."""

import re

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models import task_texts

CASES = 200
RANDOM = np.random.default_rng(5)


def strings(values):
    return [value.decode() for value in np.asarray(values)]


def some(alphabet, longest, shortest=0):
    return "".join(RANDOM.choice(list(alphabet), RANDOM.integers(shortest, longest + 1)))


@pytest.mark.parametrize(
    ("question", "filled"),
    [
        ("The act  _  .", "The act X ."),
        ("He went to _", "He went to X"),
        ("_ is right.", "X is right."),
        ("It is  _ _ _  .", "It is X ."),
        ("Which is right?", "Which is right? X"),
        ("_ and then _ ?", "_ and then _ ? X"),
    ],
)
def test_a_choice_goes_into_the_gap_or_after_the_question(question, filled):
    assert strings(task_texts.fill(tf.constant([question]), tf.constant(["X"])))[0].strip() == filled


def test_gaps_are_those_of_pythons_white_space():
    gap = re.compile(r"\s*_(?:[\s_]*_)?\s*")
    pairs = [(some("__ a\u3000b\x1f\n", 8), some("x \\1_", 4)) for _ in range(CASES)]
    questions, choices = zip(*pairs, strict=True)
    expected = [
        gap.sub(lambda _, choice=choice: f" {choice} ", question)
        if len(gap.findall(question)) == 1
        else f"{question} {choice}"
        for question, choice in pairs
    ]
    found = strings(task_texts.fill(tf.constant(questions), tf.constant(choices)))
    assert [text.strip() for text in found] == [text.strip() for text in expected]


def test_each_choice_has_a_sequence():
    choices = tf.constant([["a", "b"]] * 2)
    first, second = task_texts.choice_rows(tf.constant(["c", "d"]), tf.constant(["q?", "_!"]), choices)
    assert strings(first) == ["c", "c", "d", "d"]
    assert [text.strip() for text in strings(second)] == ["q? a", "q? b", "a !", "b !"]


def test_find_returns_the_nearest_occurrence():
    found = task_texts.find(
        tf.constant(["她说她好", "她说她好", "aaa", "", "中国", "中"]),
        tf.constant(["她", "她", "aa", "她", "", "中国"]),
        tf.constant([0, 2, 2, 0, 0, 0]),
    )
    assert found.numpy().tolist() == [0, 2, 1, -1, -1, -1]


class TestIdioms:
    def rows(self, context, question, choices, max_seq_length=64):
        found = task_texts.idiom_rows(
            tf.constant([context]), tf.constant([question]), tf.constant([choices]), max_seq_length
        )
        return list(zip(*map(strings, found), strict=True))

    def test_an_idiom_is_in_its_blank_and_other_blanks_are_removed(self):
        for question in ("#idiom000002#", "#idiom#"):
            context = f"甲#idiom000001#乙{question}丙#idiom7#"
            expected = [("一心一意", "甲乙一心一意丙"), ("两全其美", "甲乙两全其美丙")]
            assert self.rows(context, question, ["一心一意", "两全其美"]) == expected

    def test_without_a_name_it_is_the_first_blank(self):
        assert self.rows("甲#idiom000001#乙#idiom000002#", "", ["好"]) == [("好", "甲好乙")]

    def test_a_long_text_is_cut_on_both_sides_of_the_blank(self):
        blank = "#idiom000001#"
        # 31 minus [CLS], two [SEP] and twice the idiom leaves 20.
        ((_, text),) = self.rows("左" * 100 + blank + "右" * 100, blank, ["一心一意"], 31)
        assert text == "左" * 10 + "一心一意" + "右" * 10
        ((_, text),) = self.rows("左" * 100 + blank + "右右", blank, ["一心一意"], 31)
        assert text == "左" * 18 + "一心一意右右"
        ((_, text),) = self.rows("左" + blank + "右" * 100, blank, ["一心一意"], 31)
        assert text == "左一心一意" + "右" * 19


class TestMarkedSpans:
    def mark(self, text, noun, pronoun, max_seq_length=64):
        found = task_texts.marked_texts(
            tf.constant([text]),
            (tf.constant([noun[0]]), tf.constant([pronoun[0]])),
            (tf.constant([noun[1]]), tf.constant([pronoun[1]])),
            max_seq_length,
        )
        return strings(found)[0]

    @pytest.mark.parametrize(
        ("text", "noun", "pronoun", "marked"),
        [
            ("小明说小红喜欢她的猫", ("小红", 3), ("她", 7), "小明说_小红_喜欢[她]的猫"),
            ("他知道小明来了", ("小明", 3), ("他", 0), "[他]知道_小明_来了"),
            ("小红她来了", ("小红", 0), ("她", 2), "_小红_[她]来了"),
            ("她小红来了", ("小红", 1), ("她", 0), "[她]_小红_来了"),
            # The data's index is off by one character.
            ("小明说小红喜欢她的猫", ("小红", 4), ("她", 7), "小明说_小红_喜欢[她]的猫"),
            # Not in the text, so its index is used as it is.
            ("中国人民", ("中国", 0), (b"\xff\xe4\xbb\x96", 99), "_中国_人民]["),
            ("", ("她", -5), ("x", 2**31 - 1), "]_[_"),
        ],
    )
    def test_both_spans_are_marked(self, text, noun, pronoun, marked):
        assert self.mark(text, noun, pronoun) == marked

    def test_the_part_of_a_long_text_around_both_is_kept(self):
        marked = self.mark("前" * 200 + "小红喜欢她" + "后" * 200, ("小红", 200), ("她", 204), 32)
        # 32 minus [CLS], [SEP] and four marks leaves 26 characters, 5 of which are the spans and the text between them.
        assert marked == "前" * 10 + "_小红_喜欢[她]" + "后" * 11
