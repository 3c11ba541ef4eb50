"""Readers of sequence labelling files: CoNLL columns, JSON with spans, segmented text and words with tags.

A record has `text` and, where the file has labels, `spans`: `Span`s of characters of the text, none of which overlap.
JSON records also have `id` if the file has one. Records of columns have `span_lines`, the lines in which the spans
begin. `misplaced_tags` and `overlapping_entities` count the tags and entities that a reader had to correct or drop. In
files to predict, texts need no labels, and a text without labels is taken as it is, with its spaces and slashes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from ambert_tf.errors import InputError
from ambert_tf.models.tagging_schemes import Span, TagError, find_scheme, spans_of_tags, without_overlaps
from ambert_tf.tasks.declaration import FILE_FLAGS
from ambert_tf.tasks.json_lines import Record, read_json_lines, shown, text_lines

# The label of the spans of word segmentation.
WORD = "word"

RecordReader = Callable[[str, str], Iterator[Record]]

_TAG = re.compile(r"O|[BIMES](-.+)?")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_SPACE_BETWEEN_CJK = re.compile(rf"(?<={_CJK.pattern})\s+(?={_CJK.pattern})")
# Files with fewer tokens of several characters have a character per token.
_SHARE_OF_WORDS = 0.2
# Files to predict with fewer spaces between Chinese characters, relative to these, are not segmented.
_SHARE_OF_SPACES = 0.1
# Of texts to predict, what may be a tag: not the end of a date or of a Chinese sentence.
_PLAUSIBLE_TAG = re.compile(r"(?![0-9])[\x21-\x7e]+")
# People's Daily: the article number at the start of a line.
_ARTICLE = re.compile(r"\d{8}-\d{2}-\d{3}-\d{3}/m")


def conll_columns(
    tag_column: int = -1, token_column: int = 0, scheme: str | None = None, position_digits: bool = False,
    strict: bool = True,
) -> RecordReader:  # fmt: skip
    """Returns a reader of CoNLL's columns, separated by tabs or spaces, with an empty line between sentences.

    Lines that begin with `-DOCSTART-` and comments, which begin with `#` and do not end in a tag, are skipped. In a
    file to predict, a line that consists of one word that begins with `#` is not a comment. Tokens are joined by
    spaces, except for Chinese, Japanese and files with one character per token. Spaces of other kinds, such as a
    no-break space, are parts of tokens.

    Args:
      tag_column: index of the column with tags; -1 is the last one.
      token_column: index of the column with tokens.
      scheme: see `tagging_schemes`. By default, it is detected from all tags of the file.
      position_digits: whether digits follow each character, which give its position in its word (Weibo NER).
      strict: whether a tag that does not continue the tags before it, such as I after O, is an error. Otherwise it
        begins a new entity, as in CoNLL's evaluation, and a warning says how many there are.

    The reader raises an InputError for a line with too few columns, an unknown tag or mixed schemes.
    """

    def read(path: str, flag: str) -> Iterator[Record]:
        sentences = list(_conll_sentences(path, flag, tag_column, token_column, position_digits))
        if not sentences:
            raise InputError(f"--{flag}: {path} has no sentences")
        try:
            found = scheme or find_scheme(tags or () for _, _, tags in sentences)
        except TagError as error:
            line = sentences[error.sequence][0][error.position]
            raise InputError(f"{path}, line {line}: {error}") from None
        all_tokens = [token for _, tokens, _ in sentences for token in tokens]
        spaced = (
            2 * sum(bool(_CJK.search(token)) for token in all_tokens) < len(all_tokens)
            and sum(len(token) > 1 for token in all_tokens) > _SHARE_OF_WORDS * len(all_tokens)
        )  # fmt: skip
        count = 0
        for lines, tokens, tags in sentences:
            between = " " if spaced else ""
            if tags is None:
                yield Record(path, lines[0], {"text": between.join(tokens)})
                continue
            try:
                spans, faults = spans_of_tags(tags, found)
            except TagError as error:
                raise InputError(f"{path}, line {lines[error.position]}: {error}") from None
            if faults and strict:
                index, message = faults[0]
                raise InputError(f"{path}, line {lines[index]}: {message}, which does not form an entity in {found}")
            count += len(faults)
            more: dict[str, Any] = {"span_lines": [lines[span.start] for span in spans]}
            if faults:
                more["misplaced_tags"] = len(faults)
            yield Record(path, lines[0], {**joined(tokens, spans, between), **more})
        if count:
            logging.warning("%s: %d tags do not continue the tags before them; they begin entities", path, count)

    return read


def _conll_sentences(
    path: str, flag: str, tag_column: int, token_column: int, position_digits: bool
) -> Iterator[tuple[list[int], list[str], list[str] | None]]:
    """Yields the line numbers, tokens and tags of each sentence; None for tags if some have none."""
    lines: list[int] = []
    tokens: list[str] = []
    tags: list[str] = []
    may_lack_tags = flag == FILE_FLAGS["test"]
    needed = max(token_column + 1, tag_column + 1, -tag_column, 2)
    for number, line in text_lines(path, flag):
        columns = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
        if len(columns) == 1 and line.startswith(" ") and columns[0]:
            columns = [" ", columns[0]]  # The token is a space.
        columns = [column.strip() if index != token_column else column for index, column in enumerate(columns)]
        if not line.strip() or line.startswith("-DOCSTART-"):
            if tokens:
                yield lines, tokens, tags if len(tags) == len(tokens) else None
            lines, tokens, tags = [], [], []
            continue
        has_tag = len(columns) >= needed and _TAG.fullmatch(columns[tag_column])
        if line.startswith("#") and not has_tag and not (may_lack_tags and len(columns) == 1):
            continue
        tagged = len(columns) >= needed
        if not tagged and not (may_lack_tags and len(columns) > token_column):
            raise InputError(
                f"{path}, line {number}: has {len(columns)} columns ({shown(line)}); a token and a tag are expected, "
                "separated by a tab or spaces"
            )
        token, tag = columns[token_column], columns[tag_column] if tagged else ""
        if tagged and not _TAG.fullmatch(tag):
            raise InputError(f"{path}, line {number}: {shown(tag)} is not a tag such as B-PER, I-PER or O")
        if position_digits:
            # Half an emoji is two replacement characters in Weibo NER, so a token may have more than one character.
            found = re.fullmatch(r"(.+?)\d+", token, re.DOTALL)
            if not found:
                raise InputError(f"{path}, line {number}: {shown(token)} has no digit for the position in its word")
            token = found[1]
        lines.append(number)
        tokens.append(token)
        tags += [tag] * tagged
    if tokens:
        yield lines, tokens, tags if len(tags) == len(tokens) else None


def joined(tokens: Sequence[str], spans: Iterable[Span], between: str) -> dict[str, Any]:
    """Returns the text of tokens, and spans of tokens as spans of characters."""
    starts, position = [], 0
    for token in tokens:
        starts.append(position)
        position += len(token) + len(between)
    return {
        "text": between.join(tokens),
        "spans": [Span(starts[s.start], starts[s.end - 1] + len(tokens[s.end - 1]), s.label) for s in spans],
    }


def json_spans(key: str = "entities", end_inclusive: bool = False, byte_offsets: bool = False) -> RecordReader:
    """Returns a reader of JSON lines with a `text` and its entities.

    The entities are a list of objects with `label`, `start`, `end` and possibly `text`, or of lists `[start, end,
    label]`; or, as in CLUENER, objects of labels, strings and places: `{"name": {"叶老桂": [[9, 11]]}}`. Lines without
    the key are for prediction. Overlapping entities are left out and counted in a warning: a tag per token cannot
    express them.

    Args:
      key: the key of the entities.
      end_inclusive: whether `end` is the last character rather than the one after it.
      byte_offsets: whether `start` and `end` count bytes of UTF-8 rather than characters.

    The reader raises an InputError for an entity outside of the text, or one that differs from the given string.
    """

    def read(path: str, flag: str) -> Iterator[Record]:
        overlapping = 0
        for record in read_json_lines(path, flag):
            text = record.string("text")
            content: dict[str, Any] = {"text": text}
            if record.content.get("id") is not None:
                content["id"] = record.identifier("id")
            if record.content.get(key) is not None:
                spans = []
                for entity in _entities(record, key):
                    spans.append(_character_span(record, entity, text, end_inclusive, byte_offsets))
                content["spans"], left_out = without_overlaps(set(spans))
                if left_out:
                    content["overlapping_entities"] = left_out
                overlapping += left_out
            yield Record(path, record.line, content)
        if overlapping:
            logging.warning("%s: %d entities that overlap longer ones are left out", path, overlapping)

    return read


def _entities(record: Record, key: str) -> Iterator[Record]:
    """Yields the entities of a record, each as a record with `label`, `start`, `end` and possibly `text`."""
    value = record.value(key, (list, dict), "a list of entities, or an object of labels as in CLUENER")
    if isinstance(value, dict):
        for label, strings in value.items():
            if not isinstance(strings, dict):
                raise record.error(f"the entities of {label!r} are {shown(strings)}; an object of strings is expected")
            for text, places in strings.items():
                for place in places if isinstance(places, list) else [places]:
                    if not isinstance(place, list) or len(place) != 2:
                        raise record.error(f"the place of {shown(text)} is {shown(place)}; [start, end] is expected")
                    entity = {"label": label, "text": text, "start": place[0], "end": place[1]}
                    yield Record(record.path, record.line, entity)
        return
    for entity in value:
        if isinstance(entity, list) and len(entity) == 3:
            entity = dict(zip(("start", "end", "label"), entity, strict=True))
        if not isinstance(entity, dict):
            raise record.error(f"{key!r} contains {shown(entity)}; an object with label, start and end is expected")
        yield Record(record.path, record.line, entity)


def _character_span(record: Record, entity: Record, text: str, end_inclusive: bool, byte_offsets: bool) -> Span:
    label, start, end = entity.string("label"), entity.integer("start"), entity.integer("end") + end_inclusive
    if not label:
        raise record.error(f"the label of the entity from {start} to {end} is empty")
    length = len(text.encode()) if byte_offsets else len(text)
    if not 0 <= start < end <= length:
        raise record.error(f"the entity {shown(label)} from {start} to {end} is not inside the text of length {length}")
    if byte_offsets:
        try:
            start, end = (len(text.encode()[:offset].decode()) for offset in (start, end))
        except UnicodeDecodeError:
            raise record.error(f"the entity {shown(label)} from byte {start} to {end} cuts a character") from None
    given = entity.string("text", default=text[start:end])
    if text[start:end] != given:
        raise record.error(f"the entity {shown(given)} is not at {start}, where the text has {shown(text[start:end])}")
    return Span(start, end, label)


def cluener_line(identity: int | str, text: str, spans: Iterable[Span]) -> str:
    """Returns a line of `cluener_predict.json`, the leaderboard's file: the format of the data, end inclusive."""
    labels: dict[str, dict[str, list[list[int]]]] = {}
    for span in spans:
        places = labels.setdefault(span.label, {}).setdefault(text[span.start : span.end], [])
        places.append([span.start, span.end - 1])
    return json.dumps({"id": identity, "text": text, "label": labels}, ensure_ascii=False) + "\n"


def segmented_text(path: str, flag: str) -> Iterator[Record]:
    """Reads word segmentation in the format of the SIGHAN bakeoffs: a sentence per line, spaces between words.

    Each word is a span with the label `WORD`. A file to predict may also be text that is not segmented. Its spaces, for
    example those around English words, are kept.
    """
    lines = [(number, line) for number, line in text_lines(path, flag) if line.strip()]
    if flag == FILE_FLAGS["test"] and not _is_segmented(line for _, line in lines):
        yield from (Record(path, number, {"text": line}) for number, line in lines)
        return
    for number, line in lines:
        words = line.split()
        yield Record(path, number, joined(words, [Span(i, i + 1, WORD) for i in range(len(words))], ""))


def _is_segmented(lines: Iterable[str]) -> bool:
    """Returns whether spaces separate Chinese words, not only a few headings."""
    characters = spaces = 0
    for line in lines:
        characters += len(_CJK.findall(line))
        spaces += len(_SPACE_BETWEEN_CJK.findall(line))
    return spaces > _SHARE_OF_SPACES * characters


def tagged_words(separator: str = "/", between: str = "") -> RecordReader:
    """Returns a reader of part-of-speech tagging: a sentence per line, words such as `迈向/v`, spaces between them.

    Each word is a span with its tag as the label. Of the People's Daily, article numbers and the brackets around names
    of several words, `[中国/ns 政府/n]nt` or `]/nt`, are left out. A file to predict is taken as text without tags if
    not every word has one.

    Args:
      separator: what is between word and tag.
      between: what is between words in the text: nothing in Chinese, a space in English.

    The reader raises an InputError for a word without a tag.
    """

    closing = re.compile(rf"(.+{re.escape(separator)}[A-Za-z]+)\](?:{re.escape(separator)})?[A-Za-z]+")

    def items_of(line: str) -> list[str]:
        """Returns the words of a line with their tags, without what encloses several of them."""
        items = _ARTICLE.sub("", line).split()
        opened: list[int] = []
        for index, item in enumerate(items):
            word = item.partition(separator)[0]
            # The word may be a bracket itself.
            opened += [index] * min(len(word) - len(word.lstrip("[")), len(word) - 1)
            if found := closing.fullmatch(item):
                items[index] = found[1]
                if opened:  # not those of another line
                    first = opened.pop()
                    items[first] = items[first][1:]
        return items

    def read(path: str, flag: str) -> Iterator[Record]:
        lines = [(number, line, items_of(line)) for number, line in text_lines(path, flag) if line.strip()]
        if flag == FILE_FLAGS["test"]:
            pairs = [item.rpartition(separator) for _, _, items in lines for item in items]
            if not all(word and _PLAUSIBLE_TAG.fullmatch(tag) for word, _, tag in pairs):
                yield from (Record(path, number, {"text": line}) for number, line, _ in lines)
                return
        for number, _, items in lines:
            words, spans = [], []
            for index, item in enumerate(items):
                word, _, tag = item.rpartition(separator)
                if not (word and tag):
                    raise InputError(
                        f"{path}, line {number}: {shown(item)} is not a word with a tag, such as 迈向{separator}v"
                    )
                words.append(word)
                spans.append(Span(index, index + 1, tag))
            if words:
                yield Record(path, number, joined(words, spans, between))

    return read


def labels_of(records: Iterable[Record]) -> Mapping[str, int]:
    """Returns how many spans each label has, by label in order."""
    counts: dict[str, int] = {}
    for record in records:
        for span in record.content.get("spans", ()):
            counts[span.label] = counts.get(span.label, 0) + 1
    return dict(sorted(counts.items()))
