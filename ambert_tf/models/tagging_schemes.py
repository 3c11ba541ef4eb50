"""Tagging schemes of sequence labelling: tags such as `B-PER`, and the spans that they stand for.

| scheme | first, inside, last, single token of an entity |
|---|---|
| `BIO` | B, I, I, B |
| `IOB1` | I, I, I, I; B only directly after another entity of the same type |
| `BIOES` | B, I, E, S |
| `BMES` | B, M, E, S |

`O` is a token outside of entities. A tag without a type has the label "". Models predict BIO, BIOES or BMES.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
# Prefixes of the first, inner and last tokens, and of a single token.
SCHEMES = {
    "BIO": ("B", "I", "I", "B"),
    "IOB1": ("I", "I", "I", "I"),
    "BIOES": ("B", "I", "E", "S"),
    "BMES": ("B", "M", "E", "S"),
}


class Span(NamedTuple):
    """A labelled part of a sequence, from `start` to before `end`, in tokens or characters."""

    start: int
    end: int
    label: str


class TagSet(NamedTuple):
    """The tags that a model chooses from, in the order of its logits.

    Attributes:
      labels: of the spans.
      scheme: how spans are written as tags.
      outside: whether a token may be outside of all spans; false for word segmentation.
    """

    labels: tuple[str, ...]
    scheme: str = "BIO"
    outside: bool = True

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of a label's tags."""
        return tuple(dict.fromkeys(SCHEMES[self.scheme]))

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags: `O` first, if there is one, then those of each label."""
        names = [f"{prefix}-{label}" if label else prefix for label in self.labels for prefix in self.prefixes]
        return (*[OUTSIDE] * self.outside, *names)

    def allowed(self) -> list[list[bool]]:
        """Returns whether the tag of each row may precede that of each column; last are the start and the end."""
        tags = [split_tag(tag) for tag in self.tags]
        _, inner, last, _ = SCHEMES[self.scheme]
        closed = self.scheme in ("BIOES", "BMES")

        def allows(before: tuple[str, str] | None, after: tuple[str, str] | None) -> bool:
            is_open = before is not None and before[0] in ("B", inner)
            if after is not None and after[0] in (inner, last):
                return is_open and before is not None and before[1] == after[1]
            return not (closed and is_open)

        ends: list[tuple[str, str] | None] = [*tags, None]
        return [[allows(before, after) for after in ends] for before in ends]


class TagError(ValueError):
    """A tag that its scheme does not have.

    Attributes:
      sequence, position: where the tag is.
    """

    def __init__(self, message: str, sequence: int, position: int) -> None:
        super().__init__(message)
        self.sequence = sequence
        self.position = position


class Fault(NamedTuple):
    """A tag that does not continue the tags before it, such as I after O."""

    position: int
    message: str


def split_tag(tag: str) -> tuple[str, str]:
    """Returns prefix and type of a tag: `B-PER.NOM` is `B` and `PER.NOM`."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def find_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """Returns the scheme in which tags are written.

    Raises:
      TagError: a prefix is unknown, or schemes are mixed.
    """
    prefixes: set[str] = set()
    begins_inside = separates = needless = False
    for number, tags in enumerate(sequences):
        previous = (OUTSIDE, "")
        for position, tag in enumerate(tags):
            prefix, label = split_tag(tag)
            if prefix not in "BIMESO" or len(prefix) != 1 or (prefix == OUTSIDE and label):
                message = f"the tag {tag!r} is unknown; tags such as B-PER, I-PER and O are expected"
                raise TagError(message, number, position)
            prefixes.add(prefix)
            if prefixes >= {"I", "M"}:
                message = f"tags with I and tags with M are mixed, here {tag!r}; BIOES has I, BMES has M"
                raise TagError(message, number, position)
            adjacent = previous[0] != OUTSIDE and previous[1] == label
            begins_inside |= prefix == "I" and not adjacent
            separates |= prefix == "B" and adjacent
            needless |= prefix == "B" and not adjacent
            previous = (prefix, label)
    if "M" in prefixes:
        return "BMES"
    if prefixes & {"E", "S"}:
        # Without an entity of three tokens, the two schemes are alike.
        return "BIOES"
    # In IOB1, B has one use: to separate. A file of BIO with a few tags I after O is one with faults.
    return "IOB1" if begins_inside and not needless else "BIO"


def spans_of_tags(tags: Sequence[str], scheme: str) -> tuple[list[Span], list[Fault]]:
    """Returns the spans of a sequence of tags, and the tags that do not fit.

    A tag that does not fit begins a new span, as in the evaluation script of CoNLL.

    Raises:
      TagError: a prefix does not belong to the scheme. `sequence` is 0.
    """
    _, _, last, single = SCHEMES[scheme]
    closed = scheme in ("BIOES", "BMES")
    spans: list[Span] = []
    faults: list[Fault] = []
    begin, label = -1, ""  # of the open span

    def close(end: int, complete: bool) -> None:
        nonlocal begin
        if begin >= 0:
            if closed and not complete:
                faults.append(Fault(min(end, len(tags) - 1), f"the entity {label!r} before it has no {last}-"))
            spans.append(Span(begin, end, label))
        begin = -1

    for index, tag in enumerate(tags):
        prefix, kind = split_tag(tag)
        if prefix not in (OUTSIDE, "B", *SCHEMES[scheme]):
            raise TagError(f"the tag {tag!r} does not belong to the scheme {scheme}", 0, index)
        continues = begin >= 0 and kind == label
        if prefix == OUTSIDE:
            close(index, False)
        elif closed and prefix == single:
            close(index, False)
            spans.append(Span(index, index + 1, kind))
        elif prefix == "B":
            close(index, False)
            begin, label = index, kind
        else:
            if not continues:
                close(index, False)
                begin, label = index, kind
                if scheme != "IOB1":
                    before = tags[index - 1] if index else "the start"
                    faults.append(Fault(index, f"{tag} follows {before}"))
            if closed and prefix == last:
                close(index + 1, True)
    close(len(tags), False)
    return spans, faults


def tags_of_spans(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    """Returns the tags of a sequence of `length` tokens. The spans must not overlap, see `without_overlaps`."""
    first, inner, last, single = SCHEMES[scheme]
    tags = [OUTSIDE] * length
    previous = None
    for span in sorted(spans):
        prefixes = [first, *[inner] * (span.end - span.start - 2), last] if span.end - span.start > 1 else [single]
        if scheme == "IOB1" and previous and previous.end == span.start and previous.label == span.label:
            prefixes[0] = "B"
        tags[span.start : span.end] = [f"{prefix}-{span.label}" if span.label else prefix for prefix in prefixes]
        previous = span
    return tags


def without_overlaps(spans: Iterable[Span]) -> tuple[list[Span], int]:
    """Returns spans none of which overlap, and the number of spans left out: of overlapping ones, the shorter."""
    kept: list[Span] = []
    left_out = 0
    for span in sorted(spans, key=lambda span: (span.start - span.end, span)):
        if any(span.start < other.end and other.start < span.end for other in kept):
            left_out += 1
        else:
            kept.append(span)
    return sorted(kept), left_out
