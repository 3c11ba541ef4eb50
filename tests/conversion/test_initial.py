import dataclasses
import os

import numpy as np
import pytest

from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.conversion.initial import bert_model, is_bert, restore_initial
from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.segmenter import build_segmenter
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from tests.conversion.google_checkpoint import CONFIG, VOCAB, values, write_google_checkpoint
from tests.small_models import masked_lm

AMBERT = ModelConfig(**CONFIG, coarse_vocab_size=12, model_type="ambert")


def tokenizer(**settings):
    return MultiGrainedTokenizer(
        language="zh",
        fine_vocab=VOCAB,
        coarse_vocab=[*VOCAB, "南京"],
        language_file=build_segmenter({"南京": 5}),
        **settings,
    )


@pytest.fixture(scope="module")
def berts(tmp_path_factory):
    """The same BERT as a prefix of Google's, as its directory, and as a Hugging Face directory."""
    directory = tmp_path_factory.mktemp("berts")
    prefix = write_google_checkpoint(directory / "google", values())
    settings = {"from_format": "google_bert", "input": prefix}
    for to_format in ("huggingface", "ambert"):
        output = str(directory / to_format)
        convert_checkpoint(ConversionSettings(to_format=to_format, output=output, **settings))
    return {"prefix": prefix, **{name: str(directory / name) for name in ("google", "huggingface", "ambert")}}


def test_berts_of_other_projects_are_recognized(berts):
    assert {name: is_bert(path) for name, path in berts.items()} == {
        "prefix": True,
        "google": True,
        "huggingface": True,
        "ambert": False,
    }
    assert not is_bert(os.path.join(berts["ambert"], "checkpoints", "ckpt-0"))
    assert not is_bert(os.path.join(berts["ambert"], "none"))


@pytest.mark.parametrize("kind", ["prefix", "google", "huggingface", "ambert"])
def test_an_ambert_is_initialized_from_a_bert(berts, kind):
    model_type = "bert_fine" if kind == "ambert" else "ambert"
    model = masked_lm(dataclasses.replace(AMBERT, model_type=model_type), seed=1)
    restore_initial(model, berts[kind], tokenizer())
    tensors = values()
    table = tensors["bert/embeddings/word_embeddings"]
    np.testing.assert_array_equal(model.backbone.token_table("fine"), table)
    np.testing.assert_array_equal(model.backbone.encoders["fine"].pooler.kernel, tensors["bert/pooler/dense/kernel"])
    expected = tensors["cls/predictions/transform/dense/kernel"]
    np.testing.assert_array_equal(model.masked_lm_heads["fine"].transform.kernel, expected)
    if model_type == "ambert":
        np.testing.assert_allclose(model.backbone.token_table("coarse")[11], table[[5, 6]].mean(0), rtol=1e-6)


def test_models_and_tokenizers_that_do_not_match(berts):
    for changes, match in (
        ({"num_attention_heads": 4}, "its num_attention_heads is 2, but the model's is 4"),
        ({"layer_norm_eps": 1e-5}, "its layer_norm_eps is 1e-12, but the model's is 1e-05"),
        ({"max_position_embeddings": 20}, r"position_embeddings has shape \(16, 4\), but .* implies \(20, 4\)"),
    ):
        model = masked_lm(dataclasses.replace(AMBERT, **changes))
        with pytest.raises(InputError, match=match):
            restore_initial(model, berts["prefix"], tokenizer())
    with pytest.raises(InputError, match=r"the tokenizer: is cased, but .* is uncased"):
        restore_initial(masked_lm(AMBERT), berts["prefix"], tokenizer(do_lower_case=False))
    with pytest.raises(InputError, match="no such checkpoint; name a model directory"):
        restore_initial(masked_lm(AMBERT), berts["prefix"] + "x", tokenizer())


def test_configuration_and_tokenizer_of_a_bert(berts, tmp_path):
    directory = str(tmp_path / "tokenizer")
    tokenizer().save(directory)
    for kind in ("prefix", "huggingface"):
        config, made = bert_model(berts[kind], None, None)
        assert config == ModelConfig(**CONFIG, model_type="bert_fine")
        assert made.coarse_vocab == VOCAB
        config, loaded = bert_model(berts[kind], None, directory)
        assert config == AMBERT
        assert loaded.coarse_vocab_size == 12
        assert bert_model(berts[kind], "bert_fine", directory)[0].model_type == "bert_fine"
        with pytest.raises(InputError, match=r"--init_checkpoint=.* does not define coarse tokens"):
            bert_model(berts[kind], "ambert", None)
