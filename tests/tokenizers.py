"""Small tokenizers with a few words, shared by tests."""

import functools
import os
import tempfile

from ambert_tf.tokenization.phrases import PhraseRow, phrases_content
from ambert_tf.tokenization.segmenter import build_segmenter
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHINESE_WORDS = {
    "商店": 40,
    "乒乓球": 30,
    "乒乓": 5,
    "球拍": 12,
    "拍卖": 35,
    "卖完": 3,
    "南京": 60,
    "南京市": 50,
    "市长": 20,
    "长江": 55,
    "大桥": 25,
    "长江大桥": 24,
    "中国": 100,
    "人民": 90,
    "生活": 70,
    "的": 500,
    "了": 400,
    "里": 80,
    "完": 15,
    "好": 60,
}
CHINESE_CHARACTERS = sorted({character for word in CHINESE_WORDS for character in word})
LETTERS = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "i",
    "n",
    "o",
    "p",
    "t",
    "##a",
    "##b",
    "##c",
    "##d",
    "##e",
    "##n",
    "##o",
    "##s",
    "##8",
]
ENGLISH_WORDS = [
    "the",
    "new",
    "york",
    "times",
    "city",
    "of",
    "ice",
    "cream",
    "dog",
    "food",
    "phone",
    "drawing",
    "room",
    "cafe",
]
PHRASES = [
    "new york",
    "new york times",
    "times city",
    "ice cream",
    "dog food",
    "city of new york",
    "drawing room",
]
PUNCTUATION = [",", ".", "，", "。", "!", "'", "-"]


def new_chinese_tokenizer(**settings) -> MultiGrainedTokenizer:
    """Returns a new Chinese tokenizer. Its coarse vocabulary lacks the dictionary's 球拍, 卖完 and 大桥."""
    fine = [*SPECIAL, *PUNCTUATION, *CHINESE_CHARACTERS, *LETTERS, *ENGLISH_WORDS]
    coarse = [word for word in CHINESE_WORDS if len(word) > 1 and word not in ("球拍", "卖完", "大桥")]
    return MultiGrainedTokenizer(
        language="zh",
        fine_vocab=fine,
        coarse_vocab=[*fine, *coarse, "phone8"],
        language_file=build_segmenter(CHINESE_WORDS),
        **settings,
    )


def new_english_tokenizer(**settings) -> MultiGrainedTokenizer:
    """Returns a new English tokenizer of a few words and phrases."""
    fine = [*SPECIAL, *PUNCTUATION, *LETTERS, *ENGLISH_WORDS, "中", "国"]
    return MultiGrainedTokenizer(
        language="en",
        fine_vocab=fine,
        coarse_vocab=[*fine, *PHRASES],
        language_file=phrases_content(PhraseRow(phrase, 10, -0.5) for phrase in PHRASES),
        **settings,
    )


@functools.cache
def chinese_tokenizer(**settings) -> MultiGrainedTokenizer:
    """Returns `new_chinese_tokenizer`, loaded from a directory."""
    return _loaded(new_chinese_tokenizer(**settings))


@functools.cache
def english_tokenizer(**settings) -> MultiGrainedTokenizer:
    """Returns `new_english_tokenizer`, loaded from a directory."""
    return _loaded(new_english_tokenizer(**settings))


def _loaded(tokenizer: MultiGrainedTokenizer) -> MultiGrainedTokenizer:
    """Saves and loads the tokenizer, so that every test that loads one with the same contents gets this object."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save(os.path.join(directory, "tokenizer"))
        return MultiGrainedTokenizer.load(os.path.join(directory, "tokenizer"))
