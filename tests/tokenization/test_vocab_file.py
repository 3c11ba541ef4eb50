"""Vocabulary files of other projects are read as in Google's code. The reference is transformers."""

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tokenization.phrases import phrases_content
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.tokenization.vocab_file import distinct, read_vocabulary
from tests.tokenizers import SPECIAL

TOKENS = [*SPECIAL, "我", "你", "好", "our", "##s", "a"]
# 256 bytes, without "##".
LONGEST_LINES = "".join(f"{token}\n" for token in [*SPECIAL, "a" * 256, "##" + "b" * 256]).encode()
TEXT = "我你好 ours a q"


def file_with(directory, content):
    (directory / "vocab.txt").write_bytes(content)
    return str(directory / "vocab.txt")


def ids(vocab, text=TEXT):
    tokenizer = MultiGrainedTokenizer(
        language="en", fine_vocab=vocab, coarse_vocab=vocab, language_file=phrases_content([])
    )
    tokens = tokenizer(tf.constant([text]))
    assert tokens.coarse_ids.to_list() == tokens.fine_ids.to_list()
    return tokens.fine_ids[0].numpy().tolist()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (TOKENS, [5, 6, 7, 8, 9, 10, 1]),
        ([*TOKENS[:8], "我", *TOKENS[8:]], [8, 6, 7, 9, 10, 11, 1]),
        ([*TOKENS, "##s", "[UNK]", "a"], [5, 6, 7, 8, 11, 13, 12]),
        ([*TOKENS[:6], "", *TOKENS[6:]], [5, 7, 8, 9, 10, 11, 1]),
    ],
    ids=["plain", "duplicate character", "duplicate pieces and [UNK]", "blank line"],
)
def test_ids_are_line_numbers_and_the_last_duplicate_wins(tmp_path, lines, expected):
    path = file_with(tmp_path, "".join(f"{line}\n" for line in lines).encode())
    vocab = read_vocabulary(path, "vocab_file")
    assert vocab == lines
    assert ids(vocab) == expected
    import transformers  # slow, and only needed in the process that runs this file

    theirs = transformers.BertTokenizer.from_pretrained(str(tmp_path))
    assert theirs(TEXT, add_special_tokens=False)["input_ids"] == expected


@pytest.mark.parametrize(
    ("before", "end", "after"),
    [(b"\xef\xbb\xbf", "\n", b""), (b"", "\r\n", b""), (b"", "\n", b"\n\n"), (b"\xef\xbb\xbf", "\r\n", b"\r\n  \r\n")],
    ids=["BOM", "CRLF", "blank lines at the end", "all of them"],
)
def test_marks_and_blank_lines_that_editors_add_are_dropped(tmp_path, before, end, after):
    path = file_with(tmp_path, before + "".join(f"{token}{end}" for token in TOKENS).encode() + after)
    assert read_vocabulary(path, "vocab_file") == TOKENS


def test_the_longest_tokens(tmp_path):
    vocab = read_vocabulary(file_with(tmp_path, LONGEST_LINES), "vocab_file")
    assert ids(vocab, "a" * 200) == [1]


def test_duplicates_get_unused_names_for_libraries_that_refuse_them():
    assert distinct(["[PAD]", "a", "a", "", "[unused1]", "b"]) == [
        "[PAD]", "[unusedunused1]", "a", "[unused3]", "[unused1]", "b"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"[PAD]\n[UNK]\n\xff\n", r"--vocab_file: .*vocab\.txt, line 3: not UTF-8"),
        (b"[PAD]\n[UNK]\n\xed\xa0\xbd\n", r"line 3: not UTF-8"),  # a lone surrogate
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n", r"has no line \[MASK\]"),
        (b"[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n", r"line 1: is '\[UNK\]'; the first token must be \[PAD\]"),
        (LONGEST_LINES + b"\xe6\x88\x91" * 86 + b"\n", r"line 8: the token has 258 bytes; the maximum is 256"),
        (b"\n\n", r"has no line \[PAD\]"),
        (b"", "is an empty file"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, content, match):
    with pytest.raises(InputError, match=match):
        read_vocabulary(file_with(tmp_path, content), "vocab_file")
