import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import CLUEWSC2020
from ambert_tf.tasks.declaration import ReadOptions, Texts
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.marked_spans import text_with_marks


def record(text="小明说小红喜欢她的猫", noun=("小红", 3), pronoun=("她", 7), **more):
    target = {
        "span1_text": noun[0], "span1_index": noun[1], "span2_text": pronoun[0], "span2_index": pronoun[1]
    }  # fmt: skip
    return Record("train.json", 1, {"text": text, "target": target, "label": "true", **more})


def test_the_noun_and_the_pronoun_are_marked():
    assert text_with_marks(record(), ReadOptions()) == Texts("小明说_小红_喜欢[她]的猫")
    first = record("他知道小明来了", ("小明", 3), ("他", 0))
    assert text_with_marks(first, ReadOptions()) == Texts("[他]知道_小明_来了")


def test_marks_of_neighbours_do_not_cross():
    behind = record("小红她来了", ("小红", 0), ("她", 2))
    assert text_with_marks(behind, ReadOptions()).text == "_小红_[她]来了"
    before = record("她小红来了", ("小红", 1), ("她", 0))
    assert text_with_marks(before, ReadOptions()).text == "[她]_小红_来了"


def test_a_span_a_few_characters_out_is_found_where_it_is_nearest():
    assert text_with_marks(record(noun=("小红", 4)), ReadOptions()).text == "小明说_小红_喜欢[她]的猫"


def test_of_a_long_text_the_part_around_both_is_kept():
    text = "前" * 200 + "小红喜欢她" + "后" * 200
    marked = text_with_marks(record(text, ("小红", 200), ("她", 204)), ReadOptions(max_seq_length=32)).text
    assert "_小红_喜欢[她]" in marked
    assert len(marked) == 30
    assert "前" in marked and "后" in marked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noun": ("小刚", 3)}, "train.json, line 1: span1_text .*小刚.* is not in the text"),
        ({"noun": ("", 3)}, "span1_text"),
        ({"pronoun": (5, 3)}, "'span2_text' is 5; it must be a string"),
        ({"noun": ("小红", "3")}, "'span1_index' is .3.; it must be an integer"),
    ],
)
def test_wrong_spans(changes, message):
    with pytest.raises(InputError, match=message):
        text_with_marks(record(**changes), ReadOptions())


def test_training_examples_of_she_are_taken_twice():
    records = [record(), record("小明说小红喜欢它的猫", pronoun=("它", 7))]
    labels = ("true", "false")
    assert [e.id for e in read_examples(CLUEWSC2020, records, "train", labels).examples] == [0, 0, 1]
    assert len(read_examples(CLUEWSC2020, records, "dev", labels).examples) == 2
    assert len(read_examples(CLUEWSC2020, records, "train", labels, ReadOptions(augment=False)).examples) == 2
