"""`MultiGrainedTokenizer`: TensorFlow ops from text to fine and coarse token ids, with offsets and alignment."""

import hashlib
import json
import os
import weakref
from typing import Any, NamedTuple

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import is_directory, is_file, read_bytes, read_json_object
from ambert_tf.outputs import atomic_path, make_directory
from ambert_tf.presets import TOKENIZER_ASSETS, preset_path
from ambert_tf.tokenization import flat, vocab_file
from ambert_tf.tokenization.normalizer import INT, Normalizer, Words, find_words
from ambert_tf.tokenization.phrases import PhraseMatcher
from ambert_tf.tokenization.segmenter import Segmenter
from ambert_tf.tokenization.wordpiece import Pieces, WordPiece

FORMAT_VERSION = 1
SETTINGS_FILE = "tokenizer.json"
FINE_VOCAB_FILE = "fine_vocab.txt"
COARSE_VOCAB_FILE = "coarse_vocab.txt"
SEGMENTER_FILE = "segmenter.model"
PHRASES_FILE = "phrases.tsv"
LANGUAGE_FILES = {"zh": SEGMENTER_FILE, "en": PHRASES_FILE}
TOKENIZER_FILES = {SETTINGS_FILE, FINE_VOCAB_FILE, COARSE_VOCAB_FILE, *LANGUAGE_FILES.values()}
NORMALIZATIONS = ("bert", "nfkc")


class Tokens(NamedTuple):
    """Both tokenizations of a batch of texts, without [CLS] and [SEP], as int32 ragged tensors.

    A coarse token contains one or several consecutive fine tokens, so both grains cover the same text.

    Attributes:
      fine_ids: [batch, (fine)].
      fine_starts, fine_ends: [batch, (fine)], byte ranges in the original text. An accent that normalization strips
        belongs to the preceding token, unless there is a control character, such as a zero-width joiner, between them.
      coarse_ids, coarse_starts, coarse_ends: [batch, (coarse)], likewise.
      fine_to_coarse: [batch, (fine)], the index of the coarse token that contains the fine token.
    """

    fine_ids: tf.RaggedTensor
    fine_starts: tf.RaggedTensor
    fine_ends: tf.RaggedTensor
    coarse_ids: tf.RaggedTensor
    coarse_starts: tf.RaggedTensor
    coarse_ends: tf.RaggedTensor
    fine_to_coarse: tf.RaggedTensor


class TokenIds(NamedTuple):
    """Both tokenizations without offsets.

    Attributes:
      fine_ids: int32 ragged [batch, (fine)].
      coarse_ids: int32 ragged [batch, (coarse)].
      fine_counts: int32 [coarse tokens of all texts], the number of fine tokens in each coarse token.
    """

    fine_ids: tf.RaggedTensor
    coarse_ids: tf.RaggedTensor
    fine_counts: tf.Tensor


class MultiGrainedTokenizer(tf.Module):
    """Tokenizes texts into fine tokens (Chinese characters, English words) and coarse tokens (words, phrases).

    It consists of TensorFlow ops, so data creation, training input, prediction and the SavedModel all run the same
    object. Any bytes are valid input. As in Google's BERT, bytes that are not UTF-8 are not part of any token.

    >>> tokenizer = MultiGrainedTokenizer.load("tokenizer")
    >>> tokenizer(tf.constant(["商店里的乒乓球拍卖完了"])).coarse_ids

    Args:
      language: "zh" segments Chinese words, and "en" joins words to English phrases.
      fine_vocab: BERT's vocabulary, `[PAD]` first.
      coarse_vocab: the fine vocabulary followed by words or phrases. A phrase's words are joined by one space.
      language_file: the contents of `segmenter.model` (zh) or `phrases.tsv` (en).
      do_lower_case: whether to use BERT's uncased normalization.
      normalization: "bert", or "nfkc" to also fold full-width forms and ligatures.
      strip_accents: whether to strip accents. Defaults to `do_lower_case`, as in Google's BERT.
      directory: the directory of the parts, for error messages.

    Raises:
      InputError: the parts do not match.
    """

    def __init__(
        self,
        *,
        language: str,
        fine_vocab: list[str],
        coarse_vocab: list[str],
        language_file: bytes,
        do_lower_case: bool = True,
        normalization: str = "bert",
        strip_accents: bool | None = None,
        directory: str = "tokenizer",
    ):
        super().__init__(name="tokenizer")
        if coarse_vocab[: len(fine_vocab)] != fine_vocab:
            raise InputError(
                f"--tokenizer_dir={directory}: {COARSE_VOCAB_FILE} does not start with the lines of {FINE_VOCAB_FILE}; "
                "build both with data/build_vocab.py"
            )
        vocab_file.check_fine_vocabulary(fine_vocab, os.path.join(directory, FINE_VOCAB_FILE), "tokenizer_dir")
        self.language = language
        self.do_lower_case = do_lower_case
        self.normalization = normalization
        self.strip_accents = strip_accents
        self.fine_vocab_size = len(fine_vocab)
        self.coarse_vocab_size = len(coarse_vocab)
        ids = vocab_file.token_ids(fine_vocab)
        self.pad_id = 0
        self.unk_id, self.cls_id, self.sep_id, self.mask_id = (ids[token] for token in vocab_file.SPECIAL_TOKENS[1:])
        # A function hides the vocabularies from tf.Module, which would track every token.
        self._vocabularies = lambda: (fine_vocab, coarse_vocab)
        self._language_file = language_file

        entries = {coarse_vocab[index]: index for index in range(len(fine_vocab), len(coarse_vocab))}
        self._normalizer = Normalizer(do_lower_case, normalization == "nfkc", strip_accents)
        self._wordpiece = WordPiece(fine_vocab)
        self._word_entries = flat.string_table({entry: index for entry, index in entries.items() if " " not in entry})
        self._grouping: Segmenter | PhraseMatcher
        if language == "zh":
            self._grouping = Segmenter(language_file, entries, os.path.join(directory, SEGMENTER_FILE))
        else:
            self._grouping = PhraseMatcher({entry: index for entry, index in entries.items() if " " in entry})
        # Traced once for all graphs that tokenize. The lambda hides the function from SavedModel, which would save it.
        traced = tf.function(self._tokens, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        self._traced = lambda texts: traced(texts)

    @classmethod
    def load(cls, directory: str) -> "MultiGrainedTokenizer":
        """Loads a tokenizer directory: `tokenizer.json`, the two vocabularies, and the segmenter or the phrases.

        `directory` may also be the name of a preset in this package.

        While a loaded tokenizer is in use, directories with the same contents give the same object, because building
        and tracing one takes a second.

        Raises:
          InputError: a file is missing or invalid, or the files do not match.
        """
        if directory != preset_path(directory):
            directory = os.path.join(preset_path(directory), TOKENIZER_ASSETS)
        settings = _read_settings(directory)
        for name, digest in settings["files"].items():
            path = os.path.join(directory, name)
            if not is_file(path):
                raise InputError(f"--tokenizer_dir={directory}: {name} is missing, although {SETTINGS_FILE} names it")
            if _digest(read_bytes(path)) != digest:
                raise InputError(
                    f"--tokenizer_dir={directory}: {name} is not the file that {SETTINGS_FILE} was written for; "
                    "rebuild the directory with data/build_vocab.py"
                )
        language = settings["language"]
        contents = json.dumps(settings, sort_keys=True)
        tokenizer = _loaded.get(contents)
        if tokenizer is not None:
            return tokenizer
        tokenizer = cls(
            language=language,
            fine_vocab=vocab_file.read_own_vocabulary(os.path.join(directory, FINE_VOCAB_FILE), "tokenizer_dir"),
            coarse_vocab=vocab_file.read_own_vocabulary(os.path.join(directory, COARSE_VOCAB_FILE), "tokenizer_dir"),
            language_file=read_bytes(os.path.join(directory, LANGUAGE_FILES[language])),
            do_lower_case=settings["do_lower_case"],
            normalization=settings["normalization"],
            strip_accents=settings.get("strip_accents"),
            directory=directory,
        )
        _loaded[contents] = tokenizer
        return tokenizer

    def save(self, directory: str) -> None:
        """Writes the tokenizer directory, atomically replacing an existing one."""
        contents = self._contents()
        with atomic_path(directory) as temporary:
            make_directory(temporary)
            for name, content in contents.items():
                with open(os.path.join(temporary, name), "wb") as file:
                    file.write(content)
            with open(os.path.join(temporary, SETTINGS_FILE), "w", encoding="utf-8") as file:
                json.dump(self._settings(contents), file, indent=2)
                file.write("\n")

    def _contents(self) -> dict[str, bytes]:
        return {
            FINE_VOCAB_FILE: "".join(f"{token}\n" for token in self.fine_vocab).encode(),
            COARSE_VOCAB_FILE: "".join(f"{token}\n" for token in self.coarse_vocab).encode(),
            LANGUAGE_FILES[self.language]: self._language_file,
        }

    def _settings(self, contents: dict[str, bytes]) -> dict[str, Any]:
        # Omit the default, so that tokenizers from before this setting keep their fingerprint.
        accents = {} if self.strip_accents is None else {"strip_accents": self.strip_accents}
        return {
            "format_version": FORMAT_VERSION,
            "language": self.language,
            "do_lower_case": self.do_lower_case,
            "normalization": self.normalization,
            **accents,
            "fine_vocab_size": self.fine_vocab_size,
            "coarse_vocab_size": self.coarse_vocab_size,
            "files": {name: _digest(content) for name, content in contents.items()},
        }

    @property
    def fingerprint(self) -> str:
        """Hex digest of settings and files. Tokenizers with the same fingerprint produce the same ids."""
        return _digest(json.dumps(self._settings(self._contents()), sort_keys=True).encode())[:32]

    def begins_word(self, fine_ids: tf.Tensor) -> tf.Tensor:
        """Returns whether fine tokens are the first pieces of their words, bool like `fine_ids`."""
        continues = [token.startswith(vocab_file.WORDPIECE_PREFIX) for token in self.fine_vocab]
        return ~tf.gather(tf.constant(continues), fine_ids)

    @property
    def fine_vocab(self) -> list[str]:
        """The fine tokens in the order of their ids."""
        return self._vocabularies()[0]

    @property
    def coarse_vocab(self) -> list[str]:
        """The coarse tokens in the order of their ids, the fine vocabulary first."""
        return self._vocabularies()[1]

    def __call__(self, texts: tf.Tensor) -> Tokens:
        """Tokenizes texts.

        Args:
          texts: string [batch], texts of any length.

        Returns:
          Both tokenizations; see `Tokens`.
        """
        return self._traced(texts)

    def _tokens(self, texts: tf.Tensor) -> Tokens:
        words, pieces, groups = self._tokenize(texts)
        return _with_offsets(words, pieces, groups)

    def ids(self, texts: tf.Tensor) -> TokenIds:
        """Tokenizes texts, string [batch], without offsets, which saves a quarter of the time."""
        words, pieces, groups = self._tokenize(texts)
        fine_splits, coarse_splits = _splits(words, pieces, groups)
        return TokenIds(
            tf.RaggedTensor.from_row_splits(pieces.ids, fine_splits, validate=False),
            tf.RaggedTensor.from_row_splits(groups.ids, coarse_splits, validate=False),
            groups.ends - groups.firsts,
        )

    def _tokenize(self, texts: tf.Tensor) -> tuple[Words, Pieces, "_Groups"]:
        text = self._normalizer(texts)
        words = find_words(text)
        pieces = self._wordpiece(words)
        coarse_ids, continues = self._grouping(text, words, pieces)
        return words, pieces, _group(pieces, self._whole_words(pieces, coarse_ids), continues)

    def _whole_words(self, pieces: Pieces, coarse_ids: tf.Tensor) -> tf.Tensor:
        """Looks up words of letters in the coarse vocabulary, unless they are already part of an entry."""
        open_words = tf.where(tf.gather(coarse_ids, pieces.long_words) < 0)
        found = self._word_entries.lookup(tf.gather_nd(pieces.long_strings, open_words))
        return tf.tensor_scatter_nd_update(
            coarse_ids, tf.gather(pieces.long_words, open_words[:, 0])[:, tf.newaxis], found
        )


class _Groups(NamedTuple):
    """Coarse tokens as groups of fine tokens.

    Attributes:
      begins: bool [fine], whether the fine token is the first of its coarse token.
      firsts, ends: int32 [coarse], ranges of fine tokens.
      ids: int32 [coarse].
    """

    begins: tf.Tensor
    firsts: tf.Tensor
    ends: tf.Tensor
    ids: tf.Tensor


def _group(pieces: Pieces, coarse_ids: tf.Tensor, continues: tf.Tensor) -> _Groups:
    """Joins fine tokens to coarse tokens.

    A word that is not part of a coarse entry (`coarse_ids` is -1) falls back to its fine pieces.
    """
    # Both values of a word are packed into one number, because gathering takes the most time.
    of_word = tf.where(coarse_ids < 0, -1, 2 * coarse_ids + tf.cast(continues, INT))
    of_piece = tf.gather(of_word, pieces.word)
    begins = (of_piece < 0) | (pieces.begins_word & (of_piece % 2 == 0))
    firsts = flat.where(begins)
    entry = tf.gather(of_piece, firsts)
    ids = tf.where(entry < 0, tf.gather(pieces.ids, firsts), entry // 2)
    return _Groups(begins, firsts, flat.ends_of(firsts, tf.size(begins)), ids)


def _splits(words: Words, pieces: Pieces, groups: _Groups) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the row splits of the fine and of the coarse tokens, int32 [batch + 1]."""
    fine_splits = tf.gather(pieces.boundaries, words.splits)
    return fine_splits, tf.searchsorted(groups.firsts, fine_splits)


def _with_offsets(words: Words, pieces: Pieces, groups: _Groups) -> Tokens:
    """Adds byte offsets and the alignment of the grains."""
    fine_splits, coarse_splits = _splits(words, pieces, groups)
    starts = tf.gather(words.byte_starts, pieces.starts)
    ends = tf.gather(words.byte_ends, pieces.starts + pieces.lengths - 1)
    begins_text = tf.boolean_mask(tf.range(tf.size(fine_splits) - 1), fine_splits[1:] > fine_splits[:-1])
    text = flat.range_index(tf.gather(fine_splits, begins_text), tf.size(pieces.ids))
    coarse_before = tf.gather(tf.gather(coarse_splits, begins_text), text)
    fine_to_coarse = tf.cumsum(tf.cast(groups.begins, INT)) - 1 - coarse_before

    def fine(values):
        return tf.RaggedTensor.from_row_splits(values, fine_splits, validate=False)

    def coarse(values):
        return tf.RaggedTensor.from_row_splits(values, coarse_splits, validate=False)

    return Tokens(
        fine(pieces.ids),
        fine(starts),
        fine(ends),
        coarse(groups.ids),
        coarse(tf.gather(starts, groups.firsts)),
        coarse(tf.gather(ends, groups.ends - 1)),
        fine(fine_to_coarse),
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# By the contents of tokenizer.json, which include the digests of the files.
_loaded: weakref.WeakValueDictionary[str, MultiGrainedTokenizer] = weakref.WeakValueDictionary()


def _read_settings(directory: str) -> dict[str, Any]:
    path = os.path.join(directory, SETTINGS_FILE)
    if not is_directory(directory):
        raise InputError(f"--tokenizer_dir={directory}: no such directory; data/build_vocab.py builds one")
    if not is_file(path):
        raise InputError(f"--tokenizer_dir={directory}: has no {SETTINGS_FILE}; data/build_vocab.py builds one")
    settings = read_json_object(path, "tokenizer_dir")
    expected = {"format_version", "language", "do_lower_case", "normalization", "files"}
    missing = expected - set(settings)
    if missing:
        raise InputError(f"{path}: has no {', '.join(sorted(missing))}")
    if settings["format_version"] != FORMAT_VERSION:
        raise InputError(f"{path}: format_version is {settings['format_version']}; only {FORMAT_VERSION} is supported")
    for key, kinds in (
        ("language", str),
        ("normalization", str),
        ("do_lower_case", bool),
        ("strip_accents", bool | None),
        ("files", dict),
    ):
        if not isinstance(settings.get(key), kinds):
            raise InputError(f"{path}: {key} is {settings[key]!r}; rebuild the directory with data/build_vocab.py")
    if settings["language"] not in LANGUAGE_FILES:
        raise InputError(f"{path}: language is {settings['language']!r}; it must be one of {', '.join(LANGUAGE_FILES)}")
    if settings["normalization"] not in NORMALIZATIONS:
        raise InputError(
            f"{path}: normalization is {settings['normalization']!r}; it must be one of {', '.join(NORMALIZATIONS)}"
        )
    needed = {FINE_VOCAB_FILE, COARSE_VOCAB_FILE, LANGUAGE_FILES[settings["language"]]}
    if not needed <= set(settings["files"]):
        raise InputError(f"{path}: `files` does not contain {', '.join(sorted(needed - set(settings['files'])))}")
    return settings
