import pytest

from ambert_tf.errors import InputError
from ambert_tf.tasks.clue import CLUEWSC2020
from ambert_tf.tasks.declaration import Choices, MarkedSpans, ReadOptions
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.labelled_examples import read_examples
from ambert_tf.tasks.record_inputs import idiom_and_choices, marked_spans, question_and_choices


def record(text="小明说小红喜欢她的猫", noun=("小红", 3), pronoun=("她", 7), **more):
    target = {
        "span1_text": noun[0], "span1_index": noun[1], "span2_text": pronoun[0], "span2_index": pronoun[1]
    }  # fmt: skip
    return Record("train.json", 1, {"text": text, "target": target, "label": "true", **more})


def test_inputs_are_the_strings_of_the_record():
    assert marked_spans(record(), ReadOptions()) == MarkedSpans("小明说小红喜欢她的猫", "小红", 3, "她", 7)
    race = Record("f", 1, {"context": "c", "question": "q _ ?", "choices": ["a", "b"]})
    assert question_and_choices(race, ReadOptions()) == Choices("c", "q _ ?", ("a", "b"))


def test_indices_outside_the_text_are_moved_into_it():
    found = marked_spans(record(noun=("小红", -5), pronoun=("她", 10**30)), ReadOptions())
    assert (found.span1_index, found.span2_index) == (0, 10)


def test_the_blank_in_question_differs_from_all_others():
    chid = Record("f", 1, {"before": "甲#idiom#乙", "after": "丙#idiom000001#", "choices": ["一心一意"]})
    found = idiom_and_choices(chid, ReadOptions())
    assert found == Choices("甲#idiom#乙#idiom0#丙#idiom000001#", "#idiom0#", ("一心一意",))


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
        marked_spans(record(**changes), ReadOptions())


def test_training_examples_with_she_are_used_twice():
    records = [record(), record("小明说小红喜欢它的猫", pronoun=("它", 7))]
    labels = ("true", "false")
    assert [e.id for e in read_examples(CLUEWSC2020, records, "train", labels).examples] == [0, 0, 1]
    assert len(read_examples(CLUEWSC2020, records, "dev", labels).examples) == 2
    assert len(read_examples(CLUEWSC2020, records, "train", labels, ReadOptions(augment=False)).examples) == 2
