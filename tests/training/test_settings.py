import pytest

from ambert_tf.errors import InputError
from ambert_tf.training.settings import TrainingSettings
from tests.small_models import small_config


def test_precision_by_its_flags():
    assert TrainingSettings().precision == "float32"
    assert TrainingSettings(use_fp16=True).precision == "float16"
    assert TrainingSettings(use_bf16=True).precision == "bfloat16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output_dir": ""}, "--output_dir is needed"),
        ({"train_batch_size": 0}, "--train_batch_size=0: must be at least 1"),
        ({"save_checkpoints_steps": 0}, "--save_checkpoints_steps=0: must be at least 1"),
        ({"num_replicas": 0}, "--num_replicas=0: must be at least 1"),
        ({"weight_decay": -1.0}, r"--weight_decay=-1\.0: must be at least 0"),
        ({"learning_rate": 0.0}, r"--learning_rate=0\.0: must be above 0"),
        ({"learning_rate": float("nan")}, "--learning_rate=nan: must be above 0"),
        ({"random_seed": -1}, "--random_seed=-1: must be from 0 to"),
        ({"dropout": 1.0}, r"--dropout=1\.0: must be in \[0, 1\)"),
        ({"learning_rate_schedule": "step"}, "--learning_rate_schedule=step"),
        ({"use_fp16": True, "use_bf16": True}, "--use_fp16 and --use_bf16 are both set; choose one"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**{"output_dir": "run", **changes}).validate()


def test_dropout_overrides_both_rates_of_the_configuration():
    config = small_config(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.2)
    assert TrainingSettings().training_config(config) is config
    trained = TrainingSettings(dropout=0.0).training_config(config)
    assert (trained.hidden_dropout_prob, trained.attention_probs_dropout_prob) == (0.0, 0.0)
    assert trained.hidden_size == config.hidden_size


def test_optional_settings_may_be_none():
    TrainingSettings(output_dir="run", save_checkpoints_steps=None).validate()
