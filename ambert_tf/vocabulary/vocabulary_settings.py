"""The settings of `data/build_vocab.py` and `data/build_phrase_dictionary.py`. Does not import TensorFlow."""

import dataclasses

from ambert_tf.corpus.sources import CorpusSettings
from ambert_tf.errors import InputError
from ambert_tf.files import is_directory
from ambert_tf.flags import at_least, check_choices, require, setting

LANGUAGES = ("zh", "en")
NORMALIZATIONS = ("bert", "nfkc")
# The kenlm module is compiled for this order.
MAX_ORDER = 6
NPMI, CONDITIONAL = "npmi", "conditional"
_MIN_LIFT = {NPMI: 50.0, CONDITIONAL: 10.0}
_MIN_NPMI = 0.4
_MIN_CONDITIONAL_PROB = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormalizationSettings:
    """The normalization of text before it is split into words."""

    do_lower_case: bool = setting(True, "Lowercase and strip accents, as in BERT's uncased models.")
    strip_accents: bool | None = setting(None, "Strip accents. Defaults to --do_lower_case.")
    normalization: str = setting("bert", "nfkc also folds full-width forms and ligatures.", NORMALIZATIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabularySettings(NormalizationSettings, CorpusSettings):
    """Builds a tokenizer directory from a corpus: fine and coarse vocabularies, segmenter or phrases.

        python data/build_vocab.py --input_file='corpus/*.txt' --language=zh --output_dir=tokenizer
        python data/build_vocab.py --input_file='corpus/*.txt' --language=en --phrases_file=phrases.tsv \\
            --output_dir=tokenizer

    Prints the vocabulary sizes and the fractions of unknown fine tokens and of coarse tokens with several fine tokens.
    """

    language: str = setting(None, "Coarse tokens: Chinese words (zh) or English phrases (en).", LANGUAGES)
    output_dir: str = setting("", "Tokenizer directory to write.")
    fine_vocab_file: str | None = setting(
        None, "Fine vocabulary to use, such as Google's vocab.txt. Defaults to one learned from the corpus."
    )
    fine_vocab_size: int | None = setting(
        None, "Maximum size of a learned fine vocabulary. Defaults to the paper's, 21,128 (zh) or 30,522 (en)."
    )
    coarse_vocab_size: int | None = setting(
        None,
        "Maximum size of the coarse vocabulary, including the fine one. Defaults to the fine vocabulary plus the "
        "paper's 72,635 words (zh) or 77,645 phrases (en).",
    )
    phrases_file: str | None = setting(None, "For --language=en: phrases.tsv from data/build_phrase_dictionary.py.")
    user_dict: str | None = setting(
        None,
        "For --language=zh: additional words, in jieba's format: word [count] [part of speech]. Words may contain "
        "letters, digits and symbols.",
    )
    min_count: int = setting(2, "Minimum count of a word or phrase in the coarse vocabulary.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags are incompatible."""
        require(self, "language", "output_dir")
        check_choices(self)
        at_least(self, 1, "min_count")
        at_least(self, 6, "fine_vocab_size", "coarse_vocab_size")
        if self.fine_vocab_file and self.fine_vocab_size:
            raise InputError(
                "--fine_vocab_size: is the size of a learned vocabulary; omit it with --fine_vocab_file"
            )
        if self.language == "en" and not self.phrases_file:
            raise InputError("--phrases_file: is needed for --language=en; data/build_phrase_dictionary.py creates it")
        if self.language == "zh" and self.phrases_file:
            raise InputError(
                "--phrases_file: is for --language=en; Chinese words come from jieba's dictionary and --user_dict"
            )
        if self.language == "en" and self.user_dict:
            raise InputError("--user_dict: is for --language=zh; English phrases come from --phrases_file")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhraseSettings(NormalizationSettings, CorpusSettings):
    """Finds the phrases of an English corpus: frequent n-grams whose words depend on each other.

        python data/build_phrase_dictionary.py --input_file='corpus/*.txt' --output_file=phrases.tsv

    Prints the number of n-grams left by each threshold, the most frequent phrases, and random ones. Requires KenLM's
    programs lmplz and count_ngrams, which `make setup` builds.
    """

    output_file: str = setting("", "File to write: phrase, count, log10 P(last word | words before).")
    max_order: int = setting(4, f"Maximum number of words in a phrase, at most {MAX_ORDER}.")
    min_count: int = setting(
        5,
        "Minimum count of a phrase. Raise it with the size of the corpus, to some hundreds for tens of gigabytes: "
        "n-grams that occur this often are kept in memory.",
    )
    phrase_score: str = setting(
        NPMI,
        "Association measure: npmi, the normalized pointwise mutual information of the phrase's parts; or conditional, "
        "P(last word | words before).",
        (NPMI, CONDITIONAL),
    )
    min_npmi: float | None = setting(
        None,
        "For --phrase_score=npmi: minimum score, from 0 (independent words) to 1 (words that only occur together). "
        "Raise it for fewer and more cohesive phrases. Defaults to 0.4.",
    )
    min_conditional_prob: float | None = setting(
        None, "For --phrase_score=conditional: minimum P(last word | words before). Defaults to 0.01."
    )
    min_lift: float | None = setting(
        None,
        "Minimum ratio of P(last word | words before) to P(last word). It filters out 'it is', because 'is' is "
        "probable anywhere. 0 disables it. Defaults to 50 with --phrase_score=npmi, 10 with conditional.",
    )
    max_phrases: int | None = setting(None, "Maximum number of phrases. The most frequent are kept.")
    lmplz: str | None = setting(None, "Path of KenLM's lmplz. Default: next to the Python interpreter, or on PATH.")
    count_ngrams: str | None = setting(None, "Path of KenLM's count_ngrams. Default: like --lmplz.")
    memory: str = setting("1G", "Memory for KenLM's programs, which run one at a time, such as 4G or 50%.")
    temp_dir: str | None = setting(
        None,
        "Directory for the normalized text and KenLM's temporary files, many times the size of the corpus. Defaults to "
        "TMPDIR.",
    )

    @property
    def effective_min_lift(self) -> float:
        """The minimum lift, whose default depends on the score."""
        return _MIN_LIFT[self.phrase_score] if self.min_lift is None else self.min_lift

    @property
    def effective_min_npmi(self) -> float:
        """The minimum normalized PMI, for `phrase_score` npmi."""
        return _MIN_NPMI if self.min_npmi is None else self.min_npmi

    @property
    def effective_min_conditional_prob(self) -> float:
        """The minimum conditional probability, for `phrase_score` conditional."""
        return _MIN_CONDITIONAL_PROB if self.min_conditional_prob is None else self.min_conditional_prob

    def validate(self) -> None:
        """Raises an InputError if a value is out of range, or is for another score."""
        require(self, "output_file")
        check_choices(self)
        if not 2 <= self.max_order <= MAX_ORDER:
            raise InputError(f"--max_order={self.max_order}: must be from 2 to {MAX_ORDER}")
        at_least(self, 1, "min_count", "max_phrases")
        at_least(self, 0, "min_lift")
        for score, flag in ((NPMI, "min_npmi"), (CONDITIONAL, "min_conditional_prob")):
            if getattr(self, flag) is not None and self.phrase_score != score:
                raise InputError(f"--{flag}: is for --phrase_score={score}; omit it with {self.phrase_score}")
        if not -1 <= self.effective_min_npmi < 1:
            raise InputError(f"--min_npmi={self.min_npmi}: must be at least -1 and below 1, such as 0.4")
        if not 0 <= self.effective_min_conditional_prob < 1:
            raise InputError(
                f"--min_conditional_prob={self.min_conditional_prob}: must be at least 0 and below 1, such as 0.01"
            )
        if is_directory(self.output_file):
            raise InputError(f"--output_file={self.output_file}: is a directory; name a file in it")
