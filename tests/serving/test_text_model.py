"""The Python interface of a model directory and of its export."""

import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

import ambert_tf
from ambert_tf.errors import InputError
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.training.checkpoints import Checkpoints, prepare_model_directory
from tests.serving.models import config_of, export, model_directory
from tests.tokenizers import chinese_tokenizer

TEXTS = ["中国人民的生活", "南京市长江大桥", ""]


@pytest.fixture(scope="module", params=["directory", "export"])
def model(request, tmp_path_factory):
    if request.param == "directory":
        return ambert_tf.load(model_directory("pair"))
    directory = str(tmp_path_factory.mktemp("export") / "pair")
    export(model_directory("pair"), directory)
    return ambert_tf.load(directory)


def test_tokenize_shows_both_grains(model):
    found = model.tokenize(TEXTS)[1]
    assert found.coarse == ["南京市", "长江大桥"]
    assert found.fine == list("南京市长江大桥")
    assert found.fine_to_coarse.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert found.coarse_offsets.tolist() == [[0, 9], [9, 21]]
    assert str(found) == "coarse: 南京市 | 长江大桥\nfine:   南 京 市 | 长 江 大 桥"


def test_encode_gives_vectors_of_both_grains(model):
    found = model.encode(TEXTS)
    assert [vectors.sequence.shape for vectors in found["fine"]] == [(9, 16), (9, 16), (2, 16)]
    assert [vectors.sequence.shape for vectors in found["coarse"]] == [(6, 16), (4, 16), (2, 16)]
    np.testing.assert_array_equal(found["fine"][0].cls, found["fine"][0].sequence[0])
    assert model.encode(["中国"], ["人民"])["fine"][0].sequence.shape == (7, 16)


def test_attention_of_layers_and_heads(model):
    found = model.attention(["中国", "好"])
    assert [weights.shape for weights in found["fine"]] == [(1, 2, 4, 4), (1, 2, 3, 3)]
    np.testing.assert_allclose(found["coarse"][0].sum(axis=-1), 1, atol=1e-5)
    assert model.attention([]) == model.encode([]) == {"fine": [], "coarse": []}


def test_predict(model):
    found = model.predict(TEXTS, TEXTS)
    assert [sorted(prediction["probabilities"]) for prediction in found] == [["a", "b"]] * 3
    assert found[0]["label"] == max(found[0]["probabilities"], key=found[0]["probabilities"].get)
    assert model.predict([], []) == []
    with pytest.raises(InputError, match="predict takes text, text_pair; 1 lists were given"):
        model.predict(TEXTS)
    with pytest.raises(InputError, match="text is a single string; a list is expected"):
        model.predict("中国", "人民")
    for size in (-1, 0, 1.5):
        with pytest.raises(InputError, match=f"batch_size is {size}; an integer of at least 1 is expected"):
            model.predict(TEXTS, TEXTS, batch_size=size)


def test_texts_may_be_any_collection_of_strings(model):
    labels = [prediction["label"] for prediction in model.predict(TEXTS, TEXTS)]
    as_bytes = [text.encode() for text in TEXTS]
    for texts in (np.array(TEXTS), tf.constant(TEXTS), as_bytes, dict.fromkeys(TEXTS).keys(), iter(TEXTS)):
        assert [found["label"] for found in model.predict(texts, TEXTS)] == labels
    assert model.tokenize(np.array(TEXTS))[1].coarse == model.tokenize(as_bytes)[1].coarse == ["南京市", "长江大桥"]
    assert model.tokenize(as_bytes)[1].text == TEXTS[1]
    wrong = {"text is None; a list": None, "text is {'a': 1}; a list": {"a": 1}, r"text\[0\] is '\\ud800'": ["\ud800"]}
    for message, texts in wrong.items():
        with pytest.raises(InputError, match=message):
            model.encode(texts)


def test_dataset_in_dataset_out(model, capsys):
    dataset = tf.data.Dataset.from_tensor_slices({"text": TEXTS, "text_pair": TEXTS, "id": [7, 8, 9]})
    found = list(model.predict_dataset(dataset, batch_size=2))
    assert [int(row["id"]) for row in found] == [7, 8, 9]
    labels = [prediction["label"].encode() for prediction in model.predict(TEXTS, TEXTS)]
    assert [row["label"].numpy() for row in found] == labels
    assert "3/3" in capsys.readouterr().err
    with pytest.raises(InputError, match="the dataset has label, which the predictions would replace; rename it"):
        model.predict_dataset(tf.data.Dataset.from_tensor_slices({"text": TEXTS, "text_pair": TEXTS, "label": TEXTS}))
    with pytest.raises(InputError, match="the dataset has no text_pair, only text, gold"):
        model.predict_dataset(tf.data.Dataset.from_tensor_slices({"text": TEXTS, "gold": TEXTS}))
    with pytest.raises(InputError, match="the elements of the dataset are 1 values; text, text_pair are expected"):
        model.predict_dataset(tf.data.Dataset.from_tensor_slices(TEXTS))
    with pytest.raises(InputError, match=r"the dataset is \['a'\]; a tf.data.Dataset is expected"):
        model.predict_dataset(["a"])


@pytest.mark.parametrize(
    ("form", "inputs", "message"),
    [
        ("pair", ([None], ["a"]), r"text\[0\] is None; a string is expected"),
        ("pair", (["a", "b"], ["c", 1]), r"text_pair\[1\] is 1; a string is expected"),
        ("choice", (["a"], ["b"], ["c"]), r"choices\[0\] is 'c'; a list of strings is expected"),
        ("choice", (["a"], ["b"], "c"), "choices is a single string; a list is expected"),
        ("choice", (["a"], ["b"], [["c", None]]), r"choices\[0\] has None; strings are expected"),
        ("marked", (["中国"], ["中"], ["0"], ["国"], [1]), r"span1_index\[0\] is '0'; an int is expected"),
    ],
)
def test_inputs_of_the_wrong_type(form, inputs, message):
    with pytest.raises(InputError, match=message):
        ambert_tf.load(model_directory(form)).predict(*inputs)


def test_only_empty_choices():
    (found,) = ambert_tf.load(model_directory("choice")).predict(["中国"], ["好"], [["", ""]])
    assert found == {"choice": -1, "probabilities": [0.0, 0.0]}


def test_a_dataset_of_examples_with_different_numbers_of_choices():
    model = ambert_tf.load(model_directory("choice"))
    every = [["大桥", "人民"], ["大桥", "人民", "中国", "好"]]
    inputs = {"context": ["南京市长江大桥", "中国人民"], "question": ["", "好"]}
    dataset = tf.data.Dataset.from_generator(
        lambda: ({**{name: values[row] for name, values in inputs.items()}, "choices": every[row]} for row in range(2)),
        output_signature={
            "context": tf.TensorSpec([], tf.string), "question": tf.TensorSpec([], tf.string),
            "choices": tf.TensorSpec([None], tf.string),
        },
    )  # fmt: skip
    found = list(model.predict_dataset(dataset, progress=False))
    expected = model.predict(inputs["context"], inputs["question"], every)
    assert [int(row["choice"]) for row in found] == [prediction["choice"] for prediction in expected]


def test_directory_and_export_predict_the_same(tmp_path):
    export(model_directory("spans"), str(tmp_path / "export"))
    questions, contexts = ["大桥", "", "人民"], ["南京市长江大桥好" * 9, "", "中国人民"]
    ours, theirs = (ambert_tf.load(path).predict(questions, contexts)
                    for path in (model_directory("spans"), str(tmp_path / "export")))  # fmt: skip
    assert [row["answer"] for row in ours] == [row["answer"] for row in theirs]
    assert set(ours[0]) == {"answer", "start", "end", "score", "null_odds"}
    assert contexts[0].encode()[ours[0]["start"] : ours[0]["end"]].decode() == ours[0]["answer"]


def test_a_pretrained_model_supports_everything_except_predict(tmp_path):
    config = config_of("ambert_hybrid")
    prepare_model_directory(str(tmp_path), config, chinese_tokenizer())
    Checkpoints(str(tmp_path), _Holder(AmbertBackbone.from_model_config(config)), {}).save(0)
    model = ambert_tf.load(str(tmp_path))
    assert model.encode(["中国人民"])["coarse"][0].cls.shape == (16,)
    assert model.attention(["中国人民"])["joint"][0].shape == (1, 2, 10, 10)
    with pytest.raises(InputError, match="this model has no serving_default"):
        model.predict(["中国"])


class _Holder:
    """A model whose variables have the paths of a backbone in a larger model."""

    def __init__(self, model):
        self.variables = model.variables


def test_the_ten_lines_of_the_example(monkeypatch, capsys):
    example = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python_interface.py"
    monkeypatch.setattr("sys.argv", [str(example), model_directory("sentence"), "南京市长江大桥", "好"])
    runpy.run_path(str(example))
    printed = capsys.readouterr().out
    assert "coarse: 南京市 | 长江大桥\nfine:   南 京 市 | 长 江 大 桥\n{'label': " in printed
    assert printed.splitlines()[-1] in ("a", "b", "c")


def test_invalid_directories_are_errors(tmp_path):
    with pytest.raises(InputError, match="not a model directory"):
        ambert_tf.load(tmp_path)
    with pytest.raises(InputError, match="inference is 'both'; one of joint, fine, coarse is expected"):
        ambert_tf.load(tmp_path, inference="both")
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InputError, match=r"has no assets.extra/ambert.json"):
        ambert_tf.load(str(tmp_path))
