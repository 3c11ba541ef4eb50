"""`AmbertTokenizer`: the multi-grained tokenizer as a KerasHub layer."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import tensorflow as tf
from keras_hub.src.utils.tensor_utils import preprocessing_function

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.preset_files import check_preset
from ambert_tf.tokenization.tokenizer import (
    COARSE_VOCAB_FILE,
    FINE_VOCAB_FILE,
    LANGUAGE_FILES,
    SETTINGS_FILE,
    MultiGrainedTokenizer,
)

GRAINS = ("fine", "coarse")
# Characters written without spaces around them.
_UNSPACED = r"[\p{Han}\x{3000}-\x{303f}\x{ff00}-\x{ffef}]"


@keras.saving.register_keras_serializable(package="ambert_tf")
class AmbertTokenizer(keras_hub.models.Tokenizer):
    """A tokenizer that splits a text into fine-grained and coarse-grained tokens.

    As in BERT, fine tokens are Chinese characters or pieces of English words. Coarse tokens are words or phrases. The
    tokenizer is a TensorFlow graph, the same one that pre-training and exported models run, so eager mode, `tf.data`
    and a SavedModel all produce the same ids.

    `tokenize` returns a dictionary with `fine_ids` and `coarse_ids`. `detokenize` takes such a dictionary, or the ids
    of one grain.

    Args:
      tokenizer: string or `MultiGrainedTokenizer`. A tokenizer directory written by `data/build_vocab.py`, or a loaded
        tokenizer. If `None`, call `load_assets` before using the layer.
      language: string. `"zh"` or `"en"`. Defaults to the tokenizer's language.

    Examples:

    ```python
    tokenizer = ambert_tf.AmbertTokenizer.from_preset("./my_preset")
    ids = tokenizer(["商店里的乒乓球拍卖完了", "服务很好"])
    ids["coarse_ids"]
    tokenizer.detokenize(ids)
    [tokenizer.id_to_token(id, grain="coarse") for id in ids["coarse_ids"][0]]
    tokenizer.vocabulary_size(grain="coarse")
    ```
    """

    backbone_cls = AmbertBackbone

    def __init__(
        self, tokenizer: str | MultiGrainedTokenizer | None = None, language: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._loaded: Any = None
        self.language = language
        if isinstance(tokenizer, str):
            tokenizer = MultiGrainedTokenizer.load(tokenizer)
        if tokenizer is not None:
            self._set(tokenizer)
        elif language in LANGUAGE_FILES:
            self._name_assets()

    def _set(self, tokenizer: MultiGrainedTokenizer) -> None:
        # Wrapped in a function, so that Keras does not track the vocabulary tables as part of this layer.
        self._loaded = lambda: tokenizer
        self._graph = tf.function(
            lambda texts: tuple(tokenizer.ids(texts)[:2]),
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )
        self.language = tokenizer.language
        self._name_assets()
        self._tokens: dict[str, Any] = {}
        self._ids: dict[str, dict[str, int]] = {}
        self.pad_token_id, self.unk_token_id = tokenizer.pad_id, tokenizer.unk_id
        self.cls_token_id, self.sep_token_id, self.mask_token_id = tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id
        self.start_token_id, self.end_token_id = tokenizer.cls_id, tokenizer.sep_id

    def _name_assets(self) -> None:
        self.file_assets = [SETTINGS_FILE, FINE_VOCAB_FILE, COARSE_VOCAB_FILE, LANGUAGE_FILES[str(self.language)]]

    @property
    def tokenizer(self) -> MultiGrainedTokenizer:
        """The graph tokenizer.

        Raises:
          ValueError: no tokenizer has been loaded.
        """
        if self._loaded is None:
            raise ValueError(
                "No vocabulary has been set for AmbertTokenizer. Make sure to pass a `tokenizer` argument when "
                "creating the layer, or call `load_assets(directory)` with a tokenizer directory."
            )
        return self._loaded()

    def save_assets(self, dir_path: str) -> None:
        """Writes the files of a tokenizer directory."""
        with tempfile.TemporaryDirectory() as temporary:
            directory = os.path.join(temporary, "tokenizer")
            self.tokenizer.save(directory)
            for name in os.listdir(directory):
                shutil.copyfile(os.path.join(directory, name), os.path.join(dir_path, name))

    def load_assets(self, dir_path: str) -> None:
        """Loads the files of a tokenizer directory."""
        self._set(MultiGrainedTokenizer.load(dir_path))

    @preprocessing_function
    def tokenize(self, inputs: Any) -> dict[str, tf.RaggedTensor]:
        """Tokenizes texts.

        Args:
          inputs: string or strings of any shape.

        Returns:
          `fine_ids` and `coarse_ids`, ragged int32, with the shape of the inputs plus a last axis of tokens. For a
          single string, int32 [tokens].
        """
        texts = string_tensor(inputs, type(self).__name__)
        flat = tf.reshape(texts, [-1])
        tokenizer = self.tokenizer
        found = self._graph(flat) if tf.executing_eagerly() else tokenizer.ids(flat)[:2]
        ids = dict(zip(("fine_ids", "coarse_ids"), found, strict=True))
        if texts.shape.rank == 0:
            return {name: values.flat_values for name, values in ids.items()}
        for axis in range((texts.shape.rank or 1) - 1, 0, -1):
            size = tf.cast(tf.shape(texts)[axis], tf.int64)
            ids = {
                name: tf.RaggedTensor.from_uniform_row_length(values.with_row_splits_dtype(tf.int64), size)
                for name, values in ids.items()
            }
        return ids

    @preprocessing_function
    def detokenize(self, inputs: Any, grain: str = "fine") -> tf.Tensor:
        """Returns texts without [CLS], [SEP] and [PAD]. Normalization, such as accent removal, is not reversed.

        Args:
          inputs: the output of `tokenize`, whose fine ids are used, or the ids of one grain, ragged or dense.
          grain: the grain of the ids, if `inputs` are ids.
        """
        if isinstance(inputs, Mapping):
            inputs, grain = inputs["fine_ids"], "fine"
        ids = inputs if isinstance(inputs, tf.RaggedTensor) else tf.convert_to_tensor(inputs)
        if grain not in self._tokens:
            with tf.init_scope():
                self._tokens[grain] = tf.constant(self.get_vocabulary(grain))
        tokens = tf.ragged.map_flat_values(lambda values: tf.gather(self._tokens[grain], values), ids)
        special = [self.id_to_token(id) for id in (self.pad_token_id, self.cls_token_id, self.sep_token_id)]
        texts = tf.strings.reduce_join(tokens, axis=-1, separator=" ")
        for token in special:
            texts = tf.strings.regex_replace(texts, rf"(^| )\[{token[1:-1]}\]", "")
        texts = tf.strings.regex_replace(tf.strings.strip(texts), " ##", "")
        if self.language == "zh":
            for _ in range(2):  # twice, because consecutive matches overlap in one character
                texts = tf.strings.regex_replace(texts, rf"({_UNSPACED}) (\S)", r"\1\2")
                texts = tf.strings.regex_replace(texts, rf"(\S) ({_UNSPACED})", r"\1\2")
        return texts

    def get_vocabulary(self, grain: str = "fine") -> list[str]:
        """Returns a grain's tokens in the order of their ids. The coarse vocabulary starts with the fine one."""
        check_grain(grain)
        return self.tokenizer.fine_vocab if grain == "fine" else self.tokenizer.coarse_vocab

    def vocabulary_size(self, grain: str = "fine") -> int:
        """Returns the size of a grain's vocabulary."""
        return len(self.get_vocabulary(grain))

    def id_to_token(self, id: int, grain: str = "fine") -> str:
        """Returns the token with the given id.

        Raises:
          ValueError: the id is out of range.
        """
        vocabulary = self.get_vocabulary(grain)
        if not 0 <= id < len(vocabulary):
            raise ValueError(f"`id` must be in range [0, {len(vocabulary) - 1}] for grain={grain!r}. Received: {id}")
        return vocabulary[id]

    def token_to_id(self, token: str, grain: str = "fine") -> int:
        """Returns the id of a token, or that of [UNK] if the token is not in the vocabulary."""
        if grain not in self._ids:
            self._ids[grain] = {each: id for id, each in enumerate(self.get_vocabulary(grain))}
        return self._ids[grain].get(token, self.unk_token_id)

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> "AmbertTokenizer":
        """Loads the tokenizer of a preset; see `keras_hub.models.Tokenizer.from_preset`."""
        check_preset(preset)
        return super().from_preset(preset, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "language": self.language}  # the vocabularies are assets


def check_grain(grain: str) -> None:
    """Raises a ValueError unless `grain` is `"fine"` or `"coarse"`."""
    if grain not in GRAINS:
        raise ValueError(f'`grain` must be "fine" or "coarse". Received: grain={grain!r}')


def string_tensor(texts: Any, receiver: str) -> tf.Tensor:
    """Returns texts as a string tensor.

    Raises:
      ValueError: the texts are not strings.
    """
    tensor = tf.convert_to_tensor(texts)
    if tensor.dtype != tf.string:
        raise ValueError(
            f"{receiver} takes a string or a batch of strings, such as `['a text', 'another text']`. Received: "
            f"values of dtype {tensor.dtype.name}"
        )
    return tensor
