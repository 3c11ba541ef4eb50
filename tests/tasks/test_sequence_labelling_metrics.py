import importlib.util

import pytest

from ambert_tf.models.tagging_schemes import Span, spans_of_tags
from ambert_tf.tasks.sequence_labelling_metrics import confused_labels, entity_scores, word_scores

RIGHT = [[Span(0, 2, "PER"), Span(3, 5, "LOC")], [Span(1, 4, "ORG")], []]
# One is right, one has a wrong label, one a wrong end, one is made up.
PREDICTED = [[Span(0, 2, "PER"), Span(3, 5, "ORG")], [Span(1, 3, "ORG")], [Span(0, 1, "PER")]]


def test_entities():
    # By hand: 1 of 4 predicted entities and 1 of 3 right ones; PER: 1 of 2 and 1 of 1.
    assert entity_scores(PREDICTED, RIGHT) == pytest.approx(
        {"precision": 1 / 4, "recall": 1 / 3, "f1": 2 / 7, "f1_LOC": 0.0, "f1_ORG": 0.0, "f1_PER": 2 / 3}
    )
    assert entity_scores(RIGHT, RIGHT)["f1"] == 1.0
    assert entity_scores([[]], [[]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_confused_labels():
    # The third text has a person that is none; the organization of the second one has a wrong end.
    assert confused_labels(PREDICTED, RIGHT) == {
        ("PER", "PER"): 1, ("LOC", "ORG"): 1, ("ORG", "-"): 1, ("-", "ORG"): 1, ("-", "PER"): 1,
    }  # fmt: skip


def test_words():
    text = "共同创造美好的"
    right = [Span(0, 2, ""), Span(2, 4, ""), Span(4, 6, ""), Span(6, 7, "")]
    predicted = [Span(0, 2, ""), Span(2, 4, ""), Span(4, 7, "")]
    # By hand: 2 of 3 predicted words and 2 of 4 right ones; of the unknown 创造 and 美好, the first is found.
    assert word_scores([text], [predicted], [right], {"共同", "的"}) == pytest.approx(
        {"precision": 2 / 3, "recall": 1 / 2, "f1": 4 / 7, "oov_rate": 1 / 2, "oov_recall": 1 / 2}
    )


# Right and predicted tags of two sentences, with entities side by side: 2 of 4 right ones are among 3 predicted ones.
EXAMPLES = {
    "BIO": (["B-A I-A B-A O B-B", "B-B I-B O"], ["B-A I-A B-A I-A B-B", "O O O"]),
    "IOB1": (["I-A I-A B-A O I-B", "I-B I-B O"], ["I-A I-A B-A I-A I-B", "O O O"]),
    "BIOES": (["B-A E-A S-A O S-B", "B-B E-B O"], ["B-A E-A B-A E-A S-B", "O O O"]),
    "BMES": (["B-A E-A S-A O S-B", "B-B E-B O"], ["B-A E-A B-A E-A S-B", "O O O"]),
}


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_entities_of_each_scheme(scheme):
    right, predicted = ([spans_of_tags(tags.split(), scheme)[0] for tags in side] for side in EXAMPLES[scheme])
    assert entity_scores(predicted, right) == pytest.approx(
        {"precision": 2 / 3, "recall": 1 / 2, "f1": 4 / 7, "f1_A": 1 / 2, "f1_B": 2 / 3}
    )


# Its package does not build everywhere, so it is not among the requirements.
if importlib.util.find_spec("seqeval"):

    @pytest.mark.parametrize(("scheme", "name"), [("BIO", "IOB2"), ("IOB1", "IOB1"), ("BIOES", "IOBES")])
    def test_seqeval_agrees(scheme, name):
        from seqeval import scheme as schemes
        from seqeval.metrics import classification_report

        right, predicted = ([tags.split() for tags in side] for side in EXAMPLES[scheme])
        report = classification_report(
            right, predicted, mode="strict", scheme=getattr(schemes, name), output_dict=True, zero_division=0
        )
        micro = report["micro avg"]
        assert (micro["precision"], micro["recall"], micro["f1-score"]) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
        assert (report["A"]["f1-score"], report["B"]["f1-score"]) == pytest.approx((1 / 2, 2 / 3))
