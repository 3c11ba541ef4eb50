import gzip
import math
import os
import stat

import numpy as np
import pytest

from ambert_tf.errors import InputError
from ambert_tf.tokenization.phrases import read_phrases
from ambert_tf.vocabulary.kenlm_programs import NgramCounts
from ambert_tf.vocabulary.ngrams import NgramSelection, NgramTable
from ambert_tf.vocabulary.phrase_dictionary import _normalized_pmi, build_phrases
from ambert_tf.vocabulary.segments import segment_cutter
from ambert_tf.vocabulary.vocabulary_settings import PhraseSettings

# "ice cream" 6 times, "ice" before something else twice; "the" before many words.
SENTENCES = [
    "The ice cream melts, the sun sets.",
    "Ice-cream? ICE CREAM!",
    "I like ice cream in the park.",
    "Ice  cream in the house",
    "An ice cream in the sun.",
    "We sell the ice cream.",
    "The dog and the cat saw the ice.",
    "The ice is thin here.",
    "A house in the park, a dog in the house.",
    "You like the park",
]


def options(tmp_path, **changes) -> PhraseSettings:
    corpus = tmp_path / "corpus.txt"
    if not corpus.exists():
        corpus.write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
    settings = {
        "input_file": str(corpus),
        "output_file": str(tmp_path / "phrases.tsv"),
        "min_count": 2,
        "phrase_score": "conditional",
        "min_conditional_prob": 0.3,
        "min_lift": 0.0,
        "memory": "300M",
        "temp_dir": str(tmp_path),
    }
    return PhraseSettings(**{**settings, **changes})


def found(tmp_path, **changes) -> dict[str, int]:
    chosen = options(tmp_path, **changes)
    build_phrases(chosen)
    return {row.phrase: row.count for row in read_phrases(chosen.output_file)}


def cut(*sentences: str, do_lower_case: bool = True, fold: bool = False) -> list[str]:
    blocks = [[sentence.encode() for sentence in sentences]]
    return b"".join(segment_cutter(do_lower_case, fold)(blocks)).decode().splitlines()


def test_segments_end_at_sentences_punctuation_symbols_and_cjk():
    assert cut("New York, Paris", "", "London", "!", "a 中文 b c") == ["new york", "paris", "london", "a", "b c"]
    assert cut("5 € each", "rock'n'roll  all\tnight") == ["5", "each", "rock", "n", "roll all night"]


def test_segments_contain_the_words_of_the_tokenizer():
    assert cut("Café  RÉSUMÉ 1998", "ﬁne Ｗ") == ["cafe resume 1998", "ﬁne ｗ"]
    assert cut("Café", do_lower_case=False) == ["Café"]
    assert cut("ﬁne Ｗ", fold=True) == ["fine w"]
    assert cut("", "…") == []


def test_phrases_are_frequent_and_their_last_word_is_probable_after_the_others(tmp_path):
    """ "the ice" occurs 4 times and "cream in" 3 times, but other words follow "the" and "cream" as often."""
    assert found(tmp_path) == {
        "ice cream": 6,
        "in the": 5,
        "cream in the": 3,
        "ice cream in the": 3,
        "the ice cream": 2,
    }


def test_a_phrase_has_at_most_max_order_words(tmp_path):
    assert found(tmp_path, max_order=2) == {"ice cream": 6, "in the": 5}


def test_the_lift_filters_out_last_words_that_are_probable_anywhere(tmp_path):
    """13 of the 61 words are "the" (0.21): after "in" (0.74) it is 3.5 times as probable, "cream" (0.11) 4.5 times."""
    assert found(tmp_path, max_order=2, min_lift=3.0) == {"ice cream": 6, "in the": 5}
    assert found(tmp_path, max_order=2, min_lift=4.0) == {"ice cream": 6}


def test_max_phrases_keeps_the_most_frequent(tmp_path):
    assert found(tmp_path, max_phrases=2) == {"ice cream": 6, "in the": 5}


def test_probabilities_are_interpolated_kneser_ney(tmp_path):
    """By hand, with KenLM's fallback discounts 0.5, 1, 1.5 for counts of 1, 2, more: P(b) = 0.5/5 + 0.5/5, of 5
    continuations and 5 words with <unk>; P(b | a) = 4.5/8 + 2.5/8 P(b) = 0.625, P(c | a) = 1/8 + 2.5/8 P(c)."""
    corpus = tmp_path / "pairs.txt"
    corpus.write_text("a b\n" * 6 + "a c\n" * 2, encoding="utf-8")
    chosen = options(tmp_path, input_file=str(corpus), max_order=2, min_count=1, min_conditional_prob=0.0)
    build_phrases(chosen)
    rows = {row.phrase: row.log10_conditional_probability for row in read_phrases(chosen.output_file)}
    assert rows == pytest.approx({"a b": math.log10(0.625), "a c": math.log10(0.1875)}, abs=1e-4)


def test_phrases_are_cohesive(tmp_path):
    """By hand, with the probabilities above: P(a) = 8/16, P(b) = 6/16, P(a b) = 8/16 · 0.625, so that
    NPMI = ln(0.3125 / 0.1875) / -ln 0.3125 = 0.439; for "a c" ln(0.09375 / 0.0625) / -ln 0.09375 = 0.171."""
    corpus = tmp_path / "pairs.txt"
    corpus.write_text("a b\n" * 6 + "a c\n" * 2, encoding="utf-8")
    chosen = {"input_file": str(corpus), "max_order": 2, "min_count": 1}
    chosen |= {"phrase_score": "npmi", "min_conditional_prob": None}
    assert found(tmp_path, **chosen, min_npmi=0.17) == {"a b": 6, "a c": 2}
    assert found(tmp_path, **chosen, min_npmi=0.172) == {"a b": 6}
    assert found(tmp_path, **chosen, min_npmi=0.439) == {"a b": 6}
    with pytest.raises(InputError, match=r"^--min_lift=50: none of the 1 cohesive n-grams has P\(last word \| words"):
        found(tmp_path, **chosen, min_npmi=0.4, min_lift=None)
    with pytest.raises(InputError, match=r"^--min_npmi=0.44: none of the 2 frequent n-grams has normalized PMI"):
        found(tmp_path, **chosen, min_npmi=0.44)


def test_the_pmi_of_a_phrase_is_that_of_its_loosest_division():
    """10 words; "3 4 5": P = P(3 4) · 0.5 = 0.2. "3 | 4 5": 0.4 · 0.2, "3 4 | 5": 0.4 · 0.5, as often as by chance."""
    table = NgramTable(np.array([0, 0, 0, 4, 4, 5]))
    table.add(NgramCounts(np.array([[4, 5], [3, 4]]), np.array([2, 4])))
    phrase = NgramCounts(np.array([[3, 4, 5]]), np.array([2]))
    table.add(phrase)
    assert table.counts(phrase.words).tolist() == [2]
    assert _normalized_pmi(phrase, np.log10([0.5]), table, 10) == pytest.approx([0.0])


def test_rows_are_sorted_by_descending_count_then_text_and_deterministic(tmp_path):
    first = options(tmp_path)
    build_phrases(first)
    rows = list(read_phrases(first.output_file))
    assert rows == sorted(rows, key=lambda row: (-row.count, row.phrase))
    again = options(tmp_path, output_file=str(tmp_path / "again.tsv"))
    build_phrases(again)
    with open(first.output_file, "rb") as one, open(again.output_file, "rb") as other:
        assert one.read() == other.read()


def test_the_report_counts_the_ngrams_above_each_threshold(tmp_path):
    chosen = options(tmp_path, max_order=3)
    report = build_phrases(chosen)
    assert (report.words, report.distinct_words) == (61, 23)
    left = {order: [numbers[name] for name in ("frequent", "probable", "dependent")] for order, numbers in
            report.orders.items()}  # fmt: skip
    assert left == {2: [7, 2, 2], 3: [5, 2, 2]}
    lines = report.lines(chosen, most=1)
    assert lines[lines.index("4 phrases; the most frequent:") + 1 :][:2] == [
        "        6  0.511  ice cream", "and a random sample of the others:",
    ]  # fmt: skip


def test_compressed_files_are_counted(tmp_path):
    with gzip.open(tmp_path / "corpus.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(SENTENCES))
    assert found(tmp_path, input_file=str(tmp_path / "corpus.*"))["ice cream"] == 12


@pytest.mark.parametrize("block", [1, 2, 5])
def test_ngrams_with_the_same_ending_are_summed_over_blocks(block):
    """Four-grams as count_ngrams orders them: by the last word, then the one before; 1 is <s>, 2 </s>."""
    words = np.array([[1, 1, 3, 2], [1, 1, 1, 3], [1, 1, 3, 4], [1, 5, 3, 4], [1, 3, 5, 4]])
    counts = np.array([9, 8, 2, 3, 1])
    selection = NgramSelection(2, 4)
    for start in range(0, 5, block):
        selection.add(NgramCounts(words[start : start + block], counts[start : start + block]))
    kept = selection.finish()
    assert (kept.words.tolist(), kept.counts.tolist(), selection.distinct) == ([[3, 4]], [5], 2)


BAD = [
    ({"max_order": 1}, "--max_order=1: must be from 2 to 6"),
    ({"min_count": 0}, "--min_count=0: must be at least 1"),
    ({"min_conditional_prob": 1.0}, "--min_conditional_prob=1.0: must be at least 0 and below 1"),
    ({"min_npmi": 0.4}, "--min_npmi: is for --phrase_score=npmi; omit it with conditional"),
    ({"phrase_score": "npmi"}, "--min_conditional_prob: is for --phrase_score=conditional; omit it with npmi"),
    ({"min_lift": -1.0}, "--min_lift=-1.0: must be at least 0"),
    ({"max_phrases": 0}, "--max_phrases=0: must be at least 1"),
    ({"min_count": 1000}, "--min_count=1000: none of the .* distinct n-grams"),
    ({"min_conditional_prob": 0.99}, "--min_conditional_prob=0.99: none of the 13 frequent n-grams has P"),
    ({"min_lift": 1000.0}, "--min_lift=1000: none of the 5 probable n-grams has"),
    ({"memory": "lots"}, "KenLM's count_ngrams failed: .* --memory"),
    ({"temp_dir": "/nowhere"}, "--temp_dir=/nowhere: not a writable directory"),
    ({"lmplz": "/nowhere/lmplz"}, "--lmplz=/nowhere/lmplz: not an executable file"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_wrong_flags_are_named_and_leave_no_files(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        build_phrases(options(tmp_path, **changes))
    assert sorted(os.listdir(tmp_path)) == ["corpus.txt"]


def test_wrong_corpora_are_named(tmp_path):
    (tmp_path / "latin1.txt").write_bytes("fine\ncafé\n".encode("latin-1"))
    (tmp_path / "symbols.txt").write_text("… !\n中文\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"latin1.txt: line 2 is not UTF-8"):
        build_phrases(options(tmp_path, input_file=str(tmp_path / "latin1.txt")))
    with pytest.raises(InputError, match=r"symbols.txt: contains no words"):
        build_phrases(options(tmp_path, input_file=str(tmp_path / "symbols.txt")))
    report = build_phrases(options(tmp_path, input_file=str(tmp_path / "*.txt"), errors="replace"))
    assert report.lines_replaced == 1


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"corpus.txt: is a file where a directory is needed"):
        build_phrases(options(tmp_path, output_file=str(tmp_path / "corpus.txt" / "phrases.tsv")))


def test_missing_programs_are_named_with_how_to_build_them(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"--lmplz: KenLM's lmplz is neither .* build it with `make setup`"):
        build_phrases(options(tmp_path))


def test_programs_can_be_specified(tmp_path):
    script = tmp_path / "my_lmplz"
    script.write_text("#!/bin/sh\necho 'what(): no such luck' >&2\nexit 3\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(InputError, match=r"KenLM's lmplz failed: what\(\): no such luck"):
        build_phrases(options(tmp_path, lmplz=str(script)))
