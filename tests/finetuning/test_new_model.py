import pytest

from ambert_tf.errors import InputError
from ambert_tf.finetuning.fine_tuning_settings import FineTuningSettings
from ambert_tf.finetuning.new_model import initial_model
from tests.conversion.google_checkpoint import VOCAB, values, write_google_checkpoint


def test_fine_tuning_starts_from_a_checkpoint_of_googles_bert(tmp_path):
    prefix = write_google_checkpoint(tmp_path / "google", values())
    settings = {"task_name": "tnews", "output_dir": str(tmp_path / "out"), "do_train": True, "init_checkpoint": prefix}
    config, tokenizer = initial_model(FineTuningSettings(**settings, max_seq_length=16))
    assert (config.model_type, config.vocab_size, config.num_hidden_layers) == ("bert_fine", 11, 1)
    assert tokenizer.fine_vocab == VOCAB
    with pytest.raises(InputError, match="--max_seq_length=17: the model has only 16 position embeddings"):
        initial_model(FineTuningSettings(**settings, max_seq_length=17))
    with pytest.raises(InputError, match="--tokenizer_dir is needed"):
        initial_model(FineTuningSettings(**settings, max_seq_length=16, model_type="ambert"))
