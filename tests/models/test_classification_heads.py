import numpy as np
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.classification_heads import ClassificationHeads
from tests.small_models import small_config


def test_classification_heads_read_fine_coarse_and_both():
    heads = ClassificationHeads(AmbertBackbone.from_model_config(small_config()), 3, name="heads")
    heads.build()
    pooled = {grain: tf.random.stateless_normal([4, 16], [seed, 0]) for grain, seed in (("fine", 1), ("coarse", 2))}
    logits = heads(pooled)
    weights = {variable.path: np.asarray(variable) for variable in heads.weights}
    for name, x in (("fine", pooled["fine"]), ("joint", tf.concat([pooled["fine"], pooled["coarse"]], 1))):
        np.testing.assert_allclose(logits[name], x @ weights[f"heads/{name}/kernel"], atol=1e-6)
    assert weights["heads/joint/kernel"].shape == (32, 3)
    # AMBERT-Single: without the coarse grain, only the fine head.
    assert list(heads({"fine": pooled["fine"]})) == ["fine"]


def test_one_grain_has_one_head():
    heads = ClassificationHeads(AmbertBackbone.from_model_config(small_config("bert_coarse")), 2, name="heads")
    heads.build()
    logits = heads({"coarse": tf.ones([1, 16])})
    np.testing.assert_array_equal(logits["joint"], logits["coarse"])
    assert heads.count_params() == 16 * 2 + 2
