import pytest

from ambert_tf.tasks.choice_texts import fill, idioms_in_blank, question_and_choices
from ambert_tf.tasks.declaration import ReadOptions, Texts
from ambert_tf.tasks.json_lines import Record


@pytest.mark.parametrize(
    ("question", "filled"),
    [
        ("The act  _  .", "The act was .".replace("was", "X")),
        ("He went to _", "He went to X"),
        ("_ is right.", "X is right."),
        ("It is  _ _ _  .", "It is X ."),
        ("Which is right?", "Which is right? X"),
        ("_ or _ ?" .replace(" or ", " and then "), "_ and then _ ? X"),
    ],
)  # fmt: skip
def test_a_choice_goes_into_the_gap_or_behind_the_question(question, filled):
    assert fill(question, "X") == filled


def test_a_sequence_a_choice():
    record = Record("f", 1, {"context": "c", "question": "q?", "choices": ["a", "b"]})
    assert question_and_choices(record, ReadOptions()) == (Texts("c", "q? a"), Texts("c", "q? b"))


def test_an_idiom_stands_in_its_blank_and_other_blanks_go():
    record = Record("f", 1, {"before": "甲#idiom000001#乙", "after": "丙", "choices": ["一心一意", "两全其美"]})
    assert idioms_in_blank(record, ReadOptions()) == (
        Texts("一心一意", "甲乙一心一意丙"),
        Texts("两全其美", "甲乙两全其美丙"),
    )


def test_of_a_long_text_both_sides_of_the_blank_are_kept():
    record = Record("f", 1, {"before": "左" * 100, "after": "右" * 100, "choices": ["一心一意"]})
    (texts,) = idioms_in_blank(record, ReadOptions(max_seq_length=31))
    # 31 less [CLS], two [SEP] and twice the idiom leaves 20.
    assert texts.text_pair == "左" * 10 + "一心一意" + "右" * 10
    record = Record("f", 1, {"before": "左" * 100, "after": "右右", "choices": ["一心一意"]})
    (texts,) = idioms_in_blank(record, ReadOptions(max_seq_length=31))
    assert texts.text_pair == "左" * 18 + "一心一意右右"
