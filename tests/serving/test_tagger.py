"""An exported model for sequence labelling: another process, hostile strings, the Python interface."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import prediction_log_pb2

import ambert_tf
from tests.classifiers import write_json_lines
from tests.serving.models import export, model_directory

TEXTS = ["南京市长江大桥", "", "a\u200b\u0000b 中国 cafe8", "中国人民的生活" * 20, "😀👍🏽\u0301"]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """An export, and the report of another process without this package that labelled `TEXTS`."""
    directory = tmp_path_factory.mktemp("export")
    texts = write_json_lines(directory / "texts.jsonl", [{"text": text} for text in TEXTS])
    report = export(model_directory("entities"), str(directory / "tagger"), version=1, check=True, check_file=texts)
    return str(directory / "tagger" / "1"), report


@pytest.fixture(scope="module")
def exported(checked):
    return checked[0]


@pytest.fixture(scope="module")
def tagger(exported):
    return tf.saved_model.load(exported)


def test_another_process_without_this_package_finds_the_same(checked):
    _, report = checked
    assert report.examples == len(TEXTS)
    assert report.difference <= 1e-4


def test_directory_and_export_find_the_same_slices(exported):
    ours, theirs = (ambert_tf.load(path).predict(TEXTS) for path in (model_directory("entities"), exported))
    assert sum(len(row["entities"]) for row in ours) > 5
    for text, row, other in zip(TEXTS, ours, theirs, strict=True):
        found, others = ([(e["label"], e["text"]) for e in one["entities"]] for one in (row, other))
        assert found == others
        for entity in row["entities"]:
            assert text.encode()[entity["start"] : entity["end"]].decode() == entity["text"]


def test_the_card_says_what_it_returns(exported):
    with open(f"{exported}/README.md", encoding="utf-8") as file:
        card = file.read()
    assert "`entities` (sequence labelling). Labels: LOC, PER. Tags: BIO, with a linear-chain CRF." in card
    assert "long texts are split into windows, with stride 8" in card and "`count`, int32 [batch]" in card
    assert "ragged [batch, (entities)]: `label`, string" in card
    assert '{"signature_name": "padded", "inputs": {"text": ["…"]}}' in card


def test_tensorflow_serving_warms_up_the_padded_signature(exported, tagger):
    (first, *_) = tf.data.TFRecordDataset(f"{exported}/assets.extra/tf_serving_warmup_requests")
    request = prediction_log_pb2.PredictionLog.FromString(first.numpy()).predict_log.request
    assert request.model_spec.signature_name == "padded"
    found = tagger.signatures["padded"](text=tf.constant(tf.make_ndarray(request.inputs["text"])))
    assert all(not isinstance(value, tf.RaggedTensor) for value in found.values())
    assert found["label"].shape[0] == found["count"].shape[0] == 1


def test_dataset_predictions_are_ragged(exported):
    model = ambert_tf.load(exported)
    rows = list(model.predict_dataset(tf.data.Dataset.from_tensor_slices(TEXTS), batch_size=2))
    for row, expected in zip(rows, model.predict(TEXTS), strict=True):
        assert row["start"].numpy().tolist() == [entity["start"] for entity in expected["entities"]]
        assert row["label"].numpy().tolist() == [entity["label"].encode() for entity in expected["entities"]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=40) | st.binary(max_size=40) | st.text("南京市长江a8 ,\u200b\u0301½İ", max_size=60)))
def test_hostile_strings(tagger, texts):
    content = [text.encode() if isinstance(text, str) else text for text in texts]
    found = tagger.signatures["serving_default"](text=tf.constant(content, tf.string, shape=[len(content)]))
    columns = [found[name].to_list() for name in ("start", "end", "label", "score")]
    for text, *row in zip(content, *columns, strict=True):
        position = 0
        for start, end, label, score in zip(*row, strict=True):
            assert 0 <= start < end <= len(text) and position <= start
            assert label in (b"LOC", b"PER") and 0 < score <= 1
            if text.decode("utf-8", "ignore").encode() == text:
                text[start:end].decode()
            position = start
    assert np.array_equal([len(row) for row in columns[0]], found["score"].row_lengths())
