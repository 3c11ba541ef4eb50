"""Third-party checkpoints: padded tables, cased or uncased vocabularies, old names, pickles, unusual heads."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.conversion.initial import bert_model, is_bert, read_bert, restore_initial
from ambert_tf.conversion.parameters import MASKED_LM, NEXT_SENTENCE
from ambert_tf.errors import InputError
from ambert_tf.models.config import ModelConfig
from ambert_tf.tokenization.phrases import phrases_content
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from tests.conversion.google_checkpoint import CONFIG, VOCAB, values, write_google_checkpoint
from tests.small_models import masked_lm

UNCASED = [*VOCAB[:5], "nba", "总", "决", "赛", "iphone", "##s"]
GERMAN = [*VOCAB[:5], "die", "schön", "schon", "##e", "stadt", "##s"]
NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}


@pytest.fixture(scope="module", autouse=True)
def _peers():
    """Imports PyTorch, which takes seconds, in the one process of the suite that runs this file."""
    global torch, transformers
    import torch
    import transformers


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    directory = tmp_path_factory.mktemp("published")
    prefix = write_google_checkpoint(directory / "google", values())
    output = str(directory / "hugging_face")
    convert_checkpoint(
        ConversionSettings(from_format="google_bert", to_format="huggingface", input=prefix, output=output)
    )
    return output


@pytest.fixture
def model(published, tmp_path):
    """A Hugging Face directory that a test may change."""
    return Directory(published, tmp_path / "model")


class Directory:
    def __init__(self, source, path):
        path.mkdir()
        self.path = str(path)
        self.tensors = load_file(f"{source}/model.safetensors")
        for name in os.listdir(source):
            shutil.copy(f"{source}/{name}", path / name)

    def update(self, name, without=None, **changes):
        path = f"{self.path}/{name}"
        content = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        content.pop(without, None)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**content, **changes}, file)

    def write_vocab(self, tokens):
        with open(f"{self.path}/vocab.txt", "w", encoding="utf-8") as file:
            file.writelines(f"{token}\n" for token in tokens)

    def write_tensors(self, tensors=None):
        save_file(self.tensors if tensors is None else tensors, f"{self.path}/model.safetensors")

    def read(self, **settings):
        return read_bert(self.path, needs_vocab=True, **settings)


def tokenizer_of(vocab, **settings):
    return MultiGrainedTokenizer(
        language="en", fine_vocab=vocab, coarse_vocab=vocab, language_file=phrases_content([]), **settings
    )


def tokens(tokenizer, text):
    return [tokenizer.fine_vocab[index] for index in tokenizer(tf.constant([text])).fine_ids[0].numpy()]


def theirs(directory, text):
    return transformers.AutoTokenizer.from_pretrained(directory).tokenize(text)


class TestCase:
    def test_a_vocabulary_without_capitals_is_uncased(self, model, caplog):
        # Like bert-base-chinese on the Hub.
        model.write_vocab(UNCASED)
        model.update("tokenizer_config.json", do_lower_case=False)
        _, tokenizer = bert_model(model.path, None, None)
        assert tokens(tokenizer, "NBA总决赛 iPhones") == ["nba", "总", "决", "赛", "iphone", "##s"]
        assert "its vocabulary has no capital letters; texts are lower-cased" in caplog.text

    def test_the_flag_overrides_the_files(self, model):
        model.write_vocab(UNCASED)
        for stated in (True, False):
            model.update("tokenizer_config.json", do_lower_case=stated)
            for wanted in (True, False):
                _, tokenizer = bert_model(model.path, None, None, do_lower_case=wanted)
                assert tokens(tokenizer, "NBA") == (["nba"] if wanted else ["[UNK]"])

    def test_a_cased_vocabulary_stays_cased(self, model):
        model.write_vocab([*VOCAB[:5], "NBA", "总", "决", "赛", "iPhone", "##s"])
        model.update("tokenizer_config.json", do_lower_case=False)
        _, tokenizer = bert_model(model.path, None, None)
        assert tokens(tokenizer, "NBA nba") == theirs(model.path, "NBA nba") == ["NBA", "[UNK]"]

    def test_warm_start_with_a_tokenizer(self, model):
        model.write_vocab(UNCASED)
        model.update("tokenizer_config.json", do_lower_case=False)
        new = masked_lm(ModelConfig(**CONFIG, model_type="bert_fine"))
        restore_initial(new, model.path, tokenizer_of(UNCASED))
        cased = tokenizer_of(UNCASED, do_lower_case=False)
        with pytest.raises(InputError, match=r"is cased, but .* is uncased; .* add --do_lower_case=false"):
            restore_initial(new, model.path, cased)
        restore_initial(new, model.path, cased, do_lower_case=False)


class TestVocabulary:
    def test_rows_beyond_the_vocabulary_get_unused_names(self, model, caplog):
        model.write_vocab(VOCAB[:9])
        bert = model.read()
        assert bert.vocab == [*VOCAB[:9], "[unused9]", "[unused10]"]
        assert "has 9 tokens, but" in caplog.text and "the last 2 are kept under the unused names" in caplog.text
        _, tokenizer = bert_model(model.path, None, None)
        assert tokens(tokenizer, "[unused9] new") == ["[UNK]", "[UNK]", "[UNK]", "new"]

    def test_a_tokenizer_of_the_vocabulary_file_alone(self, model):
        # data/build_vocab.py --fine_vocab_file=vocab.txt does not know about the extra rows.
        model.write_vocab(VOCAB[:9])
        new = masked_lm(ModelConfig(**{**CONFIG, "vocab_size": 9}, model_type="bert_fine"))
        restore_initial(new, model.path, tokenizer_of(VOCAB[:9]))
        table = values()["bert/embeddings/word_embeddings"]
        np.testing.assert_array_equal(new.backbone.token_table("fine"), table[:9])
        with pytest.raises(InputError, match=r"the tokenizer: has 8 fine tokens, but .* has 11"):
            restore_initial(new, model.path, tokenizer_of(VOCAB[:8]))

    def test_a_table_smaller_than_the_vocabulary(self, model):
        model.write_vocab([*VOCAB, "more"])
        with pytest.raises(InputError, match=r"vocab\.txt: has 12 tokens, but .* has 11 token embeddings"):
            model.read()

    def test_blank_lines_at_the_end(self, model):
        model.write_vocab([*VOCAB, "", ""])
        assert model.read().vocab == VOCAB


class TestTokenizerFiles:
    @pytest.mark.parametrize("strip_accents", [True, False, None])
    @pytest.mark.parametrize("file", ["tokenizer_config.json", "tokenizer.json"])
    def test_strip_accents(self, model, file, strip_accents):
        model.write_vocab(GERMAN)
        model.update("tokenizer_config.json", strip_accents=strip_accents)
        expected = theirs(model.path, "Die schöne Stadt")
        assert expected == f"die {'schon' if strip_accents is not False else 'schön'} ##e stadt".split()
        if file == "tokenizer.json":
            os.remove(f"{model.path}/tokenizer_config.json")
            model.update("tokenizer.json", normalizer={**NORMALIZER, "strip_accents": strip_accents})
        _, tokenizer = bert_model(model.path, None, None)
        assert tokens(tokenizer, "Die schöne Stadt") == expected

    def test_strip_accents_survives_conversion(self, model, tmp_path):
        model.write_vocab(GERMAN)
        model.update("tokenizer_config.json", strip_accents=False)
        paths = {"ambert": str(tmp_path / "ambert"), "huggingface": str(tmp_path / "huggingface")}
        for source, from_format, to_format in (
            (model.path, "huggingface", "ambert"),
            (paths["ambert"], "ambert", "huggingface"),
        ):
            convert_checkpoint(
                ConversionSettings(
                    from_format=from_format, to_format=to_format, input=source, output=paths[to_format]
                )
            )
        assert theirs(paths["huggingface"], "Die schöne") == ["die", "schön", "##e"]

    @pytest.mark.parametrize(
        ("file", "changes", "match"),
        [
            ("tokenizer_config.json", {"tokenize_chinese_chars": False}, "tokenize_chinese_chars is false"),
            ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}, "is 'BertJapaneseTokenizer'"),
            ("tokenizer_config.json", {"do_lower_case": "yes"}, "do_lower_case is 'yes'; it must be true or false"),
            ("tokenizer.json", {"normalizer": {"type": "NFC"}}, "its normalizer is 'NFC'"),
            ("tokenizer.json", {"normalizer": {**NORMALIZER, "clean_text": False}}, "clean_text false"),
            ("tokenizer.json", {"pre_tokenizer": {"type": "ByteLevel"}}, "its pre_tokenizer is 'ByteLevel'"),
        ],
    )
    def test_tokenizers_that_are_not_berts(self, model, file, changes, match):
        model.update(file, **changes)
        with pytest.raises(InputError, match=match):
            model.read()

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "its model is 'BPE'"),
            ({"model": {"vocab": {"a": 0, "b": 2}}}, "its ids are not 0 to 1"),
            ({"model": {"vocab": {}, "continuing_subword_prefix": "@@"}}, "continuing_subword_prefix is '@@'"),
            ({"model": {"vocab": {"\ud83d": 0}}}, "is not valid JSON .*lone surrogate"),
        ],
    )
    def test_vocabularies_of_tokenizer_json(self, model, content, match):
        os.remove(f"{model.path}/vocab.txt")
        model.update("tokenizer.json", **content)
        with pytest.raises(InputError, match=match):
            model.read()


class TestTensors:
    def test_old_names_and_buffers(self, model, caplog):
        renames = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        tensors = {}
        for name, value in model.tensors.items():
            for new, old in renames.items():
                name = name.replace(new, old)
            tensors[name] = value
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")
        for name in ("position_ids", "token_type_ids"):
            tensors[f"bert.embeddings.{name}"] = np.arange(16)[np.newaxis]
        expected = model.read().weights
        model.write_tensors(tensors)
        weights = model.read().weights
        assert weights.keys() == expected.keys()
        for path, value in expected.items():
            np.testing.assert_array_equal(weights[path], value)
        assert "other tensors" not in caplog.text

    def test_an_untied_decoder_leaves_the_head_out(self, model, caplog):
        decoder = model.tensors["bert.embeddings.word_embeddings.weight"] + 1
        model.write_tensors({**model.tensors, "cls.predictions.decoder.weight": decoder})
        bert = model.read()
        assert not bert.has(MASKED_LM) and bert.has(NEXT_SENTENCE)
        assert "its masked-LM head is ignored: cls.predictions.decoder.weight differs from" in caplog.text

    def test_one_segment_embedding(self, model, caplog):
        name = "bert.embeddings.token_type_embeddings.weight"
        model.write_tensors({**model.tensors, name: np.ascontiguousarray(model.tensors[name][:1])})
        model.update("config.json", type_vocab_size=1)
        assert model.read().config.type_vocab_size == 1
        assert "type_vocab_size is 1, so both texts of a pair get the same segment embedding" in caplog.text
        new = masked_lm(ModelConfig(**{**CONFIG, "type_vocab_size": 1}, model_type="bert_fine"))
        restore_initial(new, model.path, tokenizer_of(VOCAB))
        inputs = {"fine_input_ids": tf.constant([[2, 8, 3, 9, 3]]), "fine_segment_ids": tf.constant([[0, 0, 0, 1, 1]])}
        single = {**inputs, "fine_segment_ids": tf.zeros([1, 5], tf.int32)}
        pair, expected = new.backbone(inputs), new.backbone(single)
        tf.nest.map_structure(np.testing.assert_array_equal, pair, expected)


class TestSentenceEncoders:
    """Directories of sentence-transformers."""

    @pytest.fixture(autouse=True)
    def pooling_file(self, model):
        os.mkdir(f"{model.path}/1_Pooling")
        model.update("1_Pooling/config.json", word_embedding_dimension=24)

    @pytest.mark.parametrize(
        ("modes", "pooling"),
        [
            ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
            ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
            ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "cls"),
        ],
    )
    def test_the_mean_is_classified_if_it_was_trained(self, model, modes, pooling):
        model.update("1_Pooling/config.json", **modes)
        model.update("config.json", without="classifier_pooling")
        assert model.read().config.classifier_pooling == pooling

    def test_the_models_own_configuration_has_precedence(self, model):
        model.update("1_Pooling/config.json", pooling_mode_mean_tokens=True)
        model.update("config.json", classifier_pooling="cls")
        assert model.read().config.classifier_pooling == "cls"


class TestPickles:
    def pickle(self, model, names, file, dtype=None):
        tensors = {name: torch.tensor(model.tensors[name]).to(dtype or torch.float32) for name in names}
        torch.save(tensors, f"{model.path}/{file}")
        return dict.fromkeys(names, file)

    @pytest.mark.parametrize("sharded", [False, True])
    def test_are_read(self, model, sharded):
        expected = model.read().weights
        os.remove(f"{model.path}/model.safetensors")
        names = sorted(model.tensors)
        if sharded:
            first = self.pickle(model, names[:9], "pytorch_model-00001-of-00002.bin")
            second = self.pickle(model, names[9:], "pytorch_model-00002-of-00002.bin")
            model.update("pytorch_model.bin.index.json", weight_map={**first, **second})
        else:
            self.pickle(model, names, "pytorch_model.bin")
        assert is_bert(model.path)
        weights = model.read().weights
        assert weights.keys() == expected.keys()
        for path, value in expected.items():
            np.testing.assert_array_equal(weights[path], value)

    def test_bfloat16(self, model):
        expected = model.read().weights
        os.remove(f"{model.path}/model.safetensors")
        self.pickle(model, sorted(model.tensors), "pytorch_model.bin", torch.bfloat16)
        for path, value in model.read().weights.items():
            np.testing.assert_allclose(value, expected[path], rtol=2**-8)

    def test_code_in_a_pickle_is_not_run(self, model, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "made"),)

        os.remove(f"{model.path}/model.safetensors")
        torch.save({"bert.pooler.dense.bias": Evil()}, f"{model.path}/pytorch_model.bin")
        with pytest.raises(InputError, match=r"pytorch_model\.bin: is not a file of PyTorch weights"):
            model.read()
        assert not (tmp_path / "made").exists()

    def test_without_torch(self, model, monkeypatch):
        os.rename(f"{model.path}/model.safetensors", f"{model.path}/pytorch_model.bin")
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
        with pytest.raises(InputError, match=r"reading it requires PyTorch \(pip install torch\); or load it"):
            model.read()

    @pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack"])
    def test_other_frameworks_get_advice(self, model, name):
        os.rename(f"{model.path}/model.safetensors", f"{model.path}/{name}")
        assert is_bert(model.path)
        with pytest.raises(InputError, match=rf"has {name} but no model\.safetensors; load it with transformers"):
            model.read()


class TestRemote:
    def test_checkpoints_are_read_and_written(self, model):
        source, prefix = "ram://berts/source", "ram://berts"
        tf.io.gfile.makedirs(source)
        for name in os.listdir(model.path):
            tf.io.gfile.copy(f"{model.path}/{name}", f"{source}/{name}")
        for to_format in ("google_bert", "huggingface"):
            settings = {"to_format": to_format, "output": f"{prefix}/{to_format}"}
            before = "huggingface" if to_format == "google_bert" else "google_bert"
            path = source if to_format == "google_bert" else f"{prefix}/google_bert"
            convert_checkpoint(ConversionSettings(from_format=before, input=path, **settings))
        expected = model.read().weights
        weights = read_bert(f"{prefix}/huggingface").weights
        assert weights.keys() == expected.keys()
        for path, value in expected.items():
            np.testing.assert_array_equal(weights[path], value)
        tf.io.gfile.rmtree(prefix)


def test_heads_can_be_left_out(published):
    config = ModelConfig(**CONFIG, model_type="bert_fine")
    new, kept = (masked_lm(config, next_sentence=True, seed=1) for _ in range(2))
    restore_initial(new, published, tokenizer_of(VOCAB), heads=False)
    for variable, other in zip(new.variables, kept.variables, strict=True):
        same = np.array_equal(variable, other)
        assert same == ("head" in variable.path), variable.path
