import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.models.tagging_schemes import (
    SCHEMES,
    Fault,
    Span,
    TagSet,
    find_scheme,
    spans_of_tags,
    tags_of_spans,
    without_overlaps,
)

# A person of three tokens, directly followed by a person of one token, and a place of two.
SPANS = [Span(0, 3, "PER"), Span(3, 4, "PER"), Span(5, 7, "LOC")]
TAGS = {
    "BIO": "B-PER I-PER I-PER B-PER O B-LOC I-LOC",
    "IOB1": "I-PER I-PER I-PER B-PER O I-LOC I-LOC",
    "BIOES": "B-PER I-PER E-PER S-PER O B-LOC E-LOC",
    "BMES": "B-PER M-PER E-PER S-PER O B-LOC E-LOC",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_writes_and_reads_the_same_spans(scheme):
    tags = TAGS[scheme].split()
    assert spans_of_tags(tags, scheme) == (SPANS, [])
    assert tags_of_spans(SPANS, 7, scheme) == tags
    assert find_scheme([tags]) == scheme


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["A", "B", ""]))))
def test_any_spans_survive_every_scheme(parts):
    spans, position = [], 0
    for gap, length, label in parts:
        spans.append(Span(position + gap, position + gap + length, label))
        position += gap + length
    for scheme in SCHEMES:
        assert spans_of_tags(tags_of_spans(spans, position, scheme), scheme) == (spans, [])


def test_tags_of_word_segmentation_have_no_type():
    assert spans_of_tags(["B", "E", "S", "B", "M", "E"], "BMES")[0] == [Span(0, 2, ""), Span(2, 3, ""), Span(3, 6, "")]
    assert find_scheme([["B", "E", "S", "B", "M", "E"]]) == "BMES"


@pytest.mark.parametrize(
    ("tags", "scheme", "spans", "faults"),
    [
        ("O I-PER", "BIO", [Span(1, 2, "PER")], [Fault(1, "I-PER follows O")]),
        ("I-PER", "BIO", [Span(0, 1, "PER")], [Fault(0, "I-PER follows the start")]),
        ("B-PER I-LOC", "BIO", [Span(0, 1, "PER"), Span(1, 2, "LOC")], [Fault(1, "I-LOC follows B-PER")]),
        ("B-PER O", "BIOES", [Span(0, 1, "PER")], [Fault(1, "the entity 'PER' before it has no E-")]),
        ("B-PER M-PER", "BMES", [Span(0, 2, "PER")], [Fault(1, "the entity 'PER' before it has no E-")]),
        ("E-PER", "BMES", [Span(0, 1, "PER")], [Fault(0, "E-PER follows the start")]),
    ],
)
def test_tags_that_form_no_entity_begin_one_and_are_faults(tags, scheme, spans, faults):
    assert spans_of_tags(tags.split(), scheme) == (spans, faults)


def test_a_few_faults_do_not_make_bio_another_scheme():
    assert find_scheme([["B-PER", "I-PER", "O", "I-PER"]]) == "BIO"
    assert find_scheme([["O", "O"]]) == "BIO"


@pytest.mark.parametrize("tags", [["X-PER"], ["BI-PER"], ["PER"], [""], ["O-PER"], ["B-A", "I-A", "M-A"]])
def test_unknown_tags_and_mixed_schemes(tags):
    with pytest.raises(ValueError, match=r"is unknown; tags such as|are mixed"):
        find_scheme([tags])


def test_tags_of_another_scheme():
    with pytest.raises(ValueError, match="the tag 'S-PER' does not belong to the scheme BIO"):
        spans_of_tags(["S-PER"], "BIO")


def test_of_overlapping_spans_the_longest_are_kept():
    nested, inner, crossing = Span(0, 5, "ORG"), Span(0, 2, "LOC"), Span(4, 8, "PER")
    assert without_overlaps([inner, crossing, nested]) == ([nested], 2)
    assert without_overlaps([crossing, inner]) == ([inner, crossing], 0)


def test_tags_of_a_model():
    assert TagSet(("LOC", "PER")).tags == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert TagSet(("word",), "BMES", outside=False).tags == ("B-word", "M-word", "E-word", "S-word")


def test_allowed_transitions():
    # From O, B, I and the start, to O, B, I and the end.
    assert TagSet(("",)).allowed() == [
        [True, True, False, True],
        [True, True, True, True],
        [True, True, True, True],
        [True, True, False, True],
    ]
    tag_set = TagSet(("a", "b"), "BIOES")
    allowed = tag_set.allowed()

    def after(tag):
        row = allowed[tag_set.tags.index(tag) if tag else -1]
        return " ".join(name for name, fits in zip((*tag_set.tags, "end"), row, strict=True) if fits)

    assert after("B-a") == after("I-a") == "I-a E-a"
    assert after("O") == after("E-a") == after("S-b") == "O B-a S-a B-b S-b end"
    assert after("") == "O B-a S-a B-b S-b end"
