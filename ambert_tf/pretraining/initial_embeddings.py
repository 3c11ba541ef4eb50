"""`--init_embeddings`: token embeddings and output biases from the statistics of a corpus."""

import zipfile
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.files import exists, local_copy
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

# What reading another file, or a damaged one, raises.
_NOT_SUCH_A_FILE = (
    tf.errors.OpError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile,
)  # fmt: skip


class InitialEmbeddings(NamedTuple):
    """The contents of a file from data/build_embeddings.py, by grain; see `vocabulary.cooccurrence`."""

    embeddings: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]

    def assign(self, model: AmbertMaskedLM) -> None:
        """Initializes the token embeddings and the output biases of a model.

        Embeddings get about the length that random ones have. Those of tokens without co-occurrences stay random.
        Output biases become the logarithms of the tokens' frequencies, relative to that of the most frequent one.
        """
        config = model.config
        length = config.initializer_range * config.hidden_size**0.5
        for grain in config.grains:
            rows, counts = self.embeddings[grain], self.counts[grain]
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            table = model.backbone.token_table(grain)
            table.assign(np.where(norms > 0, rows * (length / np.where(norms > 0, norms, 1)), np.asarray(table)))
            bias = np.log((counts + 1) / (counts.max() + 1))
            model.masked_lm_heads[grain].output_biases[grain].assign(bias.astype(np.float32))


def read_initial_embeddings(path: str, tokenizer: MultiGrainedTokenizer, config: ModelConfig) -> InitialEmbeddings:
    """Reads a file from data/build_embeddings.py.

    Args:
      path: the file.
      tokenizer: the model's tokenizer.
      config: the model's configuration.

    Raises:
      InputError: the file is missing or invalid, or was made for another tokenizer or hidden size.
    """
    where = f"--init_embeddings={path}"
    if not exists(path):
        raise InputError(f"{where}: no such file; data/build_embeddings.py writes it")
    try:
        with local_copy(path) as name, np.load(name) as file:
            parts = {name: file[name] for name in file.files}
        fingerprint = str(parts["tokenizer_fingerprint"])
        found = InitialEmbeddings(
            *({grain: parts[f"{grain}_{name}"] for grain in ("fine", "coarse")} for name in ("embeddings", "counts"))
        )
    except _NOT_SUCH_A_FILE as error:
        raise InputError(f"{where}: is not a file from data/build_embeddings.py ({error})") from None
    if fingerprint != tokenizer.fingerprint:
        raise InputError(f"{where}: was computed with another tokenizer")
    size = found.embeddings["fine"].shape[1]
    if size != config.hidden_size:
        raise InputError(
            f"{where}: the embeddings have size {size}, but the model's hidden size is {config.hidden_size}; compute "
            f"them with --embedding_size={config.hidden_size}"
        )
    return found
