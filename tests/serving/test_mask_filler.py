import numpy as np
import pytest

import ambert_tf
from ambert_tf.errors import InputError
from ambert_tf.serving.mask_filler import MaskFiller
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory
from tests.serving.models import config_of, export, model_directory
from tests.small_models import masked_lm
from tests.tokenizers import chinese_tokenizer


def pretrained(directory, model_type="ambert"):
    """Writes a model directory of a pre-trained model and returns the model."""
    config = config_of(model_type)
    prepare_model_directory(str(directory), config, chinese_tokenizer())
    model = masked_lm(config, seed=4)
    Checkpoints(str(directory), model, {}).save(0)
    return model


def test_the_scores_are_those_of_the_masked_lm_heads(tmp_path):
    model, tokenizer = pretrained(tmp_path), chinese_tokenizer()
    fine, coarse = (
        {token: i for i, token in enumerate(vocab)} for vocab in (tokenizer.fine_vocab, tokenizer.coarse_vocab)
    )
    ids = {
        "fine": [fine[token] for token in ("[CLS]", "中", "国", "[MASK]", "[MASK]", "好", "[SEP]")],
        "coarse": [coarse[token] for token in ("[CLS]", "中国", "[MASK]", "好", "[SEP]")],
    }
    inputs = {}
    for grain, row in ids.items():
        positions = np.flatnonzero(np.array(row) == tokenizer.mask_id).astype(np.int32)
        inputs |= {
            f"{grain}_input_ids": np.array([row], np.int32), f"{grain}_segment_ids": np.zeros((1, len(row)), np.int32),
            f"{grain}_masked_lm_positions": positions[np.newaxis],
            f"{grain}_masked_lm_weights": np.ones((1, len(positions)), np.float32),
        }  # fmt: skip
    logits = {grain: values.numpy() for grain, values in model(inputs).items()}
    [[found]] = ambert_tf.load(str(tmp_path)).fill_mask(["中国[MASK][MASK]好"], top_k=3)
    for vocab, expected, row in (
        (coarse, logits["coarse"][0], found.coarse), (fine, logits["fine"][0], found.fine[0]),
        (fine, logits["fine"][1], found.fine[1]),
    ):  # fmt: skip
        shares = np.exp(expected) / np.exp(expected).sum()
        assert [vocab[fill.token] for fill in row] == np.argsort(-shares)[:3].tolist()
        np.testing.assert_allclose([fill.score for fill in row], np.sort(shares)[::-1][:3], rtol=1e-4)


def test_separate_masks_are_separate_words(tmp_path):
    pretrained(tmp_path)
    first, second = ambert_tf.load(str(tmp_path)).fill_mask(["[MASK]人民 [MASK]", "[MASK] [MASK][MASK]好"])
    assert [len(mask.fine) for mask in first] == [1, 1]
    assert [len(mask.fine) for mask in second] == [1, 2]
    assert all(len(fills) == 5 for mask in first + second for fills in (*mask.fine, mask.coarse))


@pytest.mark.parametrize(
    ("model_type", "fine", "coarse"), [("bert_fine", 1, 0), ("bert_coarse", 0, 5), ("ambert_hybrid", 1, 5)]
)
def test_the_other_models(model_type, fine, coarse, tmp_path):
    pretrained(tmp_path, model_type)
    [[found]] = ambert_tf.load(str(tmp_path)).fill_mask(["中国[MASK]好"])
    assert (len(found.fine), len(found.coarse)) == (fine, coarse)


def test_long_texts_are_truncated_after_the_last_mask(tmp_path):
    pretrained(tmp_path)
    model = ambert_tf.load(str(tmp_path))  # 24 positions
    [[found]] = model.fill_mask(["好[MASK]" + "里" * 40])
    assert len(found.coarse) == 5
    with pytest.raises(InputError, match=r"text\[1\] has a \[MASK\] after the model's 24 positions"):
        model.fill_mask(["[MASK]", "里" * 40 + "[MASK]"])


def test_bad_input_is_named(tmp_path):
    model = pretrained(tmp_path)
    filler = MaskFiller(chinese_tokenizer(), model)
    with pytest.raises(InputError, match=r"text\[1\] has no \[MASK\]: '中国'"):
        filler(["[MASK]", "中国"])
    with pytest.raises(InputError, match=r"text\[0\] contains 䶵, which stands for \[MASK\]"):
        filler(["[MASK]䶵"])
    loaded = ambert_tf.load(tmp_path)
    with pytest.raises(InputError, match="text is a single string"):
        loaded.fill_mask("中[MASK]")
    for top_k in (0, -1, 2.5, None):
        with pytest.raises(InputError, match=f"top_k is {top_k}; an integer of at least 1 is expected"):
            loaded.fill_mask(["中[MASK]"], top_k=top_k)
    assert loaded.fill_mask(["中[MASK]".encode()]) == loaded.fill_mask(["中[MASK]"])


def test_only_pretrained_models_fill_masks(tmp_path):
    export(model_directory(), tmp_path / "export")
    for directory in (model_directory(), str(tmp_path / "export")):
        with pytest.raises(InputError, match="fill_mask needs a pre-trained model"):
            ambert_tf.load(directory).fill_mask(["[MASK]"])
