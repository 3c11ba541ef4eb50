"""SQuAD's exact match and F1, and SQuAD 2.0's best threshold, as defined by the official evaluation scripts."""

import collections
import re
import string
from collections.abc import Mapping, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = frozenset(string.punctuation)


def normalized(text: str) -> str:
    """Returns an answer in lower case without ASCII punctuation and articles, with single spaces."""
    kept = "".join(character for character in text.lower() if character not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", kept).split())


def exact_match(answer: str, right: str) -> float:
    """Returns 1 if two answers are equal after normalization, else 0."""
    return float(normalized(answer) == normalized(right))


def f1(answer: str, right: str) -> float:
    """Returns the F1 of two answers as bags of words.

    If either has no words, the F1 is 1 if neither has, else 0.
    """
    words, right_words = normalized(answer).split(), normalized(right).split()
    if not words or not right_words:
        return float(words == right_words)
    shared = sum((collections.Counter(words) & collections.Counter(right_words)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(words), shared / len(right_words)
    return 2 * precision * recall / (precision + recall)


def right_answers(answers: Sequence[str]) -> list[str]:
    """Returns the answers that have words, or "" if there are none."""
    return [answer for answer in answers if normalized(answer)] or [""]


def question_scores(answer: str, answers: Sequence[str]) -> dict[str, float]:
    """Returns the best `exact_match` and `f1` of an answer over the gold answers."""
    wanted = right_answers(answers)
    return {
        "exact_match": max(exact_match(answer, right) for right in wanted),
        "f1": max(f1(answer, right) for right in wanted),
    }


def best_threshold(
    scores: Mapping[str, float], null_odds: Mapping[str, float], answerable: Mapping[str, bool]
) -> tuple[float, float]:
    """Returns the best mean score over all thresholds on the null odds, and that threshold.

    No answer is predicted if the null odds exceed the threshold. This scores 1 if the question has no answer.

    Args:
      scores: score of the best non-empty answer, by question.
      null_odds: null score minus the score of the best answer, by question.
      answerable: whether the question has an answer, by question.
    """
    current = float(sum(not there for there in answerable.values()))
    best, threshold = current, 0.0
    for name in sorted(null_odds, key=lambda name: null_odds[name]):
        # A question whose odds equal the threshold is answered.
        current += scores[name] if answerable[name] else -1.0
        if current > best:
            best, threshold = current, null_odds[name]
    return best / max(len(scores), 1), threshold
