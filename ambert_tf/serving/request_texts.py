"""The texts of the tasks' sequences, in graph: what `ambert_tf/tasks` makes of records, made of a request's strings."""

import tensorflow as tf

# White space as Python's str.isspace() has it.
SPACE = r"[\t-\r\x1c-\x20\x{85}\p{Z}]"
GAP = f"{SPACE}*_(?:{SPACE[:-1]}_]*_)?{SPACE}*"
BLANK = r"#idiom\d*#"
# Marks around the noun and the pronoun of CLUEWSC2020.
MARKS = ("_", "_", "[", "]")
# Characters of a span that are compared with the text to find it.
COMPARED = 512


def clean(texts: tf.Tensor) -> tf.Tensor:
    """Returns texts, string of any shape, without bytes that are no UTF-8."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")


def of_one_batch(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the inputs; what is computed from them fails with one line where they are not of one batch size."""
    (first, size), *others = ((name, tf.shape(value)[0]) for name, value in inputs.items())
    same = [
        tf.debugging.assert_equal(size, other, f"{first} and {name} must have the same batch size")
        for name, other in others
    ]
    # Otherwise another operation may fail first: the order of an assertion and what reads its inputs is open.
    with tf.control_dependencies(same if not tf.executing_eagerly() else []):
        return {name: tf.identity(value) for name, value in inputs.items()}


def fill(questions: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
    """Returns questions with the choice in their gap, `… is _ .`, if they have just one, else behind them; string [n].

    White space at both ends, which is no token, may differ from that of the tasks' texts.
    """
    parts = tf.strings.split(tf.strings.regex_replace(questions, GAP, "_"), "_")
    first, second = (parts[:, index : index + 1].to_tensor("", shape=[None, 1])[:, 0] for index in (0, 1))
    return tf.where(
        parts.row_lengths() == 2,
        tf.strings.join([first, choices, second], " "),
        tf.strings.join([questions, choices], " "),
    )


def choice_rows(contexts: tf.Tensor, questions: tf.Tensor, choices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both texts of each choice's sequence, string [batch * n]: the context, and the question with the choice.

    Args:
      contexts, questions: string [batch].
      choices: string [batch, n].
    """
    count = tf.shape(choices)[1]
    return tf.repeat(contexts, count), fill(tf.repeat(questions, count), tf.reshape(choices, [-1]))


def idiom_rows(
    contexts: tf.Tensor, questions: tf.Tensor, choices: tf.Tensor, max_seq_length: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns both texts of each idiom's sequence, string [batch * n]: it, and the text around the blank with it.

    Other blanks are left out. Of a long text the characters next to the blank are kept.

    Args:
      contexts: string [batch]; texts with blanks, such as `#idiom000123#`.
      questions: string [batch]; the blank that is asked for, "" for the first one.
      choices: string [batch, n].
      max_seq_length: fine tokens at most.
    """
    contexts, questions, choices = clean(contexts), clean(questions), clean(choices)
    first_blank = tf.strings.regex_replace(contexts, rf"(?s)^.*?({BLANK}).*$", r"\1", replace_global=False)
    blanks = tf.where(questions == "", first_blank, questions)
    size = _length(contexts)
    place = find(contexts, blanks, tf.zeros_like(size))
    # Where there is no such blank the idiom stands behind the text.
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
    """Returns CLUEWSC2020's texts with `_noun_` and `[pronoun]`, string [batch].

    Of a text too long for the model the part around both is kept. A span that is not in the text is taken to be where
    its index says.

    Args:
      texts: string [batch].
      spans: the noun and the pronoun, string [batch].
      indices: where they begin, int32 [batch], in characters; of a span that is elsewhere the nearest place is taken.
      max_seq_length: fine tokens at most.
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
    # The order that the tasks' code leaves marks at one place in: closing ones first, of each kind the later one.
    at = tf.stack(places, axis=1)
    order = tf.argsort(at * len(MARKS) + tf.constant([3, 1, 2, 0]), axis=1)
    at, marks = tf.gather(at, order, batch_dims=1), tf.gather(tf.constant(MARKS), order)
    bounds = [0 * size, *tf.unstack(at, axis=1), size]
    pieces = [_part(texts, bounds[0], bounds[1])]
    for index in range(len(MARKS)):
        pieces += [marks[:, index], _part(texts, bounds[index + 1], bounds[index + 2])]
    return _part(tf.strings.join(pieces), begin, tf.minimum(end, size) + len(MARKS))


def find(texts: tf.Tensor, spans: tf.Tensor, near: tf.Tensor) -> tf.Tensor:
    """Returns where spans are in texts, int32 [batch]: of several places the nearest to `near`, -1 for none.

    Args:
      texts, spans: string [batch], UTF-8. Of a span the first 512 characters count.
      near: int32 [batch], in characters, as what is returned.
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
    # Of two places equally near the first.
    key = tf.where(matches, 2 * tf.abs(distance) + tf.cast(distance > 0, tf.int32), tf.int32.max)
    best = tf.math.unsorted_segment_min(key, rows, tf.size(near))
    return tf.where(best == tf.int32.max, -1, near + tf.where(best % 2 == 1, best // 2, -(best // 2)))


def _length(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(texts, "UTF8_CHAR")


def _part(texts: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns the characters from `begin` to before `end` of each text."""
    return tf.strings.substr(texts, begin, tf.maximum(end - begin, 0), "UTF8_CHAR")
