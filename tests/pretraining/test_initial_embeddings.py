import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.pretraining.initial_embeddings import read_initial_embeddings
from tests.serving.models import config_of
from tests.small_models import masked_lm
from tests.tokenizers import chinese_tokenizer


@pytest.fixture
def file(tmp_path):
    random, tokenizer = np.random.default_rng(0), chinese_tokenizer()
    parts = {"tokenizer_fingerprint": tokenizer.fingerprint}
    for grain, size in (("fine", tokenizer.fine_vocab_size), ("coarse", tokenizer.coarse_vocab_size)):
        parts[f"{grain}_embeddings"] = random.normal(size=(size, 16)).astype(np.float32)
        parts[f"{grain}_embeddings"][:5] = 0
        parts[f"{grain}_counts"] = np.arange(size)
    path = tmp_path / "embeddings.npz"
    np.savez(path, **parts)
    return str(path), parts


@pytest.mark.parametrize("model_type", ["ambert", "ambert_combo", "ambert_hybrid", "bert_fine", "bert_coarse"])
def test_a_model_gets_the_embeddings_of_its_grains(file, model_type):
    path, parts = file
    config = config_of(model_type)
    model, random = masked_lm(config, seed=1), masked_lm(config, seed=1)
    read_initial_embeddings(path, chinese_tokenizer(), config).assign(model)
    for grain in config.grains:
        table, given = np.asarray(model.backbone.token_table(grain)), parts[f"{grain}_embeddings"]
        np.testing.assert_array_equal(table[:5], np.asarray(random.backbone.token_table(grain))[:5])
        # The length of a random row, with 16 elements of a standard deviation of 0.5.
        np.testing.assert_allclose(np.linalg.norm(table[5:], axis=1), 0.5 * 4, rtol=1e-5)
        cosines = (table[5:] * given[5:]).sum(1) / np.linalg.norm(table[5:], axis=1) / np.linalg.norm(given[5:], axis=1)
        np.testing.assert_allclose(cosines, 1, rtol=1e-5)
        bias = np.asarray(model.masked_lm_heads[grain].output_biases[grain])
        np.testing.assert_allclose(bias, np.log((np.arange(len(bias)) + 1) / len(bias)), rtol=1e-5, atol=1e-6)


def test_the_file_may_be_remote(file):
    path, parts = file
    tf.io.gfile.copy(path, "ram://embeddings.npz", overwrite=True)
    found = read_initial_embeddings("ram://embeddings.npz", chinese_tokenizer(), config_of())
    np.testing.assert_array_equal(found.embeddings["coarse"], parts["coarse_embeddings"])


def test_files_that_do_not_match_are_named(file, tmp_path):
    _, parts = file
    tokenizer, config = chinese_tokenizer(), config_of()
    with pytest.raises(InputError, match=r"^--init_embeddings=no.npz: no such file; data/build_embeddings.py"):
        read_initial_embeddings("no.npz", tokenizer, config)
    for content in (b"", b"PK\3\4", b"\x93NUMPY"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.npz: is not a file from data/build_embeddings.py"):
            read_initial_embeddings(str(tmp_path / "bad.npz"), tokenizer, config)
    np.savez(tmp_path / "other.npz", **{**parts, "tokenizer_fingerprint": "x"})
    with pytest.raises(InputError, match=r"other.npz: was computed with another tokenizer"):
        read_initial_embeddings(str(tmp_path / "other.npz"), tokenizer, config)
    np.savez(tmp_path / "wide.npz", **{**parts, "fine_embeddings": np.zeros((len(tokenizer.fine_vocab), 32))})
    with pytest.raises(
        InputError, match="size 32, but the model's hidden size is 16; compute them with --embedding_si"
    ):
        read_initial_embeddings(str(tmp_path / "wide.npz"), tokenizer, config)
