import pytest

from ambert_tf.errors import InputError
from ambert_tf.training.settings import TrainingSettings


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
        ({"use_fp16": True, "use_bf16": True}, "--use_fp16 and --use_bf16 are both set; choose one"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings(**{"output_dir": "run", **changes}).validate()


def test_what_is_left_out_is_fine():
    TrainingSettings(output_dir="run", save_checkpoints_steps=None).validate()
