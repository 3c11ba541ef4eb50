"""Files written by version 0.1.0, before the package was split by concept, still load and give the same results.

`version_0_1.tar.xz` was written by that version, with the tokenizer and the small models of the tests:

- `tokenizer/`, `corpus.txt`, `config.json`;
- `records_static/` (two shards, with next sentence prediction) and `records_dynamic/` (gzip), without `tokenizer/`;
- `pretrained/`: three steps of pre-training on `records_static/`;
- a fine-tuned model directory for each task form and each of the five models;
- two exports, and `expected.json`, the predictions of the exported models.
"""

import json
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.models.config import ModelConfig
from ambert_tf.pretraining.pretraining import run_pretraining
from ambert_tf.pretraining.pretraining_settings import PretrainingSettings

ARCHIVE = pathlib.Path(__file__).parent / "version_0_1.tar.xz"
MODELS = (
    "ambert_sentence",
    "ambert_score",
    "ambert_choice",
    "ambert_idioms",
    "ambert_marked",
    "ambert_spans",
    "ambert_combo_sentence",
    "ambert_hybrid_sentence",
    "bert_fine_spans",
    "bert_coarse_sentence",
)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    directory = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        # Early releases of Python 3.10 and 3.11 have no filters.
        archive.extractall(directory, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return directory


@pytest.fixture(scope="module")
def expected(old):
    return json.loads((old / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_directory_predicts_the_same(old, expected, name):
    model = ambert_tf.load(str(old / name))
    inputs, outputs = expected[name]["inputs"], expected[name]["outputs"]
    for row, found in enumerate(model.predict(*(inputs[column] for column in model.input_names))):
        for key in ("label", "answer", "start", "end", "choice"):
            if key in outputs:
                assert found[key] == outputs[key][row]
        if "probabilities" in outputs:
            values = found["probabilities"]
            values = list(values.values()) if isinstance(values, dict) else values
            np.testing.assert_allclose(values, outputs["probabilities"][row], atol=1e-5)
        if "score" in outputs:
            np.testing.assert_allclose(found["score"], outputs["score"][row], atol=1e-4)


@pytest.mark.parametrize("name", ["ambert_sentence", "ambert_spans"])
def test_an_export_answers_the_same(old, expected, name):
    signature = tf.saved_model.load(str(old / f"export_{name}")).signatures["serving_default"]
    inputs, outputs = expected[name]["inputs"], expected[name]["outputs"]
    found = signature(**{key: tf.constant(inputs[key]) for key in signature.structured_input_signature[1]})
    for key, values in outputs.items():
        if isinstance(values[0], str):
            assert [text.decode() for text in found[key].numpy()] == values
        else:
            np.testing.assert_allclose(found[key].numpy(), values, rtol=1e-5, atol=1e-5)


def pretrain(old, output_dir, **flags):
    settings = {
        "config": str(old / "config.json"),
        "tokenizer_dir": str(old / "tokenizer"),
        "output_dir": str(output_dir),
        "num_train_steps": 3,
        "num_warmup_steps": 1,
        "train_batch_size": 8,
    }
    return run_pretraining(PretrainingSettings(**settings | flags))


def test_a_finished_pretraining_run_is_evaluated_again(old, tmp_path):
    shutil.copytree(old / "pretrained", tmp_path / "pretrained")
    shutil.copytree(old / "records_static", tmp_path / "records_static")
    records = str(tmp_path / "records_static" / "part-*")
    results = pretrain(old, tmp_path / "pretrained", input_file=records, eval_input_file=records)
    # As printed by the version that wrote the directory.
    assert results["fine_masked_lm_loss"] == pytest.approx(4.255787671622583, abs=1e-5)
    assert results["coarse_masked_lm_loss"] == pytest.approx(4.426609725403271, abs=1e-5)
    assert results["next_sentence_loss"] == pytest.approx(0.6917600631713867, abs=1e-5)
    assert (results["fine_predictions"], results["coarse_predictions"], results["sequences"]) == (236, 139, 73)


def test_pretraining_reads_records_that_are_masked_while_training(old, tmp_path):
    pretrain(
        old,
        tmp_path / "pretrained",
        input_file=str(old / "records_dynamic" / "part"),
        init_checkpoint=str(old / "pretrained"),
        config=None,
    )
    # Without --config, the configuration is that of --init_checkpoint.
    configs = [ModelConfig.from_file(str(each / "pretrained" / "config.json")) for each in (tmp_path, old)]
    assert configs[0] == configs[1]
    assert (tmp_path / "pretrained" / "checkpoints" / "checkpoint").is_file()
