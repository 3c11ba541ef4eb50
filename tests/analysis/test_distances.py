import json

import numpy as np
import pytest

from ambert_tf.analysis.analysis_settings import AttentionSettings, DistancesSettings
from ambert_tf.analysis.distances import cosine_dissimilarity, normalized_euclidean, text_vectors, write_distances
from ambert_tf.analysis.encoders import limits, load_encoders, model_inputs
from ambert_tf.errors import InputError
from tests.serving.models import model_directory

FIRST = np.array([[1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
SECOND = np.array([[2.0, -2.0, 0.0], [-1.0, 1.0, 0.0], [1.0, 1.0, -2.0], [1.0, 0.0, 0.0]])


def test_cosine_dissimilarity():
    assert cosine_dissimilarity(FIRST, SECOND) == pytest.approx([0.0, 2.0, 1.0, 1 - 0.5**0.5])


def test_normalized_euclidean():
    # ½ Var(-1, 1, 0) / (Var(1, -1, 0) + Var(2, -2, 0)) = ½ · 1 / (1 + 4); opposite vectors; uncorrelated vectors.
    found = normalized_euclidean(FIRST[:3], SECOND[:3])
    assert found == pytest.approx([0.1**0.5, 1.0, 0.5**0.5])
    assert normalized_euclidean(FIRST, FIRST) == pytest.approx([0.0] * 4)


def test_write_distances(tmp_path):
    directories = [model_directory(), model_directory(model_type="ambert_combo")]
    texts = ["南京市长江大桥", "中国人民的生活", "好"]
    facts = write_distances(directories, texts, str(tmp_path / "distances.png"), ["AMBERT", "Combo"])
    assert json.loads((tmp_path / "distances.json").read_text()) == facts
    assert (facts["texts"], list(facts["models"])) == (3, ["AMBERT", "Combo"])
    for found in facts["models"].values():
        assert 0 < found["cosine_dissimilarity"]["mean"] <= 2
        assert 0 < found["normalized_euclidean"]["percentile_95"] <= 1
    assert (tmp_path / "distances.png").read_bytes().startswith(b"\x89PNG")


def test_means_over_the_tokens():
    (encoder,) = load_encoders([model_directory()], ())
    texts = ["南京市长江大桥", "中国人民的生活", "好"]
    found = text_vectors(encoder, texts, 128, "mean")
    inputs = model_inputs(encoder.tokenizer, ["好"], None, limits(encoder.backbone, 128))
    for grain, vectors in found.items():
        expected = encoder.backbone(inputs, training=False)[f"{grain}_sequence_output"][0].numpy().mean(axis=0)
        assert vectors[2] == pytest.approx(expected, abs=1e-6)  # padding is no part of it
        assert np.abs(vectors - text_vectors(encoder, texts, 128)[grain]).max() > 1e-3


def test_model_with_one_grain_is_an_error(tmp_path):
    with pytest.raises(InputError, match="has only one grain"):
        write_distances([model_directory(model_type="bert_fine")], ["好"], str(tmp_path / "x.png"))


def test_the_format_is_checked_before_the_models_are_loaded(tmp_path):
    for kind, output in ((DistancesSettings, "d.html"), (DistancesSettings, "d"), (AttentionSettings, "a.json")):
        with pytest.raises(InputError, match=f"--output={output}: must end in .png, .svg"):
            kind(model_dir=("none",), text=("好",), output=output).validate()
    AttentionSettings(model_dir=("none",), text=("好",), output=str(tmp_path / "A.HTML")).validate()
