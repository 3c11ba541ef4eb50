"""CMRC2018's exact match and F1, over Chinese characters and words of other scripts (Cui et al., 2018).

The official script cuts runs of other than Chinese text into words by the Penn Treebank's rules, with NLTK; `words`
has these rules. `benchmarks/tasks.py --check_cmrc` compares the two on the answers of a file.
"""

import re
from collections.abc import Sequence

# The official script's list. Its "……" is two characters and never equals one, so … is kept.
PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
CHINESE = re.compile("[\u4e00-\u9fa5]")
# What the Penn Treebank's rules set apart wherever it stands; a comma only where no digit follows.
APART = re.compile(r"\.\.\.|[?!;@#$%&()\[\]{}<>\"–—]|,(?!\d)")
OPENING = tuple(" ([{<")
# The last full stop of a text, with what may close behind it.
FINAL_STOP = re.compile(r"(?<=[^.])\.(?=[\])}>\"' ]*$)")
CLITIC = re.compile(r"(?<=[^' `])('[smd]?|'ll|'re|'ve|n't)(?= |$)")


def words(text: str) -> list[str]:
    """Returns the words of a text in lower case, by the Penn Treebank's rules: `can't.` is ca, n't and a full stop.

    A quotation mark is two of different kinds, one that opens and one that closes.
    """
    found = []
    text = FINAL_STOP.sub(" . ", text)
    last = 0
    for match in APART.finditer(text):
        sign, before = match.group(), text[: match.start()]
        if sign == '"':
            sign = "``" if not before or before.endswith(OPENING) else "''"
        found += [text[last : match.start()], sign]
        last = match.end()
    spaced = " ".join([*found, text[last:]])
    return CLITIC.sub(r" \1", spaced).split()


def units(text: str) -> list[str]:
    """Returns what answers are compared by: Chinese characters, and the words between them."""
    found: list[str] = []
    run = ""
    for character in f"{text}".lower().strip():
        if character in PUNCTUATION:
            continue
        if CHINESE.match(character):
            found += [*words(run), character]
            run = ""
        else:
            run += character
    return found + words(run)


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
