"""The initial configuration and tokenizer of fine-tuning."""

from ambert_tf.conversion.initial import bert_model, is_bert, new_model_config
from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory


def initial_model(settings: FineTuningSettings) -> tuple[ModelConfig, MultiGrainedTokenizer]:
    """Returns the initial configuration and tokenizer of fine-tuning.

    Raises:
      InputError: the configuration does not match the tokenizer or the sequence length.
    """
    if settings.init_checkpoint and is_bert(settings.init_checkpoint):
        path, model_type = settings.init_checkpoint, settings.model_type
        config, tokenizer = bert_model(
            path, model_type, settings.tokenizer_dir, do_lower_case=settings.do_lower_case, **settings.bert_files
        )
    elif any(settings.bert_files.values()):
        raise InputError("--bert_config_file and --vocab_file: --init_checkpoint must be a checkpoint of Google's BERT")
    elif settings.init_checkpoint:
        directory = load_model_directory(settings.init_checkpoint)
        config, tokenizer = directory.config, MultiGrainedTokenizer.load(directory.tokenizer_directory)
        check_tokenizer_dir(settings, tokenizer, settings.init_checkpoint)
        if settings.model_type not in (None, config.model_type):
            raise InputError(
                f"--model_type={settings.model_type}: --init_checkpoint={settings.init_checkpoint} has model type "
                f"{config.model_type}"
            )
    else:
        assert settings.config is not None and settings.tokenizer_dir is not None  # see validate()
        tokenizer = MultiGrainedTokenizer.load(settings.tokenizer_dir)
        config = new_model_config(settings.config, settings.model_type, tokenizer, settings.tokenizer_dir)
    if settings.max_seq_length > config.max_position_embeddings:
        raise InputError(
            f"--max_seq_length={settings.max_seq_length}: the model has only {config.max_position_embeddings} "
            "position embeddings"
        )
    return settings.initial_config(config), tokenizer


def check_tokenizer_dir(settings: FineTuningSettings, tokenizer: MultiGrainedTokenizer, directory: str) -> None:
    """Raises an InputError if `--tokenizer_dir` is not the tokenizer of the model in `directory`."""
    given = settings.tokenizer_dir
    if given and MultiGrainedTokenizer.load(given).fingerprint != tokenizer.fingerprint:
        raise InputError(f"--tokenizer_dir={given}: is not the tokenizer of the model in {directory}; omit the flag")
