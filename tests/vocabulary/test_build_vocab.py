import gzip

import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.tokenization.model_inputs import build_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.vocabulary.build_vocab import build_tokenizer
from ambert_tf.vocabulary.corpus_counts import count_words
from ambert_tf.vocabulary.fine_vocabulary import learn_fine_vocabulary
from ambert_tf.vocabulary.vocabulary_settings import VocabularySettings
from tests.tokenizers import SPECIAL

SENTENCES = ["我们在北京大学学习。", "北京大学在北京。", "我们的iphone8很好，ＷＴＯ也好。", "我们学习，我们生活。"]


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES * 3) + "\n")
    return str(path)


def settings(corpus, tmp_path, **changes):
    given = {"input_file": corpus, "language": "zh", "output_dir": str(tmp_path / "tok")}
    return VocabularySettings(**{**given, **changes})


def test_words_are_sorted_by_descending_count(corpus, tmp_path):
    counts = count_words([corpus])
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert counts["我"] == 12 and counts["iphone8"] == 3 and counts["ｗｔｏ"] == 3
    with gzip.open(tmp_path / "corpus.txt.gz", "wb") as file:
        file.write("\n".join(SENTENCES * 3).encode())
    assert count_words([str(tmp_path / "corpus.txt.gz")]) == counts


def test_a_learned_vocabulary_contains_every_character_and_no_useless_forms():
    vocabulary = learn_fine_vocabulary({"我": 9, "们": 8, "，": 5, "hello": 4, "help": 4, "hell": 3, "a": 2}, 100)
    assert vocabulary[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert {"我", "们", "，", "h", "##e", "##l"} <= set(vocabulary)
    assert not {"##我", "##，"} & set(vocabulary)
    assert len(set(vocabulary)) == len(vocabulary)
    assert len(learn_fine_vocabulary({"我": 9, "们": 8, "的": 3}, 7)) == 7
    with pytest.raises(InputError, match="--fine_vocab_size=5"):
        learn_fine_vocabulary({"我": 9}, 5)


def test_characters_fill_the_room_that_pieces_leave():
    characters = {chr(0x4E00 + index): 1000 - index for index in range(100)}
    vocabulary = learn_fine_vocabulary({**characters, "ab": 3}, 65)
    pieces = {"a", "b", "##a", "##b", "ab"} & set(vocabulary)
    # 51 characters (85 %) would leave 9 of the 60 tokens to pieces, but there are at most 5.
    assert vocabulary[5:] == [*list(characters)[: 60 - len(pieces)], *vocabulary[65 - len(pieces) :]]
    assert "a" in pieces and len(vocabulary) == 65


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The tokenizer of `SENTENCES` and the report of building it."""
    directory = tmp_path_factory.mktemp("built")
    (directory / "corpus.txt").write_text("\n".join(SENTENCES * 3) + "\n")
    report = build_tokenizer(settings(str(directory / "corpus.txt"), directory))
    return MultiGrainedTokenizer.load(str(directory / "tok")), report


def test_a_chinese_tokenizer_from_a_corpus(built):
    tokenizer, report = built
    entries = tokenizer.coarse_vocab[tokenizer.fine_vocab_size :]
    # By descending count (12, 6, 6, 3), then in code point order.
    assert entries[:3] == ["我们", "北京大学", "学习"]
    assert {"北京", "生活"} <= set(entries)
    assert report.coarse_vocab_size == tokenizer.coarse_vocab_size == report.fine_vocab_size + len(entries)
    assert report.unknown == 0
    assert report.coverage == 1
    # A candidate outside the vocabulary is counted as it is split on its own.
    estimates = [line.split("  ")[0] for line in report.lines() if line.endswith("(estimate)")]
    assert estimates == ["coarse tokens", "coverage"]
    tokens = [t for s in SENTENCES for t in tokenizer([s]).fine_ids[0].numpy()]
    assert report.fine_tokens == 3 * len(tokens)
    assert report.coarse_tokens == 3 * sum(len(tokenizer([s]).coarse_ids[0]) for s in SENTENCES)


def test_the_coarse_vocabulary_is_limited(corpus, built, tmp_path):
    _, full = built
    small = build_tokenizer(settings(corpus, tmp_path, coarse_vocab_size=full.fine_vocab_size + 2))
    assert small.coarse_vocab_size == full.fine_vocab_size + 2
    assert 0 < small.coverage < full.coverage
    tokenizer = MultiGrainedTokenizer.load(str(tmp_path / "tok"))
    assert small.coarse_tokens == 3 * tokenizer(SENTENCES).coarse_ids.flat_values.shape[0]


@pytest.fixture(scope="module")
def given_words(tmp_path_factory):
    """A tokenizer from a corpus with a fine vocabulary of single characters and a user dictionary."""
    directory = tmp_path_factory.mktemp("given")
    corpus = (
        f"台湾很好。\n大学很好。\n{'ab1' * 50}在北京{'cd2' * 10}\n我们学习,认证的iPhone\nEdu Trust认证的iPhone,C++\n"
        "他用C++和C语言写A股的程序,穿T恤\n"
    )
    (directory / "corpus.txt").write_text(corpus * 2)
    (directory / "more.txt").write_text("台湾大学。\n")
    characters = sorted({character for character in corpus.lower() if not character.isspace()})
    tokens = [*SPECIAL, *characters, *(f"##{one}" for one in characters if one.isascii() and one.isalnum())]
    (directory / "fine.txt").write_text("".join(f"{token}\n" for token in tokens))
    (directory / "user.txt").write_text("\ufeff我们学习\n很好 50000 a\nEdu Trust认证 2000\niPhone 3\nC语言 0\na股 0\n")
    build_tokenizer(
        settings(
            f"{directory}/corpus.txt,{directory}/more.txt", directory,
            fine_vocab_file=str(directory / "fine.txt"), user_dict=str(directory / "user.txt"),
        )
    )  # fmt: skip
    return MultiGrainedTokenizer.load(str(directory / "tok"))


def words(tokenizer, text):
    return [tokenizer.coarse_vocab[index] for index in tokenizer([text]).coarse_ids[0].numpy()]


def test_a_word_outside_the_vocabulary_becomes_shorter_entries(given_words):
    assert "台湾大学" not in given_words.coarse_vocab
    assert words(given_words, "台湾大学很好") == ["台湾", "大学", "很好"]


def test_long_strings_of_letters_and_digits_are_not_coarse_tokens(given_words):
    entries = given_words.coarse_vocab[given_words.fine_vocab_size :]
    assert {"北京", "cd2" * 10} <= set(entries)
    assert max(map(len, entries)) == 30
    inputs = build_model_inputs(given_words, tf.constant(["ab1" * 50 + "在北京"]), max_seq_length=64)
    assert inputs["fine_input_ids"].row_lengths().numpy() == inputs["coarse_input_ids"].row_lengths().numpy() == [64]


def test_a_user_dictionary_adds_words(given_words):
    assert {"我们学习", "很好", "edu trust认证"} <= set(given_words.coarse_vocab)
    assert words(given_words, "Edu Trust认证的iPhone,C语言") == ["edu trust认证", "的", "iphone", ",", "c", "语言"]


def test_words_of_jieba_with_letters_or_symbols_are_coarse_tokens(given_words):
    assert words(given_words, "C++和A股T恤") == ["c++", "和", "a", "股", "t恤"]


def test_an_english_tokenizer_from_phrases(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("I like New York.\nThe new york times, new york.\nIce cream\n" * 2)
    phrases = tmp_path / "phrases.tsv"
    phrases.write_text("new york\t6\t-0.1\nnew york times\t2\t-0.3\ndog food\t9\t-0.2\n")
    report = build_tokenizer(settings(str(corpus), tmp_path, language="en", phrases_file=str(phrases)))
    tokenizer = MultiGrainedTokenizer.load(str(tmp_path / "tok"))
    assert tokenizer.coarse_vocab[tokenizer.fine_vocab_size :] == ["new york", "new york times"]
    assert (tmp_path / "tok" / "phrases.tsv").read_text() == "new york\t6\t-0.1000\nnew york times\t2\t-0.3000\n"
    assert report.multiple == pytest.approx(6 / report.coarse_tokens)


def test_english_phrases_are_normalized(tmp_path):
    (tmp_path / "corpus.txt").write_text("I like New York and the café noir.\n" * 2)
    phrases = tmp_path / "phrases.tsv"
    phrases.write_text("New York\t5\t-0.5\nCafé noir\t3\t-0.2\nnew york\t6\t-0.1\nx \u0301\t9\t-0.1\n")
    chosen = settings(str(tmp_path / "corpus.txt"), tmp_path, language="en", phrases_file=str(phrases))
    build_tokenizer(chosen)
    tokenizer = MultiGrainedTokenizer.load(str(tmp_path / "tok"))
    assert tokenizer.coarse_vocab[tokenizer.fine_vocab_size :] == ["cafe noir", "new york"]
    assert (tmp_path / "tok" / "phrases.tsv").read_text() == "new york\t11\t-0.1000\ncafe noir\t3\t-0.2000\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "fr"}, "--language=fr: must be one of zh, en"),
        ({"language": "en"}, "--phrases_file: is needed for --language=en"),
        ({"input_file": "nowhere.txt"}, "--input_file=nowhere.txt: no such file"),
        ({"coarse_vocab_size": 6}, "--coarse_vocab_size=6: must be at least"),
        ({"fine_vocab_file": "x", "fine_vocab_size": 9}, "--fine_vocab_size: is the size of a learned vocabulary"),
    ],
)
def test_bad_flags_are_named(corpus, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        build_tokenizer(settings(corpus, tmp_path, **changes))
    assert not (tmp_path / "tok").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("new york\t3", "has 2 fields"),
        ("new  york\t3\t-1", "is not two or more words"),
        ("york\t3\t-1", "is not two or more words"),
        ("new york\tmany\t-1", "not a number"),
    ],
)
def test_bad_phrases_are_named_with_their_line(corpus, tmp_path, line, message):
    phrases = tmp_path / "phrases.tsv"
    phrases.write_text(f"ice cream\t3\t-0.5\n{line}\n")
    with pytest.raises(InputError, match=rf"phrases.tsv, line 2: .*{message}"):
        build_tokenizer(settings(corpus, tmp_path, language="en", phrases_file=str(phrases)))


def test_the_phrases_file_is_not_replaced(corpus, tmp_path):
    (tmp_path / "tok").mkdir()
    phrases = tmp_path / "tok" / "phrases.tsv"
    phrases.write_text("ice cream\t3\t-0.5\nnew york\t3\t-0.5\n")
    with pytest.raises(InputError, match=r"--output_dir=.*tok: would replace --phrases_file=.*phrases.tsv"):
        build_tokenizer(settings(corpus, tmp_path, language="en", phrases_file=str(phrases)))
    assert len(phrases.read_text().splitlines()) == 2


def test_a_corpus_that_is_not_utf8(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes("我们\n我们\n".encode() + b"\xc4\xe3\n")
    with pytest.raises(InputError, match=r"corpus.txt: line 3 is not UTF-8"):
        build_tokenizer(settings(str(corpus), tmp_path))
    report = build_tokenizer(settings(str(corpus), tmp_path, errors="replace", min_count=3))
    assert "1 lines were not UTF-8" in report.lines()
    assert report.coarse_vocab_size == report.fine_vocab_size  # no word occurs three times


def test_other_files_in_the_output_directory_stay(corpus, tmp_path):
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "phrases.tsv").touch()
    (tmp_path / "tok" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"--output_dir=.*tok: contains notes\.txt, which is not part of a tokenizer"):
        build_tokenizer(settings(corpus, tmp_path))
    assert (tmp_path / "tok" / "notes.txt").exists()
