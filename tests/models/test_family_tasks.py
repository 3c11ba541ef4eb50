"""The other tasks of the KerasHub family from the perspective of a Keras user."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from tests.models.family import TEXTS, backbone


class TestMaskedLM:
    def test_grains_are_masked_together(self, tokenizer):
        keras.utils.set_random_seed(1)
        x, y, weights = ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16, mask_selection_rate=0.5)(TEXTS)
        original = ambert_tf.AmbertTextClassifierPreprocessor(tokenizer, 16)(TEXTS)
        for grain in ("fine", "coarse"):
            positions = x[f"{grain}_masked_lm_positions"].numpy()
            real = weights[grain].numpy() > 0
            expected = np.take_along_axis(original[f"{grain}_input_ids"].numpy(), positions, axis=1)
            np.testing.assert_array_equal(y[grain].numpy()[real], expected[real])
        # Half of 2, 4, 7 and 1 coarse tokens, rounded, at least one.
        assert [len(ids) for ids in tokenizer(TEXTS)["coarse_ids"]] == [2, 4, 7, 1]
        assert weights["coarse"].numpy().sum(1).tolist() == [1, 2, 4, 1]

    def test_epochs_have_different_masks(self, tokenizer):
        def epochs():
            keras.utils.set_random_seed(1)
            preprocessor = ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16, mask_selection_rate=0.5)
            dataset = tf.data.Dataset.from_tensor_slices(TEXTS).batch(4).map(preprocessor)
            return [x["coarse_input_ids"].numpy().tolist() for _ in range(2) for x, _, _ in dataset]

        first, second = epochs()
        assert first != second
        assert epochs() == [first, second]  # a new preprocessor after the same seed

    def test_texts_have_sample_weights(self, tokenizer):
        preprocessor = ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16, mask_selection_rate=0.5, seed=1)
        given = [0.0, 0.5, 2.0, 1.0]
        weights = preprocessor(TEXTS, sample_weight=given)[2]
        assert weights["coarse"].numpy().sum(1).tolist() == [0, 1, 8, 1]  # of 1, 2, 4 and 1 masked tokens
        alone = preprocessor(TEXTS[2], sample_weight=2.0)[2]
        np.testing.assert_array_equal(alone["fine"], weights["fine"][2])
        model = ambert_tf.AmbertMaskedLM(backbone(), preprocessor=preprocessor)
        model.compile(run_eagerly=True)
        found = model.evaluate(TEXTS, sample_weight=[0, 0, 1, 0], verbose=0)
        np.testing.assert_allclose(found, model.evaluate(TEXTS[2:3], verbose=0), rtol=1e-5)

    def test_fit_and_predict(self, tokenizer):
        model = ambert_tf.AmbertMaskedLM(backbone(), preprocessor=ambert_tf.AmbertMaskedLMPreprocessor(tokenizer, 16))
        history = model.fit(TEXTS, epochs=2, verbose=0).history
        assert {"loss", "fine_accuracy", "coarse_accuracy"} <= set(history)
        # The expected loss of two random heads is the sum of the logarithms of the vocabulary sizes.
        sizes = [tokenizer.vocabulary_size(grain) for grain in ("fine", "coarse")]
        np.testing.assert_allclose(history["loss"][0], np.log(sizes).sum(), rtol=0.05)
        model.compile(run_eagerly=True)
        np.testing.assert_allclose(model.train_on_batch(TEXTS)[0], np.log(sizes).sum(), rtol=0.05)
        predicted = model.predict(TEXTS, verbose=0)
        assert [predicted[grain].shape[::2] for grain in ("fine", "coarse")] == [(4, size) for size in sizes]
        empty = model.predict([], verbose=0)
        assert {grain: empty[grain].shape[1:] for grain in empty} == {g: predicted[g].shape[1:] for g in predicted}
        assert [len(logits) for logits in empty.values()] == [0, 0]


def test_multiple_choice(tokenizer, tmp_path):
    model = ambert_tf.AmbertMultipleChoice(backbone(), ambert_tf.AmbertMultipleChoicePreprocessor(tokenizer, 16))
    x = {"context": TEXTS[:2], "question": ["长江", "中国"], "choices": [["好", "大桥", "南京"], ["人民", "的"]]}
    logits = model.predict(x, verbose=0)
    assert logits.shape == (2, 3)
    assert logits[1, 2] < -1e8  # there is no third choice
    model.save_to_preset(str(tmp_path))
    again = ambert_tf.AmbertMultipleChoice.from_preset(str(tmp_path))
    np.testing.assert_array_equal(again.predict(x, verbose=0), logits)
    model.compile(run_eagerly=True)
    assert model.predict(([], [], []), verbose=0).shape == (0, 0)


def test_span_extraction(tokenizer, tmp_path):
    preprocessor = ambert_tf.AmbertSpanExtractorPreprocessor(tokenizer, 16, doc_stride=4)
    model = ambert_tf.AmbertSpanExtractor(
        backbone(dropout=0.0, attention_dropout=0.0), preprocessor, max_answer_length=4
    )
    model.compile(keras.optimizers.Adam(1e-2))
    questions, contexts = ["长江", "商店"], ["南京市长江大桥", "商店里的乒乓球拍卖完了"]
    starts = [len("南京市".encode()), len("商店里的".encode())]
    ends = [len("南京市长江".encode()), len("商店里的乒乓球".encode())]
    # One long epoch, because each epoch takes a second to create an iterator over the preprocessed texts.
    model.fit((questions * 40, contexts * 40), (starts * 40, ends * 40), batch_size=2, verbose=0)
    expected = preprocessor((questions, contexts), (starts, ends))[1]
    expected = {name: value.numpy().tolist() for name, value in expected.items()}
    for y in ({"start": starts, "end": ends}, np.transpose([starts, ends])):
        found = preprocessor((questions, contexts), y)[1]
        assert {name: value.numpy().tolist() for name, value in found.items()} == expected
    for y, received in (([starts, ends], "a list"), (np.array([starts * 2, ends * 2]), r"a ndarray of shape \(2, 4\)")):
        for function in (preprocessor, model.evaluate):
            with pytest.raises(ValueError, match=f"`y` must be a tuple .*Received: {received}"):
                function((questions, contexts), y)
    found = model.predict((questions, contexts))
    assert [answer.decode() for answer in found["answer"]] == ["长江", "乒乓球"]
    assert found["start"].tolist() == starts
    assert [len(column) for column in model.predict(([], [])).values()] == [0, 0, 0, 0]
    # Single batches take the same data.
    np.testing.assert_array_equal(model.predict_on_batch((questions, contexts))["answer"], found["answer"])
    loss = model.evaluate((questions, contexts), (starts, ends), verbose=0, return_dict=True)
    on_batch = model.test_on_batch((questions, contexts), (starts, ends), return_dict=True)
    assert on_batch == pytest.approx(loss, rel=1e-4)
    model.save_to_preset(str(tmp_path))
    again = ambert_tf.AmbertSpanExtractor.from_preset(str(tmp_path)).predict((questions, contexts))
    np.testing.assert_array_equal(found["score"], again["score"])


def test_sequence_labelling(tokenizer, tmp_path):
    texts = ["南京市长江大桥", "好的中国人民的生活", "商店"]
    places = [[(0, 9, "LOC"), (9, 21, "THING")], [(6, 12, "LOC")], []]
    tags = {"labels": ("LOC", "THING"), "scheme": "BIOES"}
    preprocessor = ambert_tf.AmbertTokenClassifierPreprocessor(tokenizer, sequence_length=8, **tags)
    model = ambert_tf.AmbertTokenClassifier(backbone(), preprocessor=preprocessor, **tags)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    # One epoch, because each one sets up its input pipeline.
    model.fit(texts * 30, places * 30, batch_size=3, verbose=0)
    found = model.predict(texts)
    # The second text is longer than a window. Offsets are bytes.
    assert [[(one["start"], one["end"], one["label"]) for one in row] for row in found] == places
    assert [one["text"] for one in found[0]] == ["南京市", "长江大桥"]
    assert model.predict([]) == []
    model.save_to_preset(str(tmp_path))
    assert ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path)).predict(texts) == found
    # Other tags get a new head, even if there are as many.
    old = model.heads.heads.heads["joint"].kernel
    for changes in ({"labels": ("LOC", "PER")}, {"crf": True}, {"scheme": "BIO"}):
        other = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path), **changes)
        assert {name: other.get_config()[name] for name in changes} == changes
        kernel = other.heads.heads.heads["joint"].kernel
        assert kernel.shape != old.shape or not np.allclose(kernel, old, atol=1e-3)
        table = other.backbone.token_table("fine")
        np.testing.assert_array_equal(table, model.backbone.token_table("fine"))
    same = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path), labels=["LOC", "THING"], crf=False)
    np.testing.assert_array_equal(same.heads.heads.heads["joint"].kernel, old)
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(1).repeat()
    # Scores differ in the last bit, because matrix products of other shapes add in another order.
    one_by_one = model.predict(dataset, steps=2)
    assert [[(one["start"], one["end"], one["label"]) for one in row] for row in one_by_one] == places[:2]
    with pytest.raises(TypeError, match="callbacks"):
        model.predict(texts, callbacks=[])
    # A new task on a backbone.
    model.backbone.save_to_preset(str(tmp_path / "backbone"))
    tokenizer.save_to_preset(str(tmp_path / "backbone"))
    other = ambert_tf.AmbertTokenClassifier.from_preset(str(tmp_path / "backbone"), labels=("PER",), scheme="BMES")
    assert (other.tag_set.tags[:2], other.preprocessor.task.tag_set) == (("O", "B-PER"), other.tag_set)
    with pytest.raises(ValueError, match=r"Labels must be among \('LOC', 'THING'\). Received: 'PER'"):
        model.fit(texts[:1], [[(0, 3, "PER")]])
    with pytest.raises(ValueError, match=r"A span must be .* not empty. Received: \(9, 3, 'LOC'\)"):
        model.fit(texts[:1], [[(9, 3, "LOC")]])
    with pytest.raises(ValueError, match="A token classifier has no `class_weight`"):
        model.fit(texts[:1], places[:1], class_weight={0: 1.0})
    # Single batches take the same data.
    assert model.predict_on_batch(texts) == found
    model.compile(run_eagerly=True)
    before = model.heads.heads.heads["joint"].kernel.numpy()
    model.train_on_batch(texts, places)
    assert np.abs(model.heads.heads.heads["joint"].kernel.numpy() - before).max() > 1e-5
    expected = model.evaluate(texts, places, verbose=0, return_dict=True)["loss"]
    assert model.test_on_batch(texts, places, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="The spans of a text must not overlap"):
        model.fit(texts[:1], [[(0, 9, "LOC"), (6, 12, "LOC")]])
    with pytest.raises(ValueError, match="`preprocessor` must have the same"):
        ambert_tf.AmbertTokenClassifier(backbone(), ("LOC",), preprocessor)
