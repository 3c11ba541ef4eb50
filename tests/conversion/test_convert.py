import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.conversion.ambert_model import read_ambert
from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.conversion.google_bert import read_google_bert, write_google_bert
from ambert_tf.errors import InputError
from ambert_tf.models.config import MODEL_TYPES, ModelConfig
from ambert_tf.tokenization.phrases import phrases_content
from ambert_tf.tokenization.segmenter import build_segmenter
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import load_model_directory, restore_variables
from tests.conversion.google_checkpoint import CONFIG, VOCAB, read_all, values, write_google_checkpoint
from tests.small_models import masked_lm

COARSE = ["南京", "南京市"]


def convert(from_format, to_format, source, output, **settings):
    convert_checkpoint(
        ConversionSettings(
            from_format=from_format, to_format=to_format, input=str(source), output=str(output), **settings
        )
    )
    return str(output)


@pytest.fixture(scope="module")
def google(tmp_path_factory):
    """The prefix of a Google checkpoint."""
    return write_google_checkpoint(tmp_path_factory.mktemp("google") / "uncased_L-1_H-4_A-2", values())


@pytest.fixture(scope="module")
def bert_fine(google, tmp_path_factory):
    return convert("google_bert", "ambert", google, tmp_path_factory.mktemp("converted") / "bert_fine")


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    """A tokenizer whose fine vocabulary is the checkpoint's."""
    directory = str(tmp_path_factory.mktemp("tokenizers") / "zh")
    MultiGrainedTokenizer(
        language="zh",
        fine_vocab=VOCAB,
        coarse_vocab=VOCAB + COARSE,
        language_file=build_segmenter({"南京": 5, "南京市": 4, "市": 3}),
    ).save(directory)
    return directory


@pytest.fixture(scope="module")
def ambert(google, tokenizer_dir, tmp_path_factory):
    output = tmp_path_factory.mktemp("converted") / "ambert"
    return convert("google_bert", "ambert", google, output, model_type="ambert", tokenizer_dir=tokenizer_dir)


def trained_weights(directory, model_type, next_sentence=True):
    """Returns the weights of a model directory by path, as training would restore them."""
    config, _, checkpoint = load_model_directory(directory)
    assert config.model_type == model_type
    model = masked_lm(config, next_sentence, seed=9)
    restore_variables(model.variables, checkpoint)
    return {variable.path: np.asarray(variable) for variable in model.variables}


class TestGoogle:
    def test_variables_get_the_published_tensors(self, bert_fine):
        found, tensors = trained_weights(bert_fine, "bert_fine"), values()
        layer = "backbone/encoder/layer_0"
        for path, name in {
            "backbone/embeddings/fine_token_embeddings": "bert/embeddings/word_embeddings",
            "backbone/embeddings/segment_embeddings": "bert/embeddings/token_type_embeddings",
            f"{layer}/attention/query/kernel": "bert/encoder/layer_0/attention/self/query/kernel",
            f"{layer}/attention/output/kernel": "bert/encoder/layer_0/attention/output/dense/kernel",
            f"{layer}/attention_layer_norm/gamma": "bert/encoder/layer_0/attention/output/LayerNorm/gamma",
            f"{layer}/intermediate/kernel": "bert/encoder/layer_0/intermediate/dense/kernel",
            f"{layer}/output_layer_norm/beta": "bert/encoder/layer_0/output/LayerNorm/beta",
            "backbone/pooler/kernel": "bert/pooler/dense/kernel",
            "masked_lm_head/transform/kernel": "cls/predictions/transform/dense/kernel",
            "masked_lm_head/fine_output_bias": "cls/predictions/output_bias",
        }.items():
            np.testing.assert_array_equal(found[path], tensors[name], path)
        np.testing.assert_array_equal(
            found["next_sentence_head/kernel"], tensors["cls/seq_relationship/output_weights"].T
        )
        assert len(found) == len(tensors)

    def test_the_model_directory_has_its_configuration_and_vocabulary(self, bert_fine):
        directory = load_model_directory(bert_fine)
        assert directory.config == ModelConfig(**CONFIG, model_type="bert_fine")
        tokenizer = MultiGrainedTokenizer.load(directory.tokenizer_directory)
        assert tokenizer.fine_vocab == tokenizer.coarse_vocab == VOCAB
        assert (tokenizer.language, tokenizer.do_lower_case) == ("zh", True)
        assert tokenizer(tf.constant(["New Yorks 南京"])).fine_ids.to_list() == [[8, 9, 10, 5, 6]]

    def test_round_trip_is_bit_identical(self, bert_fine, tmp_path):
        output = convert("ambert", "google_bert", bert_fine, tmp_path / "google")
        found, expected = read_all(f"{output}/bert_model.ckpt"), values()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert found[name].tobytes() == value.tobytes(), name
        with open(f"{output}/bert_config.json", encoding="utf-8") as file:
            assert json.load(file) == CONFIG
        with open(f"{output}/vocab.txt", encoding="utf-8") as file:
            assert file.read().split() == VOCAB

    def test_round_trip_through_hugging_face_is_bit_identical(self, google, tmp_path):
        middle = convert("google_bert", "huggingface", google, tmp_path / "hugging_face")
        output = convert("huggingface", "google_bert", middle, tmp_path / "google")
        found = read_all(f"{output}/bert_model.ckpt")
        for name, value in values().items():
            assert found[name].tobytes() == value.tobytes(), name

    def test_missing_heads_are_left_out(self, tmp_path):
        encoder = {name: value for name, value in values().items() if not name.startswith("cls/")}
        prefix = write_google_checkpoint(tmp_path / "encoder", encoder)
        model = convert("google_bert", "ambert", prefix, tmp_path / "model")
        output = convert("ambert", "google_bert", model, tmp_path / "out")
        assert read_all(f"{output}/bert_model.ckpt").keys() == encoder.keys()

    def test_a_cased_vocabulary_is_recognized(self, tmp_path):
        prefix = write_google_checkpoint(tmp_path / "cased", values(), vocab=[*VOCAB[:-1], "York"])
        directory = load_model_directory(convert("google_bert", "ambert", prefix, tmp_path / "model"))
        assert not MultiGrainedTokenizer.load(directory.tokenizer_directory).do_lower_case


class TestWarmStart:
    def test_coarse_embeddings_are_the_means_of_their_fine_pieces(self, ambert):
        found = trained_weights(ambert, "ambert")
        for coarse, fine in (("backbone/embeddings/coarse_token_embeddings", "bert/embeddings/word_embeddings"),
                             ("masked_lm_head/coarse_output_bias", "cls/predictions/output_bias")):  # fmt: skip
            rows = values()[fine]
            # Tokens 5, 6 and 7 are 南, 京 and 市.
            expected = [*rows, (rows[5] + rows[6]) / 2, (rows[5] + rows[6] + rows[7]) / 3]
            np.testing.assert_allclose(found[coarse], expected, rtol=1e-6)
            np.testing.assert_array_equal(found[coarse][:11], rows)

    def test_phrase_embeddings_are_the_means_of_their_pieces(self, google, tmp_path):
        directory = str(tmp_path / "en")
        coarse = [*VOCAB, "new york", "new yorks"]
        MultiGrainedTokenizer(
            language="en", fine_vocab=VOCAB, coarse_vocab=coarse, language_file=phrases_content([])
        ).save(directory)
        output = convert(
            "google_bert", "ambert", google, tmp_path / "model", model_type="ambert", tokenizer_dir=directory
        )
        rows = values()["bert/embeddings/word_embeddings"]
        found = trained_weights(output, "ambert")["backbone/embeddings/coarse_token_embeddings"]
        np.testing.assert_allclose(found[11:], [rows[[8, 9]].mean(0), rows[[8, 9, 10]].mean(0)], rtol=1e-6)

    @pytest.mark.parametrize("model_type", sorted(set(MODEL_TYPES) - {"ambert", "bert_fine"}))
    def test_every_encoder_is_initialized_from_the_bert(self, google, tokenizer_dir, tmp_path, model_type):
        output = convert(
            "google_bert", "ambert", google, tmp_path / "model", model_type=model_type, tokenizer_dir=tokenizer_dir
        )
        found = trained_weights(output, model_type)
        queries = [path for path in found if path.endswith("attention/query/kernel")]
        assert len(queries) == (2 if model_type == "ambert_combo" else 1)
        for path in queries:
            np.testing.assert_array_equal(found[path], values()["bert/encoder/layer_0/attention/self/query/kernel"])
        positions = [path for path in found if path.endswith("position_embeddings")]
        assert len(positions) == (1 if model_type == "bert_coarse" else 2)
        for path in positions:
            np.testing.assert_array_equal(found[path], values()["bert/embeddings/position_embeddings"])

    def test_initialization_from_a_bert_of_this_project(self, bert_fine, ambert, tokenizer_dir, tmp_path):
        output = convert(
            "ambert", "ambert", bert_fine, tmp_path / "model", model_type="ambert", tokenizer_dir=tokenizer_dir
        )
        expected = trained_weights(ambert, "ambert")
        for path, value in trained_weights(output, "ambert").items():
            np.testing.assert_array_equal(value, expected[path], path)


class TestOneGrainOut:
    def test_ambert_single_is_the_fine_half(self, ambert, tmp_path):
        output = convert("ambert", "google_bert", ambert, tmp_path / "single")
        found = read_all(f"{output}/bert_model.ckpt")
        for name, value in values().items():
            assert found[name].tobytes() == value.tobytes(), name

    @pytest.mark.parametrize("to_format", ["google_bert", "huggingface"])
    def test_the_coarse_half_is_written_without_berts_tokenizer(self, ambert, tmp_path, to_format):
        output = convert("ambert", to_format, ambert, tmp_path / "coarse", grain="coarse")
        assert "coarse_vocab.txt" in os.listdir(output)
        assert not {"vocab.txt", "tokenizer_config.json"} & set(os.listdir(output))
        config = "config.json" if to_format == "huggingface" else "bert_config.json"
        with open(f"{output}/{config}", encoding="utf-8") as file:
            assert json.load(file)["vocab_size"] == 13

    def test_the_halves_of_combo_are_separate_models(self, google, tokenizer_dir, tmp_path):
        combo = convert(
            "google_bert", "ambert", google, tmp_path / "combo", model_type="ambert_combo", tokenizer_dir=tokenizer_dir
        )
        for grain, size in (("fine", 11), ("coarse", 13)):
            output = convert("ambert", "google_bert", combo, tmp_path / grain, grain=grain)
            found = read_all(f"{output}/bert_model.ckpt")
            assert found["bert/embeddings/word_embeddings"].shape == (size, 4)
            assert found["cls/predictions/output_bias"].shape == (size,)
            np.testing.assert_array_equal(found["bert/pooler/dense/kernel"], values()["bert/pooler/dense/kernel"])


class TestNormalization:
    """Google's and Hugging Face's formats cannot express every setting of a tokenizer."""

    @pytest.mark.parametrize("to_format", ["google_bert", "huggingface"])
    def test_folding(self, google, bert_fine, tokenizer_dir, tmp_path, caplog, to_format):
        shutil.copytree(tokenizer_dir, tmp_path / "nfkc")
        settings = json.loads((tmp_path / "nfkc" / "tokenizer.json").read_text())
        (tmp_path / "nfkc" / "tokenizer.json").write_text(json.dumps({**settings, "normalization": "nfkc"}))
        model = convert("google_bert", "ambert", google, tmp_path / "model", tokenizer_dir=str(tmp_path / "nfkc"))
        assert read_ambert(model).normalization == "nfkc"
        warning = "its tokenizer folds full-width forms and ligatures (normalization is nfkc), but BERT's does not"
        assert warning not in caplog.text
        convert("ambert", to_format, bert_fine, tmp_path / "plain")
        assert warning not in caplog.text
        convert("ambert", to_format, model, tmp_path / "folded")
        assert f"{model}: {warning}" in caplog.text

    def test_accents(self, google, tmp_path, caplog):
        bert = read_google_bert(google)  # uncased
        warning = "strip_accents is False, but Google's tokenizer strips accents if and only if it lower-cases"
        write_google_bert(dataclasses.replace(bert, strip_accents=True), str(tmp_path))
        assert "strip_accents" not in caplog.text
        write_google_bert(dataclasses.replace(bert, strip_accents=False), str(tmp_path))
        assert warning in caplog.text


class TestErrors:
    @pytest.fixture()
    def hugging_face(self, google, tmp_path):
        return convert("google_bert", "huggingface", google, tmp_path / "hugging_face")

    def fails(self, match, *args, **settings):
        with pytest.raises(InputError, match=match):
            convert(*args, **settings)
        assert not os.path.exists(args[3])

    def test_flags_that_do_not_match(self, google, tmp_path):
        out = tmp_path / "out"
        for match, formats, settings in (
            ("--from_format=keras: must be one of google_bert, huggingface, ambert", ("keras", "ambert"), {}),
            ("--to_format=google_bert: is also the --from_format", ("google_bert", "google_bert"), {}),
            ("--to_format=ambert: .* name the --model_type", ("ambert", "ambert"), {}),
            ("--tokenizer_dir is needed for --model_type=ambert", ("google_bert", "ambert"), {"model_type": "ambert"}),
            ("--model_type=gpt: must be one of", ("google_bert", "ambert"), {"model_type": "gpt"}),
            (
                "--model_type: is for --to_format=ambert and keras_hub only",
                ("google_bert", "huggingface"),
                {"model_type": "ambert"},
            ),
            (
                "--half_precision: is for --to_format=keras_hub only",
                ("google_bert", "huggingface"),
                {"half_precision": True},
            ),
            ("--grain=coarse: a BERT of", ("google_bert", "huggingface"), {"grain": "coarse"}),
            ("--vocab_file: is for --from_format=google_bert only", ("ambert", "huggingface"), {"vocab_file": "x"}),
        ):
            self.fails(match, *formats, google, out, **settings)

    def test_a_name_that_tensorflow_cannot_read(self, google, tmp_path):
        match = r"--{}=.*\[1\]: TensorFlow cannot read checkpoints under a name with"
        self.fails(match.format("output"), "google_bert", "ambert", google, tmp_path / "[1]")
        convert("google_bert", "huggingface", google, tmp_path / "hugging_face [1]")
        copied = shutil.copytree(os.path.dirname(google), tmp_path / "google [1]")
        self.fails(match.format("input"), "google_bert", "huggingface", copied, tmp_path / "out")

    def test_an_output_that_exists(self, google, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(InputError, match=r"--output=.*: already exists"):
            convert("google_bert", "ambert", google, tmp_path)
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_missing_checkpoint(self, tmp_path):
        out = tmp_path / "out"
        self.fails("there is no .*none.index", "google_bert", "ambert", tmp_path / "none", out)
        self.fails("--input=.*none: no such directory", "huggingface", "ambert", tmp_path / "none", out)
        self.fails("--input=.*none: no such directory", "ambert", "huggingface", tmp_path / "none", out)

    def test_a_missing_tensor_is_named(self, tmp_path):
        tensors = values()
        del tensors["bert/encoder/layer_0/attention/self/key/bias"]
        prefix = write_google_checkpoint(tmp_path / "google", tensors)
        self.fails(
            "has no tensor bert/encoder/layer_0/attention/self/key/bias",
            "google_bert",
            "ambert",
            prefix,
            tmp_path / "out",
        )

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"intermediate_size": 8}, r"intermediate/dense/kernel has shape \(4, 6\) .* implies \(4, 8\)"),
            ({"num_hidden_layers": 2}, "has no tensor bert/encoder/layer_1/attention/self/query/kernel"),
            ({"vocab_size": 12}, r"word_embeddings has shape \(11, 4\)"),
            ({"hidden_act": "tanh"}, "hidden_act is 'tanh'; it must be one of"),
        ],
    )
    def test_a_configuration_of_another_model(self, tmp_path, changes, match):
        prefix = write_google_checkpoint(tmp_path / "google", values(), {**CONFIG, **changes})
        self.fails(match, "google_bert", "ambert", prefix, tmp_path / "out")

    def test_a_configuration_with_too_few_layers(self, tmp_path):
        tensors = values()
        tensors |= {name.replace("layer_0", "layer_1"): value for name, value in tensors.items() if "layer_0" in name}
        prefix = write_google_checkpoint(tmp_path / "google", tensors)
        self.fails(
            "has bert/encoder/layer_1/.* says num_hidden_layers 1", "google_bert", "ambert", prefix, tmp_path / "out"
        )

    def test_a_vocabulary_of_another_model(self, google, tmp_path):
        (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*VOCAB, "more"]))
        self.fails(
            "vocab.txt: has 12 tokens, but .* has 11 token embeddings",
            "google_bert", "ambert", google, tmp_path / "out", vocab_file=str(tmp_path / "vocab.txt"),
        )  # fmt: skip

    def test_a_tokenizer_with_other_fine_tokens(self, google, tmp_path):
        vocab = [*VOCAB[:5], "北", *VOCAB[6:]]
        directory = str(tmp_path / "tokenizer")
        MultiGrainedTokenizer(
            language="en", fine_vocab=vocab, coarse_vocab=vocab, language_file=phrases_content([])
        ).save(directory)
        self.fails(
            "fine token 6 is '北', but '南' in the vocabulary",
            "google_bert", "ambert", google, tmp_path / "out", model_type="ambert", tokenizer_dir=directory,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"model_type": "roberta"}, "model_type is 'roberta'; only models with model_type 'bert'"),
            ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
            ({"is_decoder": True}, "is_decoder is True"),
            ({"hidden_act": "silu"}, "hidden_act is 'silu'"),
            ({"pruned_heads": {"0": [1]}}, "has pruned_heads"),
        ],
    )
    def test_other_architectures_of_hugging_face(self, hugging_face, tmp_path, changes, match):
        path = f"{hugging_face}/config.json"
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**config, **changes}, file)
        self.fails(match, "huggingface", "ambert", hugging_face, tmp_path / "out")

    def test_weight_files_that_cannot_be_read(self, hugging_face, tmp_path):
        weights = f"{hugging_face}/model.safetensors"
        with open(weights, "wb") as file:
            file.write(b"not tensors")
        self.fails("is not a safetensors file", "huggingface", "ambert", hugging_face, tmp_path / "out")
        os.rename(weights, f"{hugging_face}/pytorch_model.bin")
        self.fails("bin: is not a file of PyTorch weights", "huggingface", "ambert", hugging_face, tmp_path / "out")
        os.rename(f"{hugging_face}/pytorch_model.bin", f"{hugging_face}/tf_model.h5")
        self.fails("has tf_model.h5 but no model.safe", "huggingface", "ambert", hugging_face, tmp_path / "out")
        os.remove(f"{hugging_face}/tf_model.h5")
        self.fails("has no model.safetensors", "huggingface", "ambert", hugging_face, tmp_path / "out")

    def test_a_damaged_checkpoint(self, google, tmp_path):
        copy = shutil.copytree(os.path.dirname(google), tmp_path / "google")
        (copy / "bert_model.ckpt.data-00000-of-00001").write_bytes(b"short")
        self.fails("the checkpoint cannot be read", "google_bert", "ambert", copy, tmp_path / "out")

    def test_values_that_google_cannot_express(self, hugging_face, tmp_path):
        path = f"{hugging_face}/config.json"
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        for changes, match in (({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05"),
                               ({"hidden_act": "gelu_new"}, "hidden_act is gelu_new")):  # fmt: skip
            with open(path, "w", encoding="utf-8") as file:
                json.dump({**config, **changes}, file)
            self.fails(match, "huggingface", "google_bert", hugging_face, tmp_path / "out")

    def test_grains_that_a_model_lacks(self, bert_fine, google, tokenizer_dir, tmp_path):
        self.fails("without coarse grain", "ambert", "huggingface", bert_fine, tmp_path / "out", grain="coarse")
        hybrid = convert(
            "google_bert",
            "ambert",
            google,
            tmp_path / "hybrid",
            model_type="ambert_hybrid",
            tokenizer_dir=tokenizer_dir,
        )
        self.fails("ambert_hybrid reads both grains", "ambert", "huggingface", hybrid, tmp_path / "out")
