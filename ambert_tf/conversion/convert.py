"""Converts checkpoints from one format to another, as run by `convert_checkpoint.py`."""

import dataclasses
import os
import tempfile

from absl import logging

from ambert_tf.conversion.ambert_model import (
    fit_tokenizer,
    own_tokenizer,
    read_ambert,
    read_ambert_tokenizer,
    write_ambert,
)
from ambert_tf.conversion.bert import Bert
from ambert_tf.conversion.conversion_settings import AMBERT, GOOGLE, HUGGING_FACE, KERAS_HUB, ConversionSettings
from ambert_tf.conversion.google_bert import VOCAB_NAME, check_fits_google, read_google_bert, write_google_bert
from ambert_tf.conversion.hugging_face import read_hugging_face, write_hugging_face
from ambert_tf.conversion.keras_hub_presets import (
    read_keras_hub_bert,
    write_model_directory,
    write_preset,
)
from ambert_tf.errors import InputError
from ambert_tf.models.preset_files import BACKBONE_NAME, preset_config
from ambert_tf.outputs import atomic_path, make_directory
from ambert_tf.presets import preset_path
from ambert_tf.tokenization.tokenizer import COARSE_VOCAB_FILE, MultiGrainedTokenizer


def convert_checkpoint(settings: ConversionSettings) -> None:
    """Converts a checkpoint. `output` is written atomically.

    Raises:
      InputError: a flag or a file is invalid, or the parts do not match.
    """
    settings.validate()
    settings = dataclasses.replace(settings, input=preset_path(settings.input))
    if settings.from_format == KERAS_HUB and preset_config(settings.input) is not None:
        _from_our_preset(settings)
        return
    if settings.to_format == KERAS_HUB:
        _to_preset(settings)
        return
    if settings.to_format == AMBERT:
        _to_ambert(settings, _read(settings), settings.output)
        return
    bert = _read(settings)
    if settings.to_format == GOOGLE:
        check_fits_google(bert)
    write = write_google_bert if settings.to_format == GOOGLE else write_hugging_face
    # BERT's tokenizer cannot produce words and phrases, so it must not find the coarse vocabulary under its file name.
    vocab_name = VOCAB_NAME if settings.grain == "fine" else COARSE_VOCAB_FILE
    with atomic_path(settings.output) as temporary:
        make_directory(temporary)
        write(bert, temporary, vocab_name)
    logging.info("%s: a BERT of %d tensors, from %s", settings.output, len(bert.weights), bert.source)


def _from_our_preset(settings: ConversionSettings) -> None:
    for name in ("tokenizer_dir", "do_lower_case"):
        if getattr(settings, name) is not None:
            raise InputError(f"--{name}: the preset in --input={settings.input} has a tokenizer of its own")
    if settings.to_format != AMBERT or settings.model_type is not None:
        raise InputError(
            f"--input={settings.input}: is a preset of {BACKBONE_NAME}; first convert it to a model directory, with "
            f"--to_format={AMBERT} and without --model_type"
        )
    with atomic_path(settings.output) as temporary:
        write_model_directory(settings.input, temporary)
    logging.info("%s: a model directory, from %s", settings.output, settings.input)


def _to_preset(settings: ConversionSettings) -> None:
    with tempfile.TemporaryDirectory() as directory, atomic_path(settings.output) as temporary:
        model_dir = settings.input
        if settings.from_format != AMBERT or settings.model_type is not None:
            model_dir = os.path.join(directory, "model")
            _to_ambert(settings, _read(settings), model_dir)
        make_directory(temporary)
        write_preset(model_dir, temporary, settings.half_precision)
    logging.info("%s: a KerasHub preset, from %s", settings.output, settings.input)


def _read(settings: ConversionSettings) -> Bert:
    if settings.from_format == GOOGLE:
        return read_google_bert(settings.input, settings.bert_config_file, settings.vocab_file, settings.do_lower_case)
    if settings.from_format == KERAS_HUB:
        return read_keras_hub_bert(settings.input, settings.do_lower_case)
    if settings.from_format == HUGGING_FACE:
        return read_hugging_face(settings.input, settings.do_lower_case)
    return read_ambert(settings.input, settings.grain)


def _to_ambert(settings: ConversionSettings, bert: Bert, output: str) -> None:
    model_type = settings.model_type or "bert_fine"
    if settings.tokenizer_dir is not None:
        tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
        bert = fit_tokenizer(bert, tokenizer, f"--tokenizer_dir={settings.tokenizer_dir}")
    elif settings.from_format == AMBERT:
        tokenizer = read_ambert_tokenizer(settings.input)
    else:
        tokenizer = own_tokenizer(bert)
    with atomic_path(output) as temporary:
        write_ambert(bert, model_type, tokenizer, temporary)
    logging.info("%s: a %s, from %s", output, model_type, bert.source)
