"""Metrics of sequence labelling: entity-level precision, recall and F1, and word F1 of segmentation.

Entities count as in CoNLL-2003 and in seqeval: one is right if its start, end and label are. Scores are micro averages.
"""

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence

from ambert_tf.models.tagging_schemes import Span

# Stands for no entity in `confused_labels`.
NONE = "-"


def entity_scores(predicted: Sequence[Iterable[Span]], right: Sequence[Iterable[Span]]) -> dict[str, float]:
    """Returns `precision`, `recall` and `f1` over all entities, and `f1_LABEL` for each label of the data.

    Args:
      predicted: predicted spans of each text.
      right: right spans of each text.
    """
    both: collections.Counter[str] = collections.Counter()
    ours: collections.Counter[str] = collections.Counter()
    expected: collections.Counter[str] = collections.Counter()
    for found, wanted in zip(map(set, predicted), map(set, right), strict=True):
        both.update(span.label for span in found & wanted)
        ours.update(span.label for span in found)
        expected.update(span.label for span in wanted)
    precision, recall, f1 = _scores(both.total(), ours.total(), expected.total())
    by_label = {f"f1_{label}": _scores(both[label], ours[label], expected[label])[2] for label in sorted(expected)}
    return {"precision": precision, "recall": recall, "f1": f1, **by_label}


def confused_labels(
    predicted: Sequence[Iterable[Span]], right: Sequence[Iterable[Span]]
) -> Mapping[tuple[str, str], int]:
    """Returns how often entities with a right label were given a predicted one, by both labels, most frequent first.

    Entities are compared by their boundaries. An entity whose boundaries are not predicted has the predicted label
    `NONE`; one whose boundaries are not right has the right label `NONE`.
    """
    confused: collections.Counter[tuple[str, str]] = collections.Counter()
    for found, wanted in zip(predicted, right, strict=True):
        ours, labels = ({(span.start, span.end): span.label for span in spans} for spans in (found, wanted))
        for place in {*ours, *labels}:
            confused[labels.get(place, NONE), ours.get(place, NONE)] += 1
    return dict(sorted(confused.items(), key=lambda item: (-item[1], item[0])))


def word_scores(
    texts: Sequence[str],
    predicted: Sequence[Iterable[Span]],
    right: Sequence[Iterable[Span]],
    known_words: Collection[str],
) -> dict[str, float]:
    """Returns the scores of word segmentation as the SIGHAN bakeoffs define them.

    Args:
      texts: the texts.
      predicted: predicted words of each text, as spans.
      right: right words of each text.
      known_words: words of the training data.

    Returns:
      `precision`, `recall` and `f1` of words; `oov_rate`, the share of right words that are not known; `oov_recall`,
      the recall of these.
    """
    both = ours = total = unknown = unknown_found = 0
    for text, predicted_words, right_words in zip(texts, predicted, right, strict=True):
        found = {(span.start, span.end) for span in predicted_words}
        wanted = {(span.start, span.end) for span in right_words}
        new = {(start, end) for start, end in wanted if text[start:end] not in known_words}
        both += len(found & wanted)
        ours += len(found)
        total += len(wanted)
        unknown += len(new)
        unknown_found += len(found & new)
    precision, recall, f1 = _scores(both, ours, total)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "oov_rate": unknown / max(total, 1),
        "oov_recall": unknown_found / max(unknown, 1),
    }


def _scores(both: int, ours: int, right: int) -> tuple[float, float, float]:
    """Returns precision, recall and F1; 0 if they are undefined, as in seqeval."""
    return both / max(ours, 1), both / max(right, 1), 2 * both / max(ours + right, 1)
