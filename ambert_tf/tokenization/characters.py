"""BERT's normalization of each Unicode character, as one lookup table.

The rules are those of BasicTokenizer in google-research/bert: control characters are removed, white space
separates words, each CJK character and each punctuation character is a separate word, and uncased models
lower-case characters, decompose them (NFD) and strip non-spacing marks. Each rule acts on single characters, so a
table can express it exactly. There are two exceptions. Python's `lower` converts a final Greek capital sigma to "ς",
but the table converts it to "σ". NFKC, which BERT does not use, also composes adjacent characters, such as half-width
"ｶﾞ" to "ガ", but the table converts them to "カ" and U+3099. This matters only if accents are kept.
"""

import bisect
import functools
import sys
import unicodedata
from typing import NamedTuple

import numpy as np

# Kinds of characters. Those up to CJK are kept in the text, the others are not.
LETTER, PUNCTUATION, CJK, WHITESPACE, CONTROL, MARK, EXPANDS = range(7)

KIND_BITS = 3
NUM_CODEPOINTS = sys.maxunicode + 1
REPLACEMENT = 0xFFFD

# Google's list of CJK blocks, in order. Hangul, Hiragana and Katakana form words like other scripts.
CJK_BLOCKS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_BLOCK_STARTS = tuple(first for first, _ in CJK_BLOCKS)


# Unassigned, private and surrogate codepoints are letters that never change. Most of plane 1 is unassigned.
_NEVER_CHANGED = ("Cn", "Co", "Cs")


class CharacterTable(NamedTuple):
    """The normalization of every character.

    Attributes:
      packed: int32 [NUM_CODEPOINTS], `(normalized codepoint << KIND_BITS) | kind`. For the kind EXPANDS, the upper
        bits are a row of the expansions instead.
      expansion_starts, expansion_lengths: int32 [rows], the range of each row in `expansions`.
      expansions: int32 [all], the packed characters of the expansions, such as the letters of a Hangul syllable.
    """

    packed: np.ndarray
    expansion_starts: np.ndarray
    expansion_lengths: np.ndarray
    expansions: np.ndarray


def is_cjk(codepoint: int) -> bool:
    """Returns whether BERT treats the character as Chinese, and therefore as a separate word."""
    block = bisect.bisect_right(_BLOCK_STARTS, codepoint) - 1
    return block >= 0 and codepoint <= CJK_BLOCKS[block][1]


def is_punctuation(character: str) -> bool:
    """Returns whether BERT splits at the character, which holds for ASCII symbols and Unicode's classes P*."""
    codepoint = ord(character)
    if 33 <= codepoint <= 126 and not character.isalnum():
        return True
    return unicodedata.category(character).startswith("P")


def _normalized(character: str, do_lower_case: bool, fold: bool, strip_accents: bool) -> str:
    if fold:
        character = unicodedata.normalize("NFKC", character)
    if do_lower_case:
        character = character.lower()
    if strip_accents:
        decomposed = unicodedata.normalize("NFD", character)
        if len(decomposed) > 1 or unicodedata.category(decomposed) == "Mn":
            decomposed = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        character = decomposed
    return character


def kind_of(character: str) -> int:
    """Returns the kind of a normalized character."""
    codepoint = ord(character)
    category = unicodedata.category(character)
    if character in "\t\n\r" or (character.isspace() and category != "Cc"):
        return WHITESPACE
    if codepoint in (0, REPLACEMENT) or category in ("Cc", "Cf"):
        return CONTROL
    if is_cjk(codepoint):
        return CJK
    return PUNCTUATION if is_punctuation(character) else LETTER


@functools.cache
def character_table(do_lower_case: bool, fold: bool = False, strip_accents: bool | None = None) -> CharacterTable:
    """Builds the table.

    Args:
      do_lower_case: whether to lower-case, as in BERT's uncased models.
      fold: whether to apply NFKC first, which converts full-width forms, ligatures and fractions to plain characters.
        Google's BERT does not.
      strip_accents: whether to remove non-spacing marks. Defaults to `do_lower_case`, as in Google's BERT.
    """
    strip_accents = do_lower_case if strip_accents is None else strip_accents
    packed = (np.arange(NUM_CODEPOINTS, dtype=np.int32) << KIND_BITS) | LETTER
    for first, last in CJK_BLOCKS:
        packed[first : last + 1] |= CJK
    starts: list[int] = []
    lengths: list[int] = []
    expansions: list[int] = []
    # Planes 0 and 1, the compatibility ideographs, and plane 14's tags and variation selectors. No other character
    # has a case, a decomposition or a class that matters here.
    special = (range(0x20000), range(0x2F800, 0x2FA20), range(0xE0000, 0xE0200))
    for codepoint in (c for block in special for c in block):
        if 0x3400 <= codepoint <= 0x9FFF and is_cjk(codepoint):
            continue
        character = chr(codepoint)
        if unicodedata.category(character) in _NEVER_CHANGED:
            continue
        kind = kind_of(character)
        if kind in (WHITESPACE, CONTROL):
            packed[codepoint] = (codepoint << KIND_BITS) | kind
            continue
        text = _normalized(character, do_lower_case, fold, strip_accents)
        if text == character:
            packed[codepoint] |= kind
        elif len(text) == 1:
            kind = CJK if kind == CJK else kind_of(text)
            packed[codepoint] = (ord(text) << KIND_BITS) | kind
        elif not text:
            packed[codepoint] = (codepoint << KIND_BITS) | MARK
        else:
            packed[codepoint] = (len(starts) << KIND_BITS) | EXPANDS
            starts.append(len(expansions))
            lengths.append(len(text))
            expansions.extend((ord(c) << KIND_BITS) | kind_of(c) for c in text)
    return CharacterTable(
        packed,
        np.array(starts, np.int32),
        np.array(lengths, np.int32),
        np.array(expansions, np.int32),
    )
