import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.tagging_schemes import Span
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.sequence_labelling import OWN_ENTITIES
from ambert_tf.tasks.tagged_texts import read_tagged_texts


def read(content, **arguments):
    return read_tagged_texts(OWN_ENTITIES, [Record("a.json", 3, content)], "train", ["PER"], **arguments)


def test_invisible_ends_are_cut_and_invisible_entities_left_out():
    spans = [Span(0, 3, "PER"), Span(3, 4, "PER")]
    found = read({"text": " 王\u200b\u3000", "spans": spans, "overlapping_entities": 2})
    assert found.examples[0].spans == (Span(1, 2, "PER"),)
    assert found.counts == {"entities": 1, "invisible_entities": 1, "overlapping_entities": 2}
    # The tokenizer keeps private-use characters and those that Unicode assigned later.
    spans = [Span(0, 2, "PER"), Span(2, 3, "PER")]
    assert read({"text": "鄭\ue0bd\U0001fae9", "spans": spans}).examples[0].spans == tuple(spans)


def test_labels_may_be_left_out_for_prediction():
    assert read({"text": "王"}, needs_labels=False).examples[0].spans is None


def test_errors_name_the_file_and_line():
    with pytest.raises(InputError, match=r"a\.json, line 3: has no labels; a training example needs them"):
        read({"text": "王"})
    with pytest.raises(InputError, match=r"a\.json, line 3: unknown label 'LOC'; the labels are PER"):
        read({"text": "王", "spans": [Span(0, 1, "LOC")]})
    spans = [Span(0, 1, "PER"), Span(1, 2, "LOC")]
    with pytest.raises(InputError, match=r"a\.json, line 7: unknown label 'LOC'"):
        read({"text": "王京", "spans": spans, "span_lines": [3, 7]})
