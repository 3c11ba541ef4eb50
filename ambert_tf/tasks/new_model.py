"""The configuration of a model that starts from new weights."""

import os

from ambert_tf.errors import InputError
from ambert_tf.modeling.config import PRESETS, ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer


def new_model_config(
    config: str, model_type: str | None, tokenizer: MultiGrainedTokenizer, tokenizer_dir: str
) -> ModelConfig:
    """Returns the configuration that `--config` names, for the tokenizer's vocabularies.

    Args:
      config: a preset's name or a file.
      model_type: replaces the configuration's; None to leave it.
      tokenizer: whose vocabularies the model reads.
      tokenizer_dir: where it is from, for errors.

    Raises:
      InputError: `config` is neither a preset nor a file, or the file is for other vocabularies.
    """
    changes = {} if model_type is None else {"model_type": model_type}
    if config in PRESETS:
        return ModelConfig.preset(config, tokenizer.fine_vocab_size, tokenizer.coarse_vocab_size, **changes)
    if not os.path.exists(config):
        raise InputError(f"--config={config}: is neither a file nor one of the presets {', '.join(PRESETS)}")
    found = ModelConfig.from_file(config, **changes)
    for name, grain in (("vocab_size", "fine"), ("coarse_vocab_size", "coarse")):
        size = tokenizer.fine_vocab_size if grain == "fine" else tokenizer.coarse_vocab_size
        if grain in found.grains and getattr(found, name) != size:
            raise InputError(
                f"--config={config}: {name} is {getattr(found, name)}, but the {grain} vocabulary of "
                f"--tokenizer_dir={tokenizer_dir} has {size} tokens"
            )
    return found
