"""CMRC2018's exact match and F1, over Chinese characters and words of other scripts (Cui et al., 2018).

As in the official evaluation script, words come from NLTK's word tokenizer. Each run of non-Chinese characters is
treated as one sentence, because NLTK's sentence model is a separate download.
"""

import functools
import re
from collections.abc import Callable, Sequence

# The official script's list. It contains "……", two characters, which never matches a single one, so … is kept.
PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
CHINESE = re.compile("[\u4e00-\u9fa5]")


@functools.cache
def _word_tokenizer() -> Callable[[str], list[str]]:
    # Imported on first use, because importing NLTK takes a second or two.
    from nltk.tokenize.destructive import NLTKWordTokenizer

    return NLTKWordTokenizer().tokenize


def words(text: str) -> list[str]:
    """Splits a text into words by NLTK's version of the Penn Treebank rules: `can't.` is `ca`, `n't` and `.`."""
    return _word_tokenizer()(text) if text.strip() else []


def units(text: str) -> list[str]:
    """Splits a text into the units that are compared: Chinese characters, and the words between them."""
    found: list[str] = []
    run = ""
    for character in text.lower().strip():
        if character in PUNCTUATION:
            continue
        if CHINESE.match(character):
            found += [*words(run), character]
            run = ""
        else:
            run += character
    return found + words(run)


def exact_match(answer: str, right: str) -> float:
    """Returns 1 if two answers are equal up to punctuation and case, else 0."""
    return float(_plain(answer) == _plain(right))


def f1(answer: str, right: str) -> float:
    """Returns the F1 of two answers, based on their longest common run of units."""
    units_of_answer, right_units = units(answer), units(right)
    longest = _longest_common_run(units_of_answer, right_units)
    if not longest:
        return 0.0
    precision, recall = longest / len(units_of_answer), longest / len(right_units)
    return 2 * precision * recall / (precision + recall)


def question_scores(answer: str, answers: Sequence[str]) -> dict[str, float]:
    """Returns the best `mixed_exact_match` and `mixed_f1` of an answer over the gold answers."""
    return {
        "mixed_exact_match": max(exact_match(answer, right) for right in answers),
        "mixed_f1": max(f1(answer, right) for right in answers),
    }


def _plain(text: str) -> str:
    return "".join(character for character in text.lower().strip() if character not in PUNCTUATION)


def _longest_common_run(first: Sequence[str], second: Sequence[str]) -> int:
    longest = 0
    row = [0] * (len(second) + 1)
    for unit in first:
        row = [0] + [row[at] + 1 if unit == other else 0 for at, other in enumerate(second)]
        longest = max(longest, max(row))
    return longest
