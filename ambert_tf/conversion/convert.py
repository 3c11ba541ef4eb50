"""Converts checkpoints from one format to another: what `convert_checkpoint.py` does."""

import dataclasses
import os

from absl import logging

from ambert_tf.conversion.bert import Bert
from ambert_tf.conversion.google_bert import VOCAB_NAME, check_fits_google, read_google_bert, write_google_bert
from ambert_tf.conversion.hugging_face import read_hugging_face, write_hugging_face
from ambert_tf.conversion.model_directories import (
    check_tokenizer,
    own_tokenizer,
    read_ambert,
    read_ambert_tokenizer,
    write_ambert,
)
from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path, make_directory
from ambert_tf.models.config import MODEL_TYPES
from ambert_tf.tokenization.tokenizer import COARSE_VOCAB_FILE, MultiGrainedTokenizer

GOOGLE, HUGGING_FACE, AMBERT = "google_bert", "huggingface", "ambert"
FORMATS = (GOOGLE, HUGGING_FACE, AMBERT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """The flags of `convert_checkpoint.py`, under their names; see there for what each means."""

    from_format: str
    to_format: str
    input: str
    output: str
    model_type: str | None = None
    tokenizer_dir: str | None = None
    grain: str = "fine"
    bert_config_file: str | None = None
    vocab_file: str | None = None
    do_lower_case: bool | None = None

    def validate(self) -> None:
        """Raises an InputError if the flags do not fit each other."""
        for name in ("from_format", "to_format", "input", "output"):
            if not getattr(self, name):
                raise InputError(f"--{name} is needed")
        for name in ("from_format", "to_format"):
            if getattr(self, name) not in FORMATS:
                raise InputError(f"--{name}={getattr(self, name)}: must be one of {', '.join(FORMATS)}")
        if self.grain not in ("fine", "coarse"):
            raise InputError(f"--grain={self.grain}: must be fine or coarse")
        if self.model_type is not None and self.model_type not in MODEL_TYPES:
            raise InputError(f"--model_type={self.model_type}: must be one of {', '.join(MODEL_TYPES)}")
        if self.from_format == self.to_format and (self.from_format != AMBERT or self.model_type is None):
            advice = "; give the --model_type to make of it" if self.from_format == AMBERT else ""
            raise InputError(f"--to_format={self.to_format}: is the --from_format too, there is nothing to do{advice}")
        for name in ("model_type", "tokenizer_dir"):
            if getattr(self, name) is not None and self.to_format != AMBERT:
                raise InputError(f"--{name}: is for --to_format={AMBERT} only")
        for name in ("bert_config_file", "vocab_file"):
            if getattr(self, name) is not None and self.from_format != GOOGLE:
                raise InputError(f"--{name}: is for --from_format={GOOGLE} only")
        if self.do_lower_case is not None and self.from_format == AMBERT:
            raise InputError("--do_lower_case: is not for --from_format=ambert, whose tokenizer says it")
        if self.grain != "fine" and self.from_format != AMBERT:
            raise InputError(f"--grain={self.grain}: a BERT of --from_format={self.from_format} has no coarse grain")
        if self.grain != "fine" and self.to_format == AMBERT:
            raise InputError(f"--grain={self.grain}: only the fine grain can become an {AMBERT} model")
        if self.model_type not in (None, "bert_fine") and self.tokenizer_dir is None:
            raise InputError(
                f"--tokenizer_dir is needed for --model_type={self.model_type}: it says which coarse tokens there are; "
                "make it with data/build_vocab.py --fine_vocab_file=VOCABULARY_OF_THE_CHECKPOINT"
            )
        if os.path.isfile(self.output) or (os.path.isdir(self.output) and os.listdir(self.output)):
            raise InputError(f"--output={self.output}: exists already; name a directory that does not")


def convert_checkpoint(settings: ConversionSettings) -> None:
    """Converts a checkpoint; `output` is written whole or not at all.

    Raises:
      InputError: a flag or a file is wrong, or the parts do not fit each other.
    """
    settings.validate()
    if settings.to_format == AMBERT:
        _to_ambert(settings, _read(settings))
        return
    bert = _read(settings)
    if settings.to_format == GOOGLE:
        check_fits_google(bert)
    write = write_google_bert if settings.to_format == GOOGLE else write_hugging_face
    # BERT's tokenizer cannot cut words and phrases: under its file's name the coarse vocabulary would mislead it.
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
        check_tokenizer(bert, tokenizer, f"--tokenizer_dir={settings.tokenizer_dir}")
    elif settings.from_format == AMBERT:
        tokenizer = read_ambert_tokenizer(settings.input)
    else:
        tokenizer = own_tokenizer(bert)
    with atomic_path(settings.output) as temporary:
        write_ambert(bert, model_type, tokenizer, temporary)
    logging.info("%s: a %s, from %s", settings.output, model_type, bert.source)
