import functools
import itertools
import os
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ambert_tf.errors import InputError
from ambert_tf.tokenization.characters import KIND_BITS, character_table
from ambert_tf.tokenization.segmenter import build_segmenter
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from tests.tokenizers import SPECIAL, chinese_tokenizer, english_tokenizer, new_chinese_tokenizer, new_english_tokenizer

pytestmark = pytest.mark.usefixtures("optimized_graphs")


@functools.cache
def graph(tokenizer):
    return tf.function(tokenizer.__call__, input_signature=[tf.TensorSpec([None], tf.string)])


def fine(tokenizer, text):
    return [tokenizer.fine_vocab[i] for i in graph(tokenizer)(tf.constant([text])).fine_ids[0].numpy()]


def coarse(tokenizer, text):
    return [tokenizer.coarse_vocab[i] for i in graph(tokenizer)(tf.constant([text])).coarse_ids[0].numpy()]


def slices(tokenizer, text, grain):
    tokens = graph(tokenizer)(tf.constant([text]))
    starts, ends = getattr(tokens, f"{grain}_starts")[0], getattr(tokens, f"{grain}_ends")[0]
    return [text.encode()[s:e].decode() for s, e in zip(starts.numpy(), ends.numpy(), strict=True)]


def test_chinese_becomes_characters_and_words():
    tokenizer = chinese_tokenizer()
    assert fine(tokenizer, "商店里的乒乓球拍卖完了") == list("商店里的乒乓球拍卖完了")
    assert coarse(tokenizer, "商店里的乒乓球拍卖完了") == ["商店", "里", "的", "乒乓球", "拍卖", "完", "了"]
    assert graph(tokenizer)(tf.constant(["商店里的乒乓球"])).fine_to_coarse.to_list() == [[0, 0, 1, 2, 3, 3, 3]]


def test_a_word_outside_the_coarse_vocabulary_falls_back_to_its_fine_tokens():
    tokenizer = chinese_tokenizer()
    assert coarse(tokenizer, "大桥,球拍") == ["大", "桥", ",", "球", "拍"]
    assert coarse(tokenizer, "南京市长江大桥") == ["南京市", "长江大桥"]


def test_words_end_at_non_chinese_characters():
    tokenizer = chinese_tokenizer()
    assert coarse(tokenizer, "南京 市长") == ["南京", "市长"]
    assert coarse(tokenizer, "南 京") == ["南", "京"]
    assert coarse(tokenizer, "南\u200b京") == ["南", "京"]
    assert coarse(tokenizer, "中，国") == ["中", "，", "国"]


def test_characters_outside_the_dictionary_stay_single():
    tokenizer = chinese_tokenizer()
    assert coarse(tokenizer, "龘龘中国龘") == ["[UNK]", "[UNK]", "中国", "[UNK]"]


def test_words_of_letters_can_be_coarse_entries():
    tokenizer = chinese_tokenizer()
    assert fine(tokenizer, "Phone8 中国") == ["phone", "##8", "中", "国"]
    assert coarse(tokenizer, "Phone8 中国") == ["phone8", "中国"]
    assert coarse(tokenizer, "phone中国") == ["phone", "中国"]


@functools.cache
def tokenizer_with_user_words():
    fine_vocab = [*SPECIAL, *"糖类抗原认证的高检测+-,ci", "##phone", "edu", "trust", "19", "9", "17"]
    entries = ["糖类", "抗原", "检测", "糖类抗原19-9", "edu trust认证", "c++", "c++17", "iphone"]
    return MultiGrainedTokenizer(
        language="zh",
        fine_vocab=fine_vocab,
        coarse_vocab=[*fine_vocab, *entries],
        language_file=build_segmenter({"糖类": 9, "抗原": 8, "检测": 7, "高检": 9}),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("糖类抗原19-9高检测", ["糖类抗原19-9", "高", "检", "测"]),
        ("糖类抗原检测19-9", ["糖类", "抗原", "检测", "19", "-", "9"]),
        ("Edu Trust认证的,edu   trust认证", ["edu trust认证", "的", ",", "edu trust认证"]),
        ("EduTrust认证 edu trust 认证", ["[UNK]", "认", "证", "edu", "trust", "认", "证"]),
        ("C++的C++17,C+ +", ["c++", "的", "c++17", ",", "c", "+", "+"]),
        ("iPhone的", ["iphone", "的"]),
        ("C\u200b++,c\u00ad+\ufeff+,c\u200b ++", ["c++", ",", "c++", ",", "c", "+", "+"]),
        ("糖类抗原\ufeff19-9", ["糖类抗原19-9"]),
        ("Edu\u200b Trust\ufeff认证", ["edu trust认证"]),
        ("C+", ["c", "+"]),
        ("", []),
    ],
)
def test_user_words_with_letters_digits_and_signs_are_coarse_tokens(text, expected):
    tokenizer = tokenizer_with_user_words()
    assert coarse(tokenizer, text) == expected


def test_offsets_of_user_words():
    text = "的Edu  Trust认证 C++"
    assert slices(tokenizer_with_user_words(), text, "coarse") == ["的", "Edu  Trust认证", "C++"]


def test_user_words_in_a_saved_model(tmp_path):
    module = tf.Module()
    module.tokenizer = tokenizer_with_user_words()
    signature = [tf.TensorSpec([None], tf.string)]
    module.ids = tf.function(lambda texts: module.tokenizer(texts).coarse_ids.to_tensor(), input_signature=signature)
    tf.saved_model.save(module, str(tmp_path / "saved"))
    texts = tf.constant(["糖类抗原19-9检测", "C++17的iPhone"])
    ids = tf.saved_model.load(str(tmp_path / "saved")).ids(texts)
    tokens = [[module.tokenizer.coarse_vocab[index] for index in row] for row in ids.numpy()]
    assert tokens == [["糖类抗原19-9", "检测", "[PAD]"], ["c++17", "的", "iphone"]]


def test_user_words_do_not_cross_texts():
    tokenizer = tokenizer_with_user_words()
    tokens = graph(tokenizer)(tf.constant(["的C+", "+", "糖类抗原19-9"]))
    assert tokens.fine_to_coarse.to_list() == [[0, 1, 2], [0], [0] * 7]


def test_english_becomes_words_and_phrases():
    tokenizer = english_tokenizer()
    text = "The New  York times city of New York"
    assert fine(tokenizer, text) == ["the", "new", "york", "times", "city", "of", "new", "york"]
    # From left to right, longest match first: "new york times" precludes "times city", and "city of new york" remains.
    assert coarse(tokenizer, text) == ["the", "new york times", "city of new york"]
    assert slices(tokenizer, text, "coarse") == ["The", "New  York times", "city of New York"]


def test_no_phrase_crosses_punctuation_or_the_end_of_a_text():
    tokenizer = english_tokenizer()
    assert coarse(tokenizer, "new, york dog-food") == ["new", ",", "york", "dog", "-", "food"]
    tokens = graph(tokenizer)(tf.constant(["dog", "food"]))
    assert tokens.coarse_ids.to_list() == tokens.fine_ids.to_list()


def test_long_chains_of_overlapping_phrases_are_matched_from_the_left():
    tokenizer = english_tokenizer()
    assert coarse(tokenizer, "ice cream dog food " * 40) == ["ice cream", "dog food"] * 40
    assert coarse(tokenizer, "new york times city " * 30) == ["new york times", "city"] * 30


def test_both_languages_tokenize_mixed_text():
    assert coarse(english_tokenizer(), "中国 new york") == ["中", "国", "new york"]
    assert coarse(chinese_tokenizer(), "new york中国") == ["new", "york", "中国"]


def test_normalization_is_googles():
    tokenizer = english_tokenizer()
    # Lower case, no accents (composed or not), no control characters, and unchanged full-width forms.
    assert fine(tokenizer, "CAFÉ cafe\u0301 c\u0000a\u00adf\u200de") == ["cafe", "cafe", "cafe"]
    assert fine(tokenizer, "ＴＨＥ") == ["[UNK]"]
    assert fine(english_tokenizer(normalization="nfkc"), "ＴＨＥ") == ["the"]
    assert fine(english_tokenizer(do_lower_case=False), "The the") == ["[UNK]", "the"]
    assert fine(tokenizer, "a\u2028b\u3000c\u00a0d") == ["a", "b", "c", "d"]


def test_words_of_more_than_200_characters_are_unknown():
    tokenizer = english_tokenizer()
    assert fine(tokenizer, "a" * 200) == ["a"] + ["##a"] * 199
    assert fine(tokenizer, "a" * 201 + " the") == ["[UNK]", "the"]


def test_offsets_slice_the_original_text():
    tokenizer = english_tokenizer()
    text = "The  CAFÉ, cafe\u0301s!"
    assert slices(tokenizer, text, "fine") == ["The", "CAFÉ", ",", "cafe\u0301", "s", "!"]
    assert slices(chinese_tokenizer(), "  南京市，Phone8", "coarse") == ["南京市", "，", "Phone8"]


def test_an_accent_after_a_control_character_belongs_to_no_token():
    tokenizer = english_tokenizer()
    assert fine(tokenizer, "e\u200d\u0301") == ["e"]
    assert slices(tokenizer, "e\u200d\u0301", "fine") == ["e"]
    assert slices(tokenizer, "e\u0301\u200d", "fine") == ["e\u0301"]


def test_nfkc_does_not_compose_characters():
    table = character_table(False, True, False)
    assert [chr(table.packed[ord(character)] >> KIND_BITS) for character in "ｶﾞ"] == ["カ", "\u3099"]


@pytest.mark.parametrize("text", [b"", b"   ", b"\x00\x01\xff\xfe", "\u200d\u0301".encode()])
def test_a_text_without_words_has_no_tokens(text):
    for tokenizer in (chinese_tokenizer(), english_tokenizer()):
        tokens = graph(tokenizer)(tf.constant([text, b"the", text]))
        assert [len(row) for row in tokens.fine_ids.to_list()] == [0, 1, 0]
        assert tokens.fine_to_coarse.to_list() == [[], [0], []]


def test_fine_tokens_are_counted_by_coarse_token():
    ids = chinese_tokenizer().ids(tf.constant(["", "乒乓球里", "", "的", "的", "长江大桥", ""]))
    assert ids.fine_counts.numpy().tolist() == [3, 1, 1, 1, 4]


def test_an_empty_batch_is_fine():
    for tokenizer in (chinese_tokenizer(), english_tokenizer()):
        assert graph(tokenizer)(tf.constant([], tf.string)).coarse_ids.to_list() == []


CHARACTERS = [
    *"商店里的乒乓球拍卖完了南京市长江大桥中国 \t\n,，.-Aaé8ßﬁ한ש龘",
    "e\u0301",
    "\u200b",
    "👩\u200d👧",
    "\U000e0067",
]
HOSTILE = st.lists(st.sampled_from(CHARACTERS)).map("".join) | st.text()
ENGLISH = st.lists(
    st.sampled_from(["new", "york", "times", "city", "of", "ice", "cream", "Dog", "food", ",", "caféS", "a"])
)


@settings(deadline=None, max_examples=60)
@given(st.lists(HOSTILE | ENGLISH.map(" ".join), min_size=1, max_size=4), st.booleans())
def test_properties_of_both_grains(texts, chinese):
    tokenizer = chinese_tokenizer() if chinese else english_tokenizer()
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    tokens = graph(tokenizer)(tf.constant(encoded))
    for row, text in enumerate(encoded):
        fine_spans = list(zip(tokens.fine_starts[row].numpy(), tokens.fine_ends[row].numpy(), strict=True))
        coarse_spans = list(zip(tokens.coarse_starts[row].numpy(), tokens.coarse_ends[row].numpy(), strict=True))
        alignment = list(tokens.fine_to_coarse[row].numpy())
        # Coarse tokens contain all fine tokens, in order.
        assert sorted(set(alignment)) == list(range(len(coarse_spans)))
        assert alignment == sorted(alignment)
        for index, (start, end) in enumerate(coarse_spans):
            inside = [span for span, place in zip(fine_spans, alignment, strict=True) if place == index]
            assert (inside[0][0], inside[-1][1]) == (start, end)
        # Spans are ordered. Only letters decomposed from the same character share its bytes.
        decomposes = any(
            sum(unicodedata.category(d) != "Mn" for d in unicodedata.normalize("NFD", c)) > 1 for c in texts[row]
        )
        for (start, end), (next_start, next_end) in itertools.pairwise(fine_spans):
            assert start < end <= len(text)
            assert next_start >= start and next_end >= end and (decomposes or next_start >= end)
        # A text's tokens do not depend on its neighbours.
        assert (
            graph(tokenizer)(tf.constant([text])).coarse_ids[0].numpy().tolist()
            == tokens.coarse_ids[row].numpy().tolist()
        )


def test_ids_survive_saving_and_loading(tmp_path):
    # With a setting that no other test saves, so that loading makes a new object.
    for tokenizer in (new_chinese_tokenizer(strip_accents=True), new_english_tokenizer(strip_accents=True)):
        directory = str(tmp_path / tokenizer.language)
        tokenizer.save(directory)
        loaded = MultiGrainedTokenizer.load(directory)
        assert loaded is not tokenizer
        assert loaded.fingerprint == tokenizer.fingerprint
        text = "南京市长江大桥 new york times"
        assert coarse(loaded, text) == coarse(tokenizer, text)
    assert chinese_tokenizer().fingerprint != english_tokenizer().fingerprint


def test_directories_with_the_same_contents_give_the_same_object(tmp_path):
    for name, tokenizer in (("one", chinese_tokenizer()), ("two", chinese_tokenizer()), ("en", english_tokenizer())):
        tokenizer.save(str(tmp_path / name))
    loaded = [MultiGrainedTokenizer.load(str(tmp_path / name)) for name in ("one", "two", "en")]
    assert loaded[0] is loaded[1] is chinese_tokenizer()
    assert loaded[2] is english_tokenizer()


def test_a_remote_directory_is_written_and_read():
    tokenizer = new_chinese_tokenizer(strip_accents=True)
    tokenizer.save("ram://tokenizers/zh")
    loaded = MultiGrainedTokenizer.load("ram://tokenizers/zh")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert coarse(loaded, "南京市长江大桥") == ["南京市", "长江大桥"]
    tf.io.gfile.rmtree("ram://tokenizers")


def test_accents_are_kept_if_asked(tmp_path):
    fine_vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "die", "schön", "schon", "##e", "stadt"]
    expected = {None: "die schon ##e stadt", True: "die schon ##e stadt", False: "die schön ##e stadt"}
    for strip_accents, tokens in expected.items():
        tokenizer = MultiGrainedTokenizer(
            language="en",
            fine_vocab=fine_vocab,
            coarse_vocab=fine_vocab,
            language_file=b"",
            strip_accents=strip_accents,
        )
        tokenizer.save(str(tmp_path / "tokenizer"))
        loaded = MultiGrainedTokenizer.load(str(tmp_path / "tokenizer"))
        assert loaded.fingerprint == tokenizer.fingerprint
        for one in (tokenizer, loaded):
            assert " ".join(fine(one, "Die schöne Stadt")) == tokens


def test_fingerprints_of_earlier_tokenizers_are_unchanged():
    # Written by the version before strip_accents.
    assert english_tokenizer().fingerprint == "53c1f88e1cc357bb11228f0b2fef1338"


def test_broken_directories_are_named(tmp_path):
    directory = tmp_path / "tok"
    with pytest.raises(InputError, match=r"--tokenizer_dir=.*tok: no such directory"):
        MultiGrainedTokenizer.load(str(directory))
    chinese_tokenizer().save(str(directory))
    vocab = (directory / "fine_vocab.txt").read_text()
    (directory / "fine_vocab.txt").write_text(vocab + "extra\n")
    with pytest.raises(InputError, match=r"fine_vocab.txt is not the file that tokenizer.json was written for"):
        MultiGrainedTokenizer.load(str(directory))
    os.remove(directory / "segmenter.model")
    (directory / "fine_vocab.txt").write_text(vocab)
    with pytest.raises(InputError, match=r"segmenter.model is missing"):
        MultiGrainedTokenizer.load(str(directory))
    (directory / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer.json: is not valid JSON"):
        MultiGrainedTokenizer.load(str(directory))


def test_a_vocabulary_without_mask_is_refused():
    with pytest.raises(InputError, match=r"has no line \[MASK\]"):
        MultiGrainedTokenizer(
            language="en", fine_vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"],
            coarse_vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], language_file=b"",
        )  # fmt: skip
    with pytest.raises(InputError, match=r"does not start with the lines of fine_vocab.txt"):
        MultiGrainedTokenizer(language="en", fine_vocab=["[PAD]"], coarse_vocab=["a"], language_file=b"")
