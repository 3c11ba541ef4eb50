"""The settings of `convert_checkpoint.py`. This module does not import TensorFlow."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.files import check_tensorflow_path, is_directory, is_file, list_directory
from ambert_tf.flags import check_choices, require, setting
from ambert_tf.models.config import MODEL_TYPES
from ambert_tf.outputs import check_replaceable

GOOGLE, HUGGING_FACE, AMBERT, KERAS_HUB = "google_bert", "huggingface", "ambert", "keras_hub"
FORMATS = (GOOGLE, HUGGING_FACE, AMBERT, KERAS_HUB)
_FORMATS = (
    "google_bert (TensorFlow 1 checkpoint), huggingface (directory), ambert (model directory) or keras_hub (preset)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """Converts between checkpoints of BERT (Google's, Hugging Face's, KerasHub's), model directories, and presets.

        python convert_checkpoint.py --from_format=google_bert --input=chinese_L-12_H-768_A-12/bert_model.ckpt \\
            --to_format=ambert --model_type=ambert --tokenizer_dir=tokenizer --output=warm_started
        python convert_checkpoint.py --from_format=ambert --input=pretrained --to_format=huggingface --output=single
        python convert_checkpoint.py --from_format=ambert --input=classifier --to_format=keras_hub --output=my_preset

    The first command creates an AMBERT with the BERT's encoder. Its coarse embeddings are the means over their fine
    pieces, and data/build_vocab.py --fine_vocab_file=… creates the tokenizer. The second command extracts the fine half
    of an AMBERT (AMBERT-Single) for `transformers.AutoModel`. The third writes a preset for `from_preset` of KerasHub's
    classes. Pooler and pre-training heads are also converted.
    """

    from_format: str = setting(None, f"Format of --input: {_FORMATS}.", FORMATS)
    to_format: str = setting(None, f"Format of --output: {_FORMATS}.", FORMATS)
    input: str = setting("", "The checkpoint: a directory, or the prefix of Google's, such as DIR/bert_model.ckpt.")
    output: str = setting("", "Directory to write.")
    model_type: str | None = setting(
        None,
        "To ambert or keras_hub: model type to create. ambert, ambert_combo, ambert_hybrid and bert_coarse need "
        "--tokenizer_dir. Defaults to bert_fine, or to the type of an AMBERT model.",
        MODEL_TYPES,
    )
    tokenizer_dir: str | None = setting(
        None, "To ambert or keras_hub: tokenizer directory, with the checkpoint's vocabulary as fine vocabulary."
    )
    grain: str = setting(
        "fine", "From ambert: the grain to convert, fine (AMBERT-Single) or coarse.", ("fine", "coarse")
    )
    half_precision: bool = setting(
        False, "To keras_hub: store the weights in float16, in half the space. They are loaded in float32."
    )
    bert_config_file: str | None = setting(
        None, "From google_bert: configuration. Defaults to bert_config.json next to the checkpoint."
    )
    vocab_file: str | None = setting(None, "From google_bert: vocabulary. Default: vocab.txt next to --input.")
    do_lower_case: bool | None = setting(
        None, "Whether the model is uncased. Default: detected from its tokenizer files or vocabulary."
    )

    def validate(self) -> None:
        """Raises an InputError if flags are missing or incompatible."""
        require(self, "from_format", "to_format", "input", "output")
        check_choices(self)
        if self.from_format == self.to_format and (
            self.from_format not in (AMBERT, KERAS_HUB) or self.model_type is None
        ):
            advice = "; name the --model_type to convert it to" if self.from_format in (AMBERT, KERAS_HUB) else ""
            raise InputError(f"--to_format={self.to_format}: is also the --from_format: nothing to do{advice}")
        for name in ("model_type", "tokenizer_dir"):
            if getattr(self, name) is not None and self.to_format not in (AMBERT, KERAS_HUB):
                raise InputError(f"--{name}: is for --to_format={AMBERT} and {KERAS_HUB} only")
        if self.tokenizer_dir is not None and self.from_format == AMBERT and self.model_type is None:
            raise InputError("--tokenizer_dir: needs --model_type; without it, the model keeps its own tokenizer")
        if self.half_precision and self.to_format != KERAS_HUB:
            raise InputError(f"--half_precision: is for --to_format={KERAS_HUB} only")
        for name in ("bert_config_file", "vocab_file"):
            if getattr(self, name) is not None and self.from_format != GOOGLE:
                raise InputError(f"--{name}: is for --from_format={GOOGLE} only")
        if self.do_lower_case is not None and self.from_format == AMBERT:
            raise InputError("--do_lower_case: is not for --from_format=ambert, whose tokenizer defines it")
        if self.grain != "fine" and self.from_format != AMBERT:
            raise InputError(f"--grain={self.grain}: a BERT of --from_format={self.from_format} has no coarse grain")
        if self.grain != "fine" and self.to_format in (AMBERT, KERAS_HUB):
            raise InputError(f"--grain={self.grain}: only the fine grain can be converted to an {AMBERT} model")
        if self.model_type not in (None, "bert_fine") and self.tokenizer_dir is None:
            raise InputError(
                f"--tokenizer_dir is needed for --model_type={self.model_type}: it defines the coarse tokens; create "
                "it with data/build_vocab.py --fine_vocab_file=VOCABULARY_OF_THE_CHECKPOINT"
            )
        if is_file(self.output) or (is_directory(self.output) and list_directory(self.output)):
            raise InputError(f"--output={self.output}: already exists; name a directory that does not exist")
        check_replaceable(self.output, "output")
        if self.to_format in (GOOGLE, AMBERT):
            check_tensorflow_path(self.output, "output")
