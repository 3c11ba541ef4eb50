"""Formats records as readable text, with aligned grains and marked masks."""

import unicodedata
from collections.abc import Mapping, Sequence

from ambert_tf.errors import InputError
from ambert_tf.pretraining_data.examples import INPUT_FEATURES, NEXT_SENTENCE_FEATURE
from ambert_tf.pretraining_data.masking import GRAINS

Record = Mapping[str, Sequence[int]]


def check_record(record: Record, fine_vocab: Sequence[str], coarse_vocab: Sequence[str]) -> None:
    """Checks the assumptions of the functions below.

    Raises:
      InputError: a feature is missing or inconsistent with others, or the vocabularies do not match the record.
    """
    for name in INPUT_FEATURES:
        if name not in record:
            raise InputError(f"has no {name!r}; records from data/create_pretraining_data.py are expected")
    lengths = {grain: len(record[f"{grain}_input_ids"]) for grain in GRAINS}
    for grain, vocabulary in zip(GRAINS, (fine_vocab, coarse_vocab), strict=True):
        originals = record.get(f"{grain}_masked_lm_ids", ())
        for token_id in (*record[f"{grain}_input_ids"], *originals):
            if not 0 <= token_id < len(vocabulary):
                raise InputError(
                    f"has {grain} id {token_id}, but the vocabulary has {len(vocabulary)} lines; use the "
                    "--tokenizer_dir of these records"
                )
        _check_indices(record, f"{grain}_segment_ids", lengths[grain], 2)
        _check_indices(record, f"{grain}_masked_lm_positions", len(originals), lengths[grain])
    _check_indices(record, "fine_to_coarse", lengths["fine"], lengths["coarse"])


def _check_indices(record: Record, name: str, length: int, bound: int) -> None:
    values = record.get(name, ())
    if len(values) != length or not all(0 <= value < bound for value in values):
        raise InputError(f"its {name} are inconsistent with its other features; recreate the file")


def _marked_tokens(record: Record, grain: str, vocabulary: Sequence[str]) -> list[str]:
    """Returns the tokens of one grain. Masked tokens are {original→shown}, or {original} if kept."""
    ids = record[f"{grain}_input_ids"]
    tokens = [vocabulary[token_id] for token_id in ids]
    positions = record.get(f"{grain}_masked_lm_positions", ())
    originals = record.get(f"{grain}_masked_lm_ids", ())
    for position, original in zip(positions, originals, strict=True):
        shown = tokens[position]
        tokens[position] = f"{{{vocabulary[original]}→{shown}}}" if original != ids[position] else f"{{{shown}}}"
    return tokens


def _summary(record: Record) -> str:
    parts = []
    for grain in GRAINS:
        part = f"{len(record[f'{grain}_input_ids'])} {grain} tokens"
        if f"{grain}_masked_lm_ids" in record:
            part += f" ({len(record[f'{grain}_masked_lm_ids'])} masked)"
        parts.append(part)
    if label := record.get(NEXT_SENTENCE_FEATURE):
        parts.append("random second segment" if label[0] else "actual next segment")
    return ", ".join(parts)


def describe_record(record: Record, fine_vocab: Sequence[str], coarse_vocab: Sequence[str]) -> str:
    """Formats a record in three lines. The fine tokens of a coarse token are joined by a middle dot."""
    fine = _marked_tokens(record, "fine", fine_vocab)
    coarse = _marked_tokens(record, "coarse", coarse_vocab)
    groups = ["·".join(fine[index] for index in held) for held in _held(record, len(coarse))]
    return f"{_summary(record)}\n  coarse: {' '.join(coarse)}\n  fine:   {' '.join(groups)}"


def tabulate_record(record: Record, fine_vocab: Sequence[str], coarse_vocab: Sequence[str]) -> str:
    """Formats a record as a table, with position, segment, text and fine tokens of each coarse token."""
    fine = _marked_tokens(record, "fine", fine_vocab)
    coarse = _marked_tokens(record, "coarse", coarse_vocab)
    width = min(40, max(map(_columns, coarse), default=0))
    lines = [_summary(record)]
    for position, (token, held) in enumerate(zip(coarse, _held(record, len(coarse)), strict=True)):
        segment = "AB"[record["coarse_segment_ids"][position]]
        padding = " " * (width - _columns(token))
        lines.append(f"{position:5} {segment}  {token}{padding}  {' '.join(fine[index] for index in held)}")
    return "\n".join(lines)


def _held(record: Record, coarse_tokens: int) -> list[list[int]]:
    """Returns the positions of the fine tokens in each coarse token."""
    held: list[list[int]] = [[] for _ in range(coarse_tokens)]
    for position, holder in enumerate(record["fine_to_coarse"]):
        held[holder].append(position)
    return held


def _columns(text: str) -> int:
    """Returns the width of a text in terminal columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
