"""Sequence labelling: labelled spans of texts."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.files import is_file, read_bytes
from ambert_tf.finetuning.form import Form, Logits
from ambert_tf.finetuning.result_files import CONFUSION_LABELS, label_table, write_json_list
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples, byte_spans
from ambert_tf.models.tagging_schemes import Span, TagSet
from ambert_tf.models.task_config import TaskConfig
from ambert_tf.models.token_labels import find_entities
from ambert_tf.outputs import atomic_path
from ambert_tf.tasks.declaration import TaggedText, Task
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.sequence_labelling_files import WORD, cluener_line
from ambert_tf.tasks.sequence_labelling_metrics import NONE, confused_labels, entity_scores, word_scores
from ambert_tf.tasks.tagged_texts import read_tagged_texts

# The words of the training data, for the recall of others. In the model directory, one per line.
KNOWN_WORDS_FILE = "train_words.txt"
# Texts that one call of the search takes.
TEXTS_AT_ONCE = 64
# Lines of the list of confused labels, if there are too many for a table.
MOST_CONFUSED = 50


class Found(NamedTuple):
    """A predicted span of characters, and its score."""

    span: Span
    score: float


class TokenForm(Form):
    """See `Form`."""

    def __init__(self, task: Task, config: TaskConfig) -> None:
        super().__init__(task, config)
        self.is_segmentation = config.labels == (WORD,)
        self.known_words: frozenset[str] | None = None

    def read(self, records: Iterable[Record], split: str, files: tuple[str, ...], needs_labels: bool) -> Split:
        examples, counts = read_tagged_texts(self.task, records, split, self.config.labels, needs_labels)
        if split == "train" and self.is_segmentation:
            self.known_words = frozenset(
                example.inputs.text[span.start : span.end] for example in examples for span in example.spans or ()
            )
        return Split(split, files, examples, counts)

    def write_facts(self, output_dir: str) -> None:
        if self.known_words is not None:
            path = os.path.join(output_dir, KNOWN_WORDS_FILE)
            with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                file.writelines(f"{word}\n" for word in sorted(self.known_words))

    def read_facts(self, model_dir: str) -> None:
        path = os.path.join(model_dir, KNOWN_WORDS_FILE)
        if self.known_words is None and is_file(path):
            self.known_words = frozenset(read_bytes(path).decode().splitlines())

    def predicted(self, logits: Logits, data: TokenizedExamples, head: str = "joint") -> list[list[Found]]:
        """Returns the predicted spans of each text by one head's logits."""
        return decode(self.config, logits.by_head[head], data, logits.transitions[head])

    def scores(self, logits: Logits, data: TokenizedExamples, heads: Iterable[str]) -> dict[str, float]:
        results: dict[str, float] = {}
        for head in heads:
            scores = self._scores(_spans(self.predicted(logits, data, head)), data.split.examples)
            if head != "joint":  # Scores by label would be too many.
                scores = {f"{head}_{name}": scores[name] for name in self.task.metrics if name in scores}
            results.update(scores)
        return results

    def _scores(self, predicted: Sequence[Sequence[Span]], examples: Sequence[TaggedText]) -> dict[str, float]:
        right = [example.spans or () for example in examples]
        if not self.is_segmentation:
            return entity_scores(predicted, right)
        texts = [example.inputs.text for example in examples]
        scores = word_scores(texts, predicted, right, self.known_words or ())
        if self.known_words is None:
            scores = {name: value for name, value in scores.items() if not name.startswith("oov_")}
        return scores

    def table(self, logits: Logits, data: TokenizedExamples) -> list[str]:
        if self.is_segmentation:
            return []
        right = [example.spans or () for example in data.split.examples]
        confused = confused_labels(_spans(self.predicted(logits, data)), right)
        labels = self.config.labels
        if len(labels) <= CONFUSION_LABELS:
            return label_table(confused, (*labels, NONE))
        wrong = [item for item in confused.items() if item[0][0] != item[0][1]][:MOST_CONFUSED]
        return ["confused labels (gold label, predicted label, count)"] + [
            f"{ours}  {theirs}  {count}" for (ours, theirs), count in wrong
        ]

    def write_evaluation(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> dict[str, float]:
        self._write(output_dir, self.predicted(logits, data), data.split.examples)
        return {"reachable_entities": self._reachable(data)}

    def _reachable(self, data: TokenizedExamples) -> int:
        """Returns how many right spans begin and end where words do, as predicted ones always do."""
        windows = data.windows
        window = windows["context_starts"].value_rowids().numpy()
        counts = windows["context_starts"].row_lengths().numpy()
        index = np.concatenate([np.arange(count) for count in counts]) if len(counts) else counts
        index = index + windows["first_token"].numpy()[window]
        text = windows["window_example"].numpy()[window].astype(np.int64)
        # A token may be in several windows.
        _, chosen = np.unique(text << 32 | index, return_index=True)
        text = text[chosen]
        starts, ends, begins = (
            windows[name].flat_values.numpy()[chosen] for name in ("context_starts", "context_ends", "begins_word")
        )
        ends_word = np.append(begins[1:] | (text[1:] != text[:-1]), True)[: len(begins)]
        spans = byte_spans(data.split.examples, self.config.labels)
        owner = spans.value_rowids().numpy()
        start, end, _ = spans.flat_values.numpy().T
        at_start = np.isin(owner << 32 | start, (text << 32 | starts)[begins])
        return int((at_start & np.isin(owner << 32 | end, (text << 32 | ends)[ends_word])).sum())

    def write_predictions(self, output_dir: str, logits: Logits, data: TokenizedExamples) -> None:
        found, examples = self.predicted(logits, data), data.split.examples
        self._write(output_dir, found, examples)
        if self.task.leaderboard is not None:
            path = os.path.join(output_dir, self.task.leaderboard.file)
            with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                for example, spans in zip(examples, _spans(found), strict=True):
                    file.write(cluener_line(example.id, example.inputs.text, spans))

    def _write(self, output_dir: str, found: Sequence[Sequence[Found]], examples: Sequence[TaggedText]) -> None:
        """Writes `predictions.json`: of each text its id, itself, and its spans, in characters."""

        def objects() -> Iterator[dict[str, Any]]:
            for example, spans in zip(examples, found, strict=True):
                text = example.inputs.text
                entities = [
                    {
                        "label": span.label,
                        "text": text[span.start : span.end],
                        "start": span.start,
                        "end": span.end,
                        "score": score,
                    }
                    for span, score in spans
                ]
                yield {"id": example.id, "text": text, "entities": entities}

        write_json_list(output_dir, objects())


def _spans(found: Sequence[Sequence[Found]]) -> list[list[Span]]:
    return [[one.span for one in of_text] for of_text in found]


def decode(
    config: TaskConfig, logits: np.ndarray, data: TokenizedExamples, transitions: np.ndarray
) -> list[list[Found]]:
    """Returns the predicted spans of each text.

    Args:
      config: the tags.
      logits: float32 [windows, fine_length, tags].
      data: the windows.
      transitions: see `find_entities`.
    """
    search = _search_function(config.tag_set)
    owners = data.windows["window_example"].numpy()
    found: list[list[Found]] = []
    for first in range(0, len(data.split.examples), TEXTS_AT_ONCE):
        examples = data.split.examples[first : first + TEXTS_AT_ONCE]
        rows = slice(*np.searchsorted(owners, [first, first + len(examples)]))
        windows = {name: values[rows] for name, values in data.windows.items()}
        windows["window_example"] -= first
        entities = search(tf.constant(logits[rows]), windows, tf.constant(len(examples)), tf.constant(transitions))
        columns = [values.to_list() for values in entities]
        for example, *values in zip(examples, *columns, strict=True):
            characters = _character_of_byte(example.inputs.text)
            found.append(
                [
                    Found(Span(int(characters[start]), int(characters[end]), config.labels[label]), score)
                    for label, start, end, score in zip(*values, strict=True)
                ]
            )
    return found


def _character_of_byte(text: str) -> np.ndarray:
    """Returns the character that each byte of a text in UTF-8 belongs to, and the number of characters after it."""
    content = np.frombuffer(text.encode(), np.uint8)
    starts = (content & 0xC0) != 0x80
    return np.concatenate([np.cumsum(starts) - 1, [starts.sum()]])


@functools.lru_cache(maxsize=8)
def _search_function(tag_set: TagSet) -> Callable[..., Any]:
    """Returns the search as a graph. Tracing takes seconds, so graphs are cached."""

    def search(logits: tf.Tensor, windows: Mapping[str, Any], texts: tf.Tensor, transitions: tf.Tensor) -> Any:
        return find_entities(tag_set, logits, windows, texts, transitions)

    return tf.function(search, autograph=False, reduce_retracing=True)
