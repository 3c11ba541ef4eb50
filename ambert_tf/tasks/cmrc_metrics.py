"""CMRC2018's exact match and F1, over Chinese characters and words of other scripts (Cui et al., 2018).

The official script cuts runs of other than Chinese text with NLTK's Penn Treebank tokenizer. Here they are cut at white
space, and punctuation stands alone but for what is inside numbers and words; `benchmarks/tasks.py --check_cmrc` counts
on a data file where the two differ.
"""

import re
from collections.abc import Sequence

# The official script's list. Its "……" is two characters and never equals one, so … is kept.
PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
CHINESE = re.compile("[\u4e00-\u9fa5]")
# A number, a word with dots or apostrophes inside, or one other sign.
WORD = re.compile(r"\d[\d.,]*\d|\w+(?:[.']\w+)*|[^\w\s]")


def units(text: str) -> list[str]:
    """Returns what answers are compared by: Chinese characters, and the words between them."""
    found: list[str] = []
    run = ""
    for character in f"{text}".lower().strip():
        if character in PUNCTUATION:
            continue
        if CHINESE.match(character):
            found += [*WORD.findall(run), character]
            run = ""
        else:
            run += character
    return found + WORD.findall(run)


def exact_match(answer: str, right: str) -> float:
    """Returns 1 where two answers are the same but for punctuation and case, else 0."""
    return float(_plain(answer) == _plain(right))


def f1(answer: str, right: str) -> float:
    """Returns the F1 of the longest run of units that two answers have in common."""
    units_of_answer, right_units = units(answer), units(right)
    longest = _longest_common_run(units_of_answer, right_units)
    if not longest:
        return 0.0
    precision, recall = longest / len(units_of_answer), longest / len(right_units)
    return 2 * precision * recall / (precision + recall)


def question_scores(answer: str, answers: Sequence[str]) -> dict[str, float]:
    """Returns `mixed_exact_match` and `mixed_f1` of an answer with the nearest of the right ones."""
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
