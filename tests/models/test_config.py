import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig


def test_presets_have_berts_sizes():
    sizes = {}
    for name in ("tiny", "mini", "small", "base"):
        config = ModelConfig.preset(name, vocab_size=100, coarse_vocab_size=200)
        sizes[name] = (
            config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size
        )  # fmt: skip
    assert sizes == {
        "tiny": (2, 128, 2, 512),
        "mini": (4, 256, 4, 1024),
        "small": (4, 512, 8, 2048),
        "base": (12, 768, 12, 3072),
    }


def test_base_has_the_papers_settings_and_the_small_presets_those_for_short_training():
    paper = ("cls", 0.02, 0.1)
    for name, expected in (("base", paper), ("tiny", ("mean", 0.09, 0.0)), ("small", ("mean", 0.045, 0.0))):
        config = ModelConfig.preset(name, 100, 200)
        assert (config.classifier_pooling, config.initializer_range, config.hidden_dropout_prob) == expected


def test_keras_arguments_round_trip():
    config = ModelConfig.preset("mini", 100, 200)
    assert ModelConfig.from_keras({**config.to_keras(), "seed": 3}) == config


def test_file_round_trip(tmp_path):
    config = ModelConfig.preset("mini", vocab_size=100, coarse_vocab_size=200, model_type="ambert_combo")
    path = tmp_path / "config.json"
    config.to_file(str(path))
    assert ModelConfig.from_file(str(path)) == config
    assert json.loads(path.read_text())["coarse_vocab_size"] == 200


def test_google_and_hugging_face_configurations_are_read_as_bert_fine(tmp_path):
    google = {"vocab_size": 21128, "hidden_size": 768, "directionality": "bidi", "pooler_fc_size": 768}
    for content in (google, {**google, "model_type": "bert", "architectures": ["BertModel"]}):
        path = tmp_path / "bert_config.json"
        path.write_text(json.dumps(content))
        config = ModelConfig.from_file(str(path))
        assert (config.model_type, config.vocab_size, config.grains) == ("bert_fine", 21128, ("fine",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "is not valid JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "vocab_size"),
        ('{"vocab_size": 0}', "vocab_size is 0; it must be an integer of at least 1"),
        ('{"vocab_size": "9"}', "vocab_size is '9'; it must be an integer"),
        ('{"vocab_size": 9, "hidden_dropout_prob": 1.5}', r"hidden_dropout_prob is 1.5; it must be a number in [0,"),
        ('{"vocab_size": 9, "hidden_size": 10, "num_attention_heads": 3}', "10 is not a multiple of num_attention_"),
        ('{"vocab_size": 9, "model_type": "gpt"}', "model_type is 'gpt'; it must be one of ambert, ambert_combo"),
        ('{"vocab_size": 9, "classifier_pooling": "max"}', "classifier_pooling is 'max'; it must be one of cls, mean"),
        ('{"vocab_size": 9, "hidden_act": "swish"}', "hidden_act is 'swish'; it must be one of gelu"),
        ('{"vocab_size": 9, "model_type": "ambert"}', "model_type ambert needs coarse_vocab_size"),
    ],
)
def test_errors_name_the_file(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        ModelConfig.from_file(str(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_an_unknown_preset_names_the_presets():
    with pytest.raises(InputError, match="presets are tiny, mini, small, base"):
        ModelConfig.preset("large", 10, 20)
