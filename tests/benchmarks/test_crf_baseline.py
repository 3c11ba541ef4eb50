import pytest

from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.json_lines import Record
from benchmarks.crf_baseline import crf_f1, tagged_units


def record(text, *spans):
    return Record("train.json", 1, {"text": text, "spans": [Span(*span) for span in spans]})


def test_units_are_words_in_english_and_characters_in_chinese():
    english = tagged_units(record("He left New York", (8, 16, "place")), "BIO", english=True)
    assert english.units == ["He", "left", "New", "York"]
    assert english.tags == ["O", "O", "B-place", "I-place"]
    assert english.spans(english.tags, "BIO") == [Span(8, 16, "place")]
    chinese = tagged_units(record("在 北京", (2, 4, "place")), "BIOES", english=False)
    assert chinese.units == ["在", " ", "北", "京"]
    assert chinese.tags == ["O", "O", "B-place", "E-place"]
    assert chinese.spans(chinese.tags, "BIOES") == [Span(2, 4, "place")]


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
