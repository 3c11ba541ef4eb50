"""Converts checkpoints from one format to another, as `convert_checkpoint.py` does."""

from absl import logging

from ambert_tf.conversion.ambert_model import (
    fit_tokenizer,
    own_tokenizer,
    read_ambert,
    read_ambert_tokenizer,
    write_ambert,
)
from ambert_tf.conversion.bert import Bert
from ambert_tf.conversion.conversion_settings import AMBERT, GOOGLE, HUGGING_FACE, ConversionSettings
from ambert_tf.conversion.google_bert import VOCAB_NAME, check_fits_google, read_google_bert, write_google_bert
from ambert_tf.conversion.hugging_face import read_hugging_face, write_hugging_face
from ambert_tf.files import atomic_path, make_directory
from ambert_tf.tokenization.tokenizer import COARSE_VOCAB_FILE, MultiGrainedTokenizer


def convert_checkpoint(settings: ConversionSettings) -> None:
    """Converts a checkpoint. `output` is written completely or not at all.

    Raises:
      InputError: a flag or a file is wrong, or the parts do not match.
    """
    settings.validate()
    if settings.to_format == AMBERT:
        _to_ambert(settings, _read(settings))
        return
    bert = _read(settings)
    if settings.to_format == GOOGLE:
        check_fits_google(bert)
    write = write_google_bert if settings.to_format == GOOGLE else write_hugging_face
    # BERT's tokenizer cannot produce words and phrases, so the coarse vocabulary must not have its file name.
    vocab_name = VOCAB_NAME if settings.grain == "fine" else COARSE_VOCAB_FILE
    with atomic_path(settings.output) as temporary:
        make_directory(temporary)
        write(bert, temporary, vocab_name)
    logging.info("%s: a BERT of %d tensors, from %s", settings.output, len(bert.weights), bert.source)


def _read(settings: ConversionSettings) -> Bert:
    if settings.from_format == GOOGLE:
        return read_google_bert(settings.input, settings.bert_config_file, settings.vocab_file, settings.do_lower_case)
    if settings.from_format == HUGGING_FACE:
        return read_hugging_face(settings.input, settings.do_lower_case)
    return read_ambert(settings.input, settings.grain)


def _to_ambert(settings: ConversionSettings, bert: Bert) -> None:
    model_type = settings.model_type or "bert_fine"
    if settings.tokenizer_dir is not None:
        tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
        bert = fit_tokenizer(bert, tokenizer, f"--tokenizer_dir={settings.tokenizer_dir}")
    elif settings.from_format == AMBERT:
        tokenizer = read_ambert_tokenizer(settings.input)
    else:
        tokenizer = own_tokenizer(bert)
    with atomic_path(settings.output) as temporary:
        write_ambert(bert, model_type, tokenizer, temporary)
    logging.info("%s: a %s, from %s", settings.output, model_type, bert.source)
