"""Model directories of this project: extracting a BERT from one, and initializing one from a BERT."""

import dataclasses
import re
from collections.abc import Iterable

import keras
import numpy as np
from absl import logging

from ambert_tf.conversion.bert import Bert, collect_weights
from ambert_tf.conversion.parameters import MASKED_LM, NEXT_SENTENCE, POOLER, Parameter
from ambert_tf.conversion.warm_start import Composition, composition
from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.phrases import phrases_content
from ambert_tf.tokenization.segmenter import build_segmenter
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import (
    Checkpoints,
    load_model_directory,
    prepare_model_directory,
    variable_reader,
)

# If the fraction of Chinese characters in a vocabulary exceeds this value, the model is Chinese.
CHINESE_SHARE = 0.2
_COARSE_TABLE = "backbone/embeddings/coarse_token_embeddings"
_COARSE_BIAS = "masked_lm_head/coarse_output_bias"


def read_ambert(path: str, grain: str = "fine", flag: str = "input") -> Bert:
    """Extracts the BERT of one grain from a model directory. For AMBERT, the fine one is AMBERT-Single.

    Args:
      path: a model directory.
      grain: `fine` or `coarse`.
      flag: the flag that named the path, for error messages.

    Raises:
      InputError: the path is not a model directory, or the model has no encoder for this grain alone.
    """
    directory = load_model_directory(path, flag)
    config = directory.config
    if config.model_type == "ambert_hybrid":
        raise InputError(f"--{flag}={path}: ambert_hybrid reads both grains as one sequence and contains no BERT")
    if grain not in config.grains:
        raise InputError(f"--grain={grain}: --{flag}={path} has model type {config.model_type}, without {grain} grain")
    single = dataclasses.replace(
        config, model_type="bert_fine", vocab_size=config.grain_vocab_size(grain), coarse_vocab_size=0
    )
    read = variable_reader(directory.checkpoint)

    def saved_path(parameter: Parameter) -> str:
        saved = re.sub(r"\bfine_(?=token_embeddings|output_bias)", f"{grain}_", parameter.path)
        if config.model_type == "ambert_combo":
            saved = re.sub(r"^backbone/", f"backbone/{grain}_bert/", saved)
            saved = re.sub(r"^masked_lm_head/", f"{grain}_masked_lm_head/", saved)
        return saved

    weights = collect_weights(single, lambda parameter: read(saved_path(parameter)), saved_path, directory.checkpoint)
    tokenizer = MultiGrainedTokenizer.load(directory.tokenizer_directory)
    vocab = tokenizer.fine_vocab if grain == "fine" else tokenizer.coarse_vocab
    return Bert(
        single, weights, vocab, tokenizer.do_lower_case, path, tokenizer.strip_accents, tokenizer.normalization
    )


def read_ambert_tokenizer(path: str, flag: str = "input") -> MultiGrainedTokenizer:
    """Loads the tokenizer of a model directory."""
    return MultiGrainedTokenizer.load(load_model_directory(path, flag).tokenizer_directory)


def own_tokenizer(bert: Bert) -> MultiGrainedTokenizer:
    """Builds a tokenizer from a BERT's vocabulary alone. Its coarse tokens are the fine tokens."""
    assert bert.vocab is not None
    characters = {token for token in bert.vocab if len(token) == 1 and "\u4e00" <= token <= "\u9fff"}
    chinese = len(characters) > CHINESE_SHARE * len(bert.vocab)
    return MultiGrainedTokenizer(
        language="zh" if chinese else "en",
        fine_vocab=bert.vocab,
        coarse_vocab=bert.vocab,
        language_file=build_segmenter(dict.fromkeys(sorted(characters), 1)) if chinese else phrases_content([]),
        do_lower_case=bert.do_lower_case,
        strip_accents=bert.strip_accents,
    )


def fit_tokenizer(bert: Bert, tokenizer: MultiGrainedTokenizer, where: str) -> Bert:
    """Returns a BERT whose tokens are exactly the fine tokens of a tokenizer. Unused embeddings may be removed.

    Args:
      bert: the BERT.
      tokenizer: the tokenizer to match.
      where: the location of the tokenizer, for error messages.

    Raises:
      InputError: the BERT was trained with different tokens or text normalization.
    """
    advice = "build it with data/build_vocab.py --fine_vocab_file=VOCABULARY_OF_THE_CHECKPOINT"
    size = tokenizer.fine_vocab_size
    if bert.config.vocab_size - bert.unused_rows <= size < bert.config.vocab_size:
        bert = bert.with_vocab_size(size)
    if size != bert.config.vocab_size:
        raise InputError(f"{where}: has {size} fine tokens, but {bert.source} has {bert.config.vocab_size}; {advice}")
    if bert.vocab is None:
        return bert
    for number, (ours, theirs) in enumerate(zip(tokenizer.fine_vocab, bert.vocab, strict=True), 1):
        if ours != theirs:
            raise InputError(
                f"{where}: fine token {number} is {ours!r}, but {theirs!r} in the vocabulary of {bert.source}; {advice}"
            )
    if tokenizer.do_lower_case != bert.do_lower_case:
        kinds = {True: "uncased", False: "cased"}
        lower = str(tokenizer.do_lower_case).lower()
        raise InputError(
            f"{where}: is {kinds[tokenizer.do_lower_case]}, but {bert.source} is {kinds[bert.do_lower_case]}; if the "
            f"tokenizer is correct, add --do_lower_case={lower}"
        )
    ours_strip = tokenizer.do_lower_case if tokenizer.strip_accents is None else tokenizer.strip_accents
    if ours_strip != bert.strips_accents:
        raise InputError(
            f"{where}: strip_accents is {ours_strip}, but {bert.strips_accents} for {bert.source}; {advice} "
            f"--strip_accents={str(bert.strips_accents).lower()}"
        )
    return bert


def started_config(bert: Bert, model_type: str, tokenizer: MultiGrainedTokenizer) -> ModelConfig:
    """Returns the configuration of a model initialized from a BERT."""
    coarse_size = 0 if model_type == "bert_fine" else tokenizer.coarse_vocab_size
    return dataclasses.replace(bert.config, model_type=model_type, coarse_vocab_size=coarse_size)


def write_ambert(bert: Bert, model_type: str, tokenizer: MultiGrainedTokenizer, directory: str) -> None:
    """Writes a model directory initialized from a BERT.

    Each encoder gets the BERT's weights. Coarse embeddings and output biases are the means over their fine pieces.

    Args:
      bert: the BERT.
      model_type: one of the five model types.
      tokenizer: a tokenizer with the BERT's vocabulary as fine vocabulary; see `fit_tokenizer`.
      directory: the model directory, which must not exist.
    """
    config = started_config(bert, model_type, tokenizer)
    prepare_model_directory(directory, config, tokenizer)
    backbone = AmbertBackbone.from_model_config(config, dtype="float32")
    model: keras.Model = backbone
    if bert.has(MASKED_LM):
        model = AmbertMaskedLM(backbone, bert.has(NEXT_SENTENCE), compile=False)
    elif bert.has(NEXT_SENTENCE):
        logging.warning("%s: its next-sentence head is ignored, because it has no masked-LM head", bert.source)
    start_variables(model.variables, bert, tokenizer)
    Checkpoints(directory, model, {}).save(0)


def start_variables(variables: Iterable[keras.Variable], bert: Bert, tokenizer: MultiGrainedTokenizer) -> None:
    """Assigns a BERT's weights to a model's variables. Other variables, such as those of a new head, are unchanged.

    Raises:
      InputError: the shape of a variable differs.
    """
    pieces: Composition | None = None
    for variable in variables:
        path = _bert_path(variable.path)
        fine_path = path.replace("coarse_", "fine_") if path in (_COARSE_TABLE, _COARSE_BIAS) else path
        value = bert.weights.get(fine_path)
        if value is None:
            if path.startswith("backbone/"):
                logging.warning("%s: has no %s; the model's is randomly initialized", bert.source, POOLER)
            continue
        if fine_path != path:
            pieces = pieces or composition(tokenizer)
            value = pieces.means(value)
        if value.shape != tuple(variable.shape):
            raise InputError(
                f"{bert.source}: {variable.path} has shape {value.shape}, but the model's configuration implies "
                f"{tuple(variable.shape)}; use the configuration of this checkpoint"
            )
        variable.assign(np.asarray(value))


def _bert_path(path: str) -> str:
    """Maps a variable's path in any of the five models to its path in a BERT. Coarse tables keep their name."""
    path = re.sub(r"^backbone/(fine|coarse)_bert/", "backbone/", path)
    path = re.sub(r"^(fine|coarse)_masked_lm_head/", "masked_lm_head/", path)
    return re.sub(r"/(fine|coarse)_position_embeddings$", "/position_embeddings", path)
