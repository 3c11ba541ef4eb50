"""TensorFlow ops from the raw strings of examples to the texts of the model's sequences."""

import tensorflow as tf

# White space as defined by Python's str.isspace().
SPACE = r"[\t-\r\x1c-\x20\x{85}\p{Z}]"
# RACE marks the gap for the choice with one or more underscores, optionally separated and surrounded by spaces.
GAP = f"{SPACE}*_(?:{SPACE[:-1]}_]*_)?{SPACE}*"
BLANK = r"#idiom\d*#"
# CLUEWSC2020: before and after the noun, before and after the pronoun, as in CLUE's baseline.
MARKS = ("_", "_", "[", "]")
# Maximum number of characters of a span that are compared to find it in a text.
COMPARED = 512


def clean(texts: tf.Tensor) -> tf.Tensor:
    """Removes bytes that are not valid UTF-8 from texts, string of any shape."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")


def fill(questions: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
    """Puts each choice into the gap of its question, as in `… is _ .`, or at the end unless there is exactly one gap.

    Args:
      questions, choices: string [n].

    Returns:
      string [n].
    """
    parts = tf.strings.split(tf.strings.regex_replace(questions, GAP, "_"), "_")
    first, second = (parts[:, index : index + 1].to_tensor("", shape=[None, 1])[:, 0] for index in (0, 1))
    return tf.where(
        parts.row_lengths() == 2,
        tf.strings.join([first, choices, second], " "),
        tf.strings.join([questions, choices], " "),
    )


def choice_rows(contexts: tf.Tensor, questions: tf.Tensor, choices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the two texts of each choice's sequence: the context, and the question with the choice.

    Args:
      contexts, questions: string [batch].
      choices: string [batch, n].

    Returns:
      Two tensors, string [batch * n].
    """
    count = tf.shape(choices)[1]
    return tf.repeat(contexts, count), fill(tf.repeat(questions, count), tf.reshape(choices, [-1]))


def idiom_rows(
    contexts: tf.Tensor, questions: tf.Tensor, choices: tf.Tensor, max_seq_length: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the two texts of each idiom's sequence: the idiom, and the text with the idiom in the blank.

    Other blanks are removed. A long text is truncated on both sides of the blank, as in CLUE's baseline. The tokenizer
    would truncate only its end.

    Args:
      contexts: string [batch], texts with blanks, such as `#idiom000123#`.
      questions: string [batch], the name of the blank to fill, "" for the first one.
      choices: string [batch, n].
      max_seq_length: maximum number of fine tokens.

    Returns:
      Two tensors, string [batch * n].
    """
    contexts, questions, choices = clean(contexts), clean(questions), clean(choices)
    first_blank = tf.strings.regex_replace(contexts, rf"(?s)^.*?({BLANK}).*$", r"\1", replace_global=False)
    blanks = tf.where(questions == "", first_blank, questions)
    size = _length(contexts)
    place = find(contexts, blanks, tf.zeros_like(size))
    # If the text has no such blank, append the idiom.
    place, end = (tf.where(place < 0, size, at) for at in (place, place + _length(blanks)))
    before, after = _part(contexts, 0 * size, place), _part(contexts, end, size)
    before, after = (tf.strings.regex_replace(part, BLANK, "") for part in (before, after))
    lengths = tf.concat([_length(choices), tf.zeros([tf.shape(choices)[0], 1], tf.int32)], 1)
    room = tf.maximum(max_seq_length - 3 - 2 * tf.reduce_max(lengths, axis=1), 2)
    before_length, after_length = _length(before), _length(after)
    left = tf.minimum(before_length, tf.maximum(room // 2, room - after_length))
    before = _part(before, before_length - left, before_length)
    after = _part(after, 0 * left, tf.minimum(room - left, after_length))
    count = tf.shape(choices)[1]
    idioms = tf.reshape(choices, [-1])
    return idioms, tf.strings.join([tf.repeat(before, count), idioms, tf.repeat(after, count)])


def marked_texts(
    texts: tf.Tensor, spans: tuple[tf.Tensor, tf.Tensor], indices: tuple[tf.Tensor, tf.Tensor], max_seq_length: int
) -> tf.Tensor:
    """Marks the noun and the pronoun in CLUEWSC2020's texts: `_noun_`, `[pronoun]`.

    A long text is truncated to the part around both spans.

    Args:
      texts: string [batch].
      spans: the noun and the pronoun, string [batch].
      indices: the character positions where they start, int32 [batch]. If a span occurs several times, the occurrence
        closest to its index is marked. If it does not occur, its index is used as it is.
      max_seq_length: maximum number of fine tokens.

    Returns:
      string [batch].
    """
    texts = clean(texts)
    size = _length(texts)
    places = []
    for span, index in zip(map(clean, spans), indices, strict=True):
        near = tf.clip_by_value(index, 0, size)
        found = find(texts, span, near)
        begin = tf.where(found < 0, near, found)
        places += [begin, tf.minimum(begin + _length(span), size)]
    first, last = tf.minimum(places[0], places[2]), tf.maximum(places[1], places[3])
    room = tf.maximum(max_seq_length - 2 - len(MARKS) - (last - first), 0)
    begin = tf.maximum(0, tf.minimum(first - room // 2, size - (last - first) - room))
    end = tf.maximum(last, begin + room + last - first)
    # At the same position, closing marks come first, so that adjacent spans do not overlap.
    at = tf.stack(places, axis=1)
    order = tf.argsort(at * len(MARKS) + tf.constant([3, 1, 2, 0]), axis=1)
    at, marks = tf.gather(at, order, batch_dims=1), tf.gather(tf.constant(MARKS), order)
    bounds = [0 * size, *tf.unstack(at, axis=1), size]
    pieces = [_part(texts, bounds[0], bounds[1])]
    for index in range(len(MARKS)):
        pieces += [marks[:, index], _part(texts, bounds[index + 1], bounds[index + 2])]
    return _part(tf.strings.join(pieces), begin, tf.minimum(end, size) + len(MARKS))


def find(texts: tf.Tensor, spans: tf.Tensor, near: tf.Tensor) -> tf.Tensor:
    """Returns the character positions of spans in texts.

    Args:
      texts, spans: string [batch], UTF-8. Only the first 512 characters of a span are compared.
      near: int32 [batch]. If a span occurs several times, the occurrence closest to this position is returned, or the
        first one if two are equally close.

    Returns:
      int32 [batch], -1 if the span does not occur.
    """
    characters = tf.strings.unicode_decode(texts, "UTF-8")
    wanted = tf.strings.unicode_decode(spans, "UTF-8")[:, :COMPARED]
    lengths = tf.cast(wanted.row_lengths(), tf.int32)
    pattern = tf.concat([wanted.to_tensor(-1), tf.fill([tf.size(lengths), 1], -1)], 1)
    rows = tf.cast(characters.value_rowids(), tf.int32)
    starts, ends = (tf.cast(tf.gather(of, rows), tf.int32) for of in (characters.row_starts(), characters.row_limits()))
    values = tf.concat([characters.flat_values, [-1]], 0)
    every = tf.range(tf.size(rows))
    length = tf.gather(lengths, rows)

    def body(offset: tf.Tensor, matches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        at = every + offset
        same = tf.gather(values, tf.minimum(at, tf.size(rows))) == tf.gather(pattern[:, offset], rows)
        return offset + 1, matches & ((offset >= length) | ((at < ends) & same))

    longest = tf.reduce_max(tf.concat([lengths, [0]], 0))
    _, matches = tf.while_loop(
        lambda offset, matches: (offset < longest) & tf.reduce_any(matches), body, (0, length > 0)
    )
    distance = every - starts - tf.gather(near, rows)
    key = tf.where(matches, 2 * tf.abs(distance) + tf.cast(distance > 0, tf.int32), tf.int32.max)
    best = tf.math.unsorted_segment_min(key, rows, tf.size(near))
    return tf.where(best == tf.int32.max, -1, near + tf.where(best % 2 == 1, best // 2, -(best // 2)))


def _length(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(texts, "UTF8_CHAR")


def _part(texts: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns characters `begin` to `end` (exclusive) of each text."""
    return tf.strings.substr(texts, begin, tf.maximum(end - begin, 0), "UTF8_CHAR")
