import pytest

from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.json_lines import Record
from benchmarks.crf_baseline import crf_f1, tagged_units, unit_places


def record(text, *spans):
    return Record("train.json", 1, {"text": text, "spans": [Span(*span) for span in spans]})


def tagged(text, *spans, scheme, english):
    return tagged_units(record(text, *spans), scheme, unit_places(text, english))


def test_units_are_words_in_english_and_characters_in_chinese():
    english = tagged("He left New York", (8, 16, "place"), scheme="BIO", english=True)
    assert english.units == ["He", "left", "New", "York"]
    assert english.tags == ["O", "O", "B-place", "I-place"]
    assert english.spans(english.tags, "BIO") == [Span(8, 16, "place")]
    chinese = tagged("在 北京", (2, 4, "place"), scheme="BIOES", english=False)
    assert chinese.units == ["在", " ", "北", "京"]
    assert chinese.tags == ["O", "O", "B-place", "E-place"]
    assert chinese.spans(chinese.tags, "BIOES") == [Span(2, 4, "place")]


def test_a_unit_that_overlaps_a_span_belongs_to_it_and_of_two_to_the_first():
    text = "in New York-Paris today"
    found = tagged(text, (3, 11, "place"), (12, 17, "place"), (20, 23, "time"), scheme="BIO", english=True)
    assert found.units == ["in", "New", "York-Paris", "today"]
    assert found.tags == ["O", "B-place", "I-place", "B-time"]
    assert found.spans(found.tags, "BIO") == [Span(3, 17, "place"), Span(18, 23, "time")]
    assert tagged("", scheme="BIO", english=True).units == []


@pytest.mark.parametrize("segmentation", [False, True])
def test_the_crf_learns_words_from_their_characters(segmentation):
    pytest.importorskip("sklearn_crfsuite")
    label = "word" if segmentation else "place"
    cities = ("北京", "上海")
    train = [record(f"我{verb}{city}", (1, 2, label), (2, 4, label)) for verb in "去来在到" for city in cities]
    unseen = [record("你去北京", (1, 2, label), (2, 4, label))]
    assert crf_f1(train, unseen, english=False, segmentation=segmentation) == 1.0
    wrong = [record("你去北京", (0, 1, label))]
    assert crf_f1(train, wrong, english=False, segmentation=segmentation) == 0.0
