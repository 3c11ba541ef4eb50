"""A linear-chain CRF over n-grams with sklearn-crfsuite: the non-neural baseline of sequence labelling.

Units are characters in Chinese and words in English. The features of a unit are the units around it, their bigrams and
the trigram, and in English also the word's lower case, affixes and shape.
"""

import importlib.util
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ambert_tf.errors import InputError
from ambert_tf.models.tagging_schemes import Span, spans_of_tags, tags_of_spans
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.sequence_labelling_metrics import entity_scores, word_scores


class TaggedUnits(NamedTuple):
    """The units of a text, their spans of characters, and their tags."""

    units: list[str]
    places: list[tuple[int, int]]
    tags: list[str]

    def spans(self, tags: Sequence[str], scheme: str) -> list[Span]:
        """Returns the spans of characters of predicted tags."""
        found, _ = spans_of_tags(list(tags), scheme)
        return [Span(self.places[span.start][0], self.places[span.end - 1][1], span.label) for span in found]


def unit_places(text: str, english: bool) -> list[tuple[int, int]]:
    """Returns the start and end of each word between white space or, in Chinese, of each character."""
    return [found.span() for found in re.finditer(r"\S+" if english else r"(?s).", text)]


def tagged_units(record: Record, scheme: str, places: Sequence[tuple[int, int]]) -> TaggedUnits:
    """Returns the units of a record's text, with the tags of its spans.

    Args:
      record: a record with the fields `text` and `spans`.
      scheme: the tagging scheme.
      places: start and end of each unit. A unit that overlaps a span belongs to it; if it overlaps two, to the first.
    """
    text = record.content["text"]
    starts, ends = np.array(places, np.int64).reshape(-1, 2).T
    spans, taken = [], 0
    for span in sorted(record.content["spans"]):
        first = max(taken, int(np.searchsorted(ends, span.start, side="right")))
        after = int(np.searchsorted(starts, span.end, side="left"))
        if first < after:
            spans.append(Span(first, after, span.label))
            taken = after
    return TaggedUnits(
        [text[start:end] for start, end in places], list(places), tags_of_spans(spans, len(places), scheme)
    )  # fmt: skip


def features(units: Sequence[str], index: int, english: bool) -> dict[str, str | bool]:
    """Returns the features of a unit."""
    at = {offset: units[index + offset] if 0 <= index + offset < len(units) else "" for offset in range(-2, 3)}
    found: dict[str, str | bool] = {f"unit{offset}": unit for offset, unit in at.items()}
    found.update({f"pair{offset}": at[offset] + "\0" + at[offset + 1] for offset in range(-2, 2)})
    found["three"] = "\0".join((at[-1], at[0], at[1]))
    if english:
        word = units[index]
        shape = re.sub("[a-z]+", "a", re.sub("[A-Z]+", "A", re.sub("[0-9]+", "0", word)))
        found.update(lower=word.lower(), suffix=word[-3:], prefix=word[:3], shape=shape)
    else:
        found["digit"], found["letter"] = units[index].isdigit(), units[index].isascii()
    return found


def check_crf_package() -> None:
    """Raises an InputError if sklearn-crfsuite is not installed."""
    if importlib.util.find_spec("sklearn_crfsuite") is None:
        raise InputError("the CRF baseline needs the package sklearn-crfsuite")


def crf_f1(train: Sequence[Record], dev: Sequence[Record], english: bool, segmentation: bool = False) -> float:
    """Trains the CRF and returns its F1 on the development records, from 0 to 1.

    Args:
      train: records with the fields `text` and `spans`.
      dev: likewise.
      english: whether the units are words rather than characters.
      segmentation: whether the spans are the words of a segmentation, for which F1 is that of words.

    Raises:
      InputError: sklearn-crfsuite is not installed.
    """
    check_crf_package()
    import sklearn_crfsuite

    scheme = "BIOES" if segmentation else "BIO"

    def rows(tagged: TaggedUnits) -> list[dict[str, str | bool]]:
        return [features(tagged.units, index, english) for index in range(len(tagged.units))]

    taught, asked = (
        [tagged_units(record, scheme, unit_places(record.content["text"], english)) for record in records]
        for records in (train, dev)
    )
    model = sklearn_crfsuite.CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True)
    model.fit([rows(each) for each in taught], [each.tags for each in taught])
    tags = model.predict([rows(each) for each in asked])
    predicted = [each.spans(found, scheme) for each, found in zip(asked, tags, strict=True)]
    right = [record.content["spans"] for record in dev]
    if segmentation:
        return float(word_scores([record.content["text"] for record in dev], predicted, right, ())["f1"])
    return float(entity_scores(predicted, right)["f1"])
