import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.config import MODEL_TYPES
from tests.small_models import random_inputs, small_config

# Three sequences of 7, 5 and 2 fine tokens; the first one's coarse tokens contain 1, 4, 1 and 1 of them.
FINE_TO_COARSE = [[0, 1, 1, 1, 1, 2, 3], [0, 1, 1, 2, 2, 0, 0], [0, 1, 0, 0, 0, 0, 0]]


def classifier(model_type, **changes):
    backbone = AmbertBackbone.from_model_config(small_config(model_type), seed=3)
    return AmbertTokenClassifier(backbone, ("LOC", "PER"), compile=False, **changes)


def inputs():
    return {**random_inputs(), "fine_to_coarse": tf.constant(FINE_TO_COARSE)}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_model_has_logits_for_every_token_and_a_loss_that_trains_it(model_type):
    model = classifier(model_type, crf=True)
    tags = tf.constant([[0, 2, 3, 1, 1, 4, 0], [0, 1, 1, 2, 0, 0, 0], [0] * 7])
    with tf.GradientTape() as tape:
        logits = model(inputs(), training=True)
        loss = model.eq2(logits, tags, **model.agreement)
    heads = {"ambert": 3, "ambert_combo": 3, "ambert_hybrid": 2, "bert_fine": 2, "bert_coarse": 2}
    assert len(logits) == heads[model_type]
    for values in logits.values():
        assert values.shape == (3, 7, 5)
        assert (values[1, 5:] < -1e8).numpy().all() and (values[0] > -1e8).numpy().all()
    variables = model.heads.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    assert np.isfinite(loss) and all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_the_coarse_head_tells_apart_places_in_a_coarse_token():
    model = classifier("bert_coarse")
    before = model(inputs())["joint"][0].numpy()
    np.testing.assert_allclose(before[1], before[4], atol=1e-6)
    # Inner, last, first and only token of a coarse one.
    model.heads.place_bias.assign(np.arange(4.0)[:, np.newaxis] * np.ones(5))
    after = model(inputs())["joint"][0].numpy()
    np.testing.assert_allclose((after - before)[:, 0], [3, 2, 0, 0, 1, 3, 3], atol=1e-6)


def test_transitions_that_are_not_allowed_stay_so():
    transitions = classifier("ambert", crf=True).transitions()
    assert sorted(transitions) == ["coarse", "fine", "joint"]
    # O, B-LOC, I-LOC, B-PER, I-PER, start or end: nothing but LOC continues LOC.
    assert (transitions["fine"][:, 2] < -1e7).numpy().tolist() == [True, False, False, True, True, True]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="`inference` must be one of"):
        classifier("ambert", inference="middle")
