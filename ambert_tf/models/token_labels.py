"""Spans of texts to a tag per token, and logits of tags back to spans, in graph: the two ends of sequence labelling.

The first piece of a word stands for the word, as in BERT (Devlin et al., 2019, §5.3). In Chinese every character is a
word; in English, what lies between white space and punctuation. So a span begins and ends where a word does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.models.linear_chain import viterbi
from ambert_tf.models.tagging_schemes import OUTSIDE, SCHEMES, TagSet, split_tag
from ambert_tf.tokenization.windows import inner_positions

# Start and end of what fills up the spans of a text.
NO_SPAN = np.iinfo(np.int32).max
_ROW = 2**32  # Two int32 in an int64, for sorting and searching in all texts at once.


class Entities(NamedTuple):
    """Labelled spans of texts, in their order; none of a text overlap.

    Attributes:
      label: int32 [texts, (spans)]; index of the label.
      start, end: int32 [texts, (spans)]; bytes of the text.
      score: float32 [texts, (spans)]; the mean probability of the tags of its words.
    """

    label: tf.RaggedTensor
    start: tf.RaggedTensor
    end: tf.RaggedTensor
    score: tf.RaggedTensor


def tag_targets(tag_set: TagSet, windows: Mapping[str, Any], spans: tf.Tensor) -> tf.RaggedTensor:
    """Returns the tags that training predicts.

    A word that overlaps a span belongs to it. A span that begins or ends outside of a window has no tags in it.

    Args:
      tag_set: the tags.
      windows: see `task_inputs`.
      spans: int32 [texts, spans, 3]; first byte, byte after the last, and index of the label, in order and without
        overlaps, padded with `NO_SPAN`.

    Returns:
      int32 [windows, (fine_length)]; the index of the tag plus 1, or 0 for a position without one.
    """
    window = _rows(windows["context_starts"])
    starts, ends = windows["context_starts"].flat_values, windows["context_ends"].flat_values
    begins = windows["begins_word"].flat_values
    first, word = _words(begins, window)
    word_window = tf.gather(window, first)
    text = tf.gather(windows["window_example"], word_window)
    word_end = tf.math.segment_max(ends, word)

    of_text = tf.repeat(tf.range(tf.shape(spans)[0]), tf.shape(spans)[1])
    flat = tf.reshape(spans, [-1, 3])
    real = flat[:, 0] != NO_SPAN
    of_text, flat = tf.boolean_mask(of_text, real), tf.boolean_mask(flat, real)
    # The first span that ends after the start of the word.
    span = tf.searchsorted(_key(of_text, flat[:, 1]), _key(text, tf.gather(starts, first)), side="right")
    # One more, for words after the last span.
    of_text, flat = tf.pad(of_text, [[0, 1]], constant_values=-1), tf.pad(flat, [[0, 1], [0, 0]])
    span_start, span_end, label = tf.unstack(tf.gather(flat, span), axis=1)
    found = (tf.gather(of_text, span) == text) & (span_start < word_end)

    number = tf.where(found, span, -1)
    same = found[1:] & (number[1:] == number[:-1]) & (word_window[1:] == word_window[:-1])
    continues = tf.concat([tf.zeros_like(found[:1]), same], axis=0)
    is_last = ~tf.concat([same, tf.zeros_like(found[:1])], axis=0)
    prefixes = SCHEMES[tag_set.scheme]  # of the first, an inner and the last token, and of a single one
    place = tf.where(continues, tf.where(is_last, 2, 1), tf.where(is_last, 3, 0))
    prefix = tf.gather(tf.constant([tag_set.prefixes.index(each) for each in prefixes]), place)
    tag = int(tag_set.outside) + label * len(tag_set.prefixes) + prefix

    other = windows["window_example"][1:] != windows["window_example"][:-1]
    first_window, last_window = tf.concat([[True], other], axis=0), tf.concat([other, [True]], axis=0)
    cut = ~tf.gather(first_window, word_window) & (
        span_start < tf.gather(tf.reduce_min(windows["context_starts"], axis=1), word_window)
    )
    cut |= ~tf.gather(last_window, word_window) & (
        span_end > tf.gather(tf.reduce_max(windows["context_ends"], axis=1), word_window)
    )
    target = tf.where(found, tf.where(cut, 0, tag + 1), int(tag_set.outside))
    values = tf.where(begins, tf.gather(target, word), 0)
    sequences = windows["fine_input_ids"]
    places = inner_positions(windows["context_starts"])
    return sequences.with_flat_values(tf.scatter_nd(places[:, tf.newaxis], values, tf.shape(sequences.flat_values)))


def find_entities(
    tag_set: TagSet, logits: tf.Tensor, windows: Mapping[str, Any], texts: tf.Tensor | int, transitions: tf.Tensor
) -> Entities:
    """Finds the best sequence of tags of each text, and returns its spans.

    The logits of a token are those of the window in which it has the most context. The best sequence is that of the
    whole text, so that spans may cross the edges of windows, and never contains a transition that is not allowed.

    Args:
      tag_set: the tags.
      logits: float32 [windows, fine_length, tags].
      windows: see `task_inputs`.
      texts: number of texts.
      transitions: float32 [tags + 1, tags + 1]; see `linear_chain`.
    """
    window = _rows(windows["context_starts"])
    position = tf.ragged.range(windows["context_starts"].row_lengths()).flat_values
    position = tf.cast(position, tf.int32)
    chosen = tf.where(windows["max_context"].flat_values > 0)[:, 0]
    window, position = tf.gather(window, chosen), tf.gather(position, chosen)
    text = tf.gather(windows["window_example"], window)
    order = tf.argsort(_key(text, tf.gather(windows["first_token"], window) + position), stable=True)
    window, position, text, chosen = (tf.gather(values, order) for values in (window, position, text, chosen))
    starts, ends, begins = (
        tf.gather(windows[name].flat_values, chosen) for name in ("context_starts", "context_ends", "begins_word")
    )
    first, word = _words(begins, text)
    offset = tf.gather(windows["context_offset"], tf.gather(window, first))
    places = tf.stack([tf.gather(window, first), offset + tf.gather(position, first)], axis=1)
    word_logits = tf.gather_nd(logits, places)
    word_start, word_end = tf.gather(starts, first), tf.math.segment_max(ends, word)
    word_text = tf.gather(text, first)

    rows = tf.RaggedTensor.from_value_rowids(word_logits, word_text, texts, validate=False)
    lengths = tf.cast(rows.row_lengths(), tf.int32)
    found = viterbi(rows.to_tensor(shape=[None, None, len(tag_set.tags)]), lengths, transitions)
    tag = tf.RaggedTensor.from_tensor(found, lengths).flat_values
    probability = tf.gather(tf.nn.softmax(word_logits), tag, batch_dims=1)

    split = [split_tag(each) for each in tag_set.tags]
    _, inner, last, _ = SCHEMES[tag_set.scheme]
    inside = tf.gather(tf.constant([prefix != OUTSIDE for prefix, _ in split]), tag)
    continues = tf.gather(tf.constant([prefix in (inner, last) for prefix, _ in split]), tag)
    label_of_tag = [0 if prefix == OUTSIDE else tag_set.labels.index(label) for prefix, label in split]
    # The first word of a text continues nothing, so the words of all texts may be compared with the next one.
    is_first = inside & ~continues
    is_last = inside & ~tf.concat([continues[1:], tf.zeros_like(continues[:1])], axis=0)
    begin, end = (tf.where(flags)[:, 0] for flags in (is_first, is_last))
    number = tf.cumsum(tf.cast(tf.boolean_mask(is_first, inside), tf.int32)) - 1
    score = tf.math.segment_mean(tf.boolean_mask(probability, inside), number)
    row = tf.gather(word_text, begin)

    def ragged(values: tf.Tensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(values, row, texts, validate=False)

    return Entities(
        ragged(tf.gather(tf.constant(label_of_tag), tf.gather(tag, begin))),
        ragged(tf.gather(word_start, begin)),
        ragged(tf.gather(word_end, end)),
        ragged(score),
    )


def _rows(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.value_rowids(), tf.int32)


def _words(begins: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the index of the first token of each word, and the word of each token.

    Args:
      begins: bool [tokens]; whether the token is the first piece of its word.
      row: int32 [tokens]; a word does not continue beyond its row.
    """
    starts = begins | tf.concat([tf.ones_like(begins[:1]), row[1:] != row[:-1]], axis=0)
    return tf.where(starts)[:, 0], tf.cumsum(tf.cast(starts, tf.int32)) - 1


def _key(row: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    return tf.cast(row, tf.int64) * _ROW + tf.cast(value, tf.int64)
