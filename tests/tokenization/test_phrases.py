import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.errors import InputError
from ambert_tf.tokenization.phrases import PhraseRow, phrases_content, read_phrases
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = ["a", "b", "c", "d"]
PHRASES = ["a b", "b c", "b c d a", "c d", "a a", "d d d", "a b c d a b"]


def tokenizer(phrases: list[str]) -> MultiGrainedTokenizer:
    fine = [*SPECIAL, *LETTERS, "."]
    rows = phrases_content(PhraseRow(phrase, 10, -0.5) for phrase in phrases)
    return MultiGrainedTokenizer(language="en", fine_vocab=fine, coarse_vocab=fine + phrases, language_file=rows)


TOKENIZER = tokenizer(PHRASES)


def longest_from_the_left(text: str) -> list[str]:
    words, tokens = text.split(), []
    while words:
        lengths = [length for length in range(6, 1, -1) if " ".join(words[:length]) in PHRASES]
        length = lengths[0] if lengths else 1
        tokens.append(" ".join(words[:length]))
        words = words[length:]
    return tokens


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*LETTERS, "."]), max_size=40).map(" ".join), min_size=1, max_size=4))
def test_the_longest_phrase_from_the_left_is_chosen(texts):
    ids = TOKENIZER(tf.constant(texts)).coarse_ids.to_list()
    tokens = [[TOKENIZER.coarse_vocab[index] for index in row] for row in ids]
    assert tokens == [longest_from_the_left(text) for text in texts]


def test_without_phrases_both_grains_are_equal():
    tokens = tokenizer([])(tf.constant(["a b c", "d"]))
    assert tokens.coarse_ids.to_list() == tokens.fine_ids.to_list() == [[5, 6, 7], [8]]


def test_rows_survive_writing_and_reading(tmp_path):
    rows = [PhraseRow("new york", 126, -1.25), PhraseRow("as well as", 40, -0.125)]
    path = tmp_path / "phrases.tsv"
    path.write_bytes(phrases_content(rows))
    assert path.read_bytes() == b"new york\t126\t-1.2500\nas well as\t40\t-0.1250\n"
    assert list(read_phrases(str(path))) == rows


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "phrases.tsv"
    path.write_bytes(b"\xef\xbb\xbfice cream\t3\t-1\nnew york\t0\t0\n")
    assert [row.phrase for row in read_phrases(str(path))] == ["ice cream", "new york"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"new york\t3", "has 2 fields"),
        (b"new\tyork\t3\t-1", "has 4 fields"),
        (b"york\t3\t-1", "'york' is not two or more words"),
        (b"new  york\t3\t-1", "'new  york' is not two or more words"),
        (b"new york\tmany\t-1", "count or probability is not a number"),
        (b"new york\t-3\t-1", "a count of at least 0 and a finite log10 probability are expected, not -3 and -1"),
        (b"new york\t3\tnan", "a count of at least 0 and a finite log10 probability are expected, not 3 and nan"),
        (b"caf\xe9 noir\t3\t-1", "not UTF-8"),
    ],
)
def test_bad_rows_are_named_with_file_and_line(tmp_path, line, message):
    path = tmp_path / "phrases.tsv"
    path.write_bytes(b"ice cream\t3\t-1\n" + line + b"\n")
    with pytest.raises(InputError, match=rf"--phrases_file: .*phrases\.tsv, line 2: {message}"):
        list(read_phrases(str(path)))
