"""Compares served models of every form with evaluation on the same examples, whose batches are padded differently."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.span_examples import SpanExample
from ambert_tf.finetuning.span_form import find_answers
from ambert_tf.finetuning.splits import Split
from ambert_tf.finetuning.token_form import decode
from ambert_tf.finetuning.tokenized_examples import TokenizedExamples
from ambert_tf.serving.served_model import ServedModel
from ambert_tf.tasks.declaration import Choices, Example, MarkedSpans, Question, TaggedText, Texts
from ambert_tf.training.loaded_model import load_model
from tests.serving.models import model_directory
from tests.tokenizers import chinese_tokenizer

TEXTS = [
    "中国人民的生活", "南京市长江大桥好" * 9, "", "a\u0000b",
    "乒乓球拍卖完了，商店里的！", "好", "iPhone8 on the cafe 中国",
    "长江" * 60,
]  # fmt: skip
TURNED = TEXTS[3:] + TEXTS[:3]
# Without repetitions, because equal windows have equal scores, and the last bit would determine the best one.
CONTEXTS = [
    text if len(text) < 20 else "".join(np.random.default_rng(len(text)).choice(list("南京市长江大桥好中国人民"), 90))
    for text in TEXTS
]
CHOICES = [["好", "的人民", "了"], ["中国", "大桥", "南京市"]] * 4


@functools.cache
def served(form, model_type="ambert", inference="joint", **decoding):
    loaded = load_model(model_directory(form, model_type), inference, tokenizer=chinese_tokenizer())
    loaded = loaded._replace(task=dataclasses.replace(loaded.task, **decoding))
    return loaded, ServedModel(loaded.tokenizer, loaded.model, loaded.task)


def ask(model, *values, signature="serving_default"):
    specs = model.specs[signature].values()
    outputs = model.functions[signature](*(tf.constant(v, s.dtype) for v, s in zip(values, specs, strict=True)))
    return {name: value if isinstance(value, tf.RaggedTensor) else value.numpy() for name, value in outputs.items()}


def joint_logits(loaded, inputs):
    """Returns the logits of evaluation for examples with these raw inputs."""
    examples = [Example(index, values, None) for index, values in enumerate(inputs)]
    data = TokenizedExamples(Split("test", ("f",), examples, {}), loaded.task, loaded.tokenizer)
    return Predictor(loaded.model)(data, 3).by_head["joint"]


@pytest.mark.parametrize("inference", ["joint", "fine"])
def test_classification(inference):
    loaded, model = served("sentence", inference=inference)
    found = ask(model, TEXTS)
    logits = joint_logits(loaded, map(Texts, TEXTS))
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    assert [label.decode() for label in found["label"]] == ["abc"[i] for i in logits.argmax(1)]


def test_regression_is_clipped_to_its_range():
    loaded, model = served("score")
    logits = joint_logits(loaded, map(Texts, TEXTS, TURNED))[:, 0]
    np.testing.assert_allclose(ask(model, TEXTS, TURNED)["score"], logits.clip(0, 5), atol=1e-5)
    assert (logits < 0).any() or (logits > 5).any()


def test_marked_spans():
    loaded, model = served("marked")
    columns = (["中国人民的生活好", "南京市长江大桥" * 9], ["中国", "长江"], [0, 24], ["好", "大"], [0, 5])
    logits = joint_logits(loaded, map(MarkedSpans, *columns))
    np.testing.assert_allclose(ask(model, *columns)["probabilities"], tf.nn.softmax(logits), atol=1e-5)


@pytest.mark.parametrize("form", ["choice", "idioms"])
def test_multiple_choice(form):
    loaded, model = served(form)
    contexts, questions = TEXTS, [f"{text[:3]}_好" if len(text) % 2 else text for text in TURNED]
    if form == "idioms":
        contexts, questions = [f"{text}#idiom1#{text}" for text in TEXTS], [""] * len(TEXTS)
    logits = joint_logits(loaded, map(Choices, contexts, questions, map(tuple, CHOICES)))[:, :3]
    found = ask(model, contexts, questions, CHOICES)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    assert found["choice"].tolist() == logits.argmax(1).tolist()


def test_empty_choices_have_no_probability():
    _, model = served("choice")
    found = ask(model, ["中国", "人民"], ["好", "了"], [["", "好"], ["", ""]])
    np.testing.assert_allclose(found["probabilities"], [[0, 1], [0, 0]], atol=1e-6)
    assert found["choice"].tolist() == [1, -1]
    assert ask(model, ["中国"], ["好"], np.zeros([1, 0], object))["choice"].tolist() == [-1]


@pytest.mark.parametrize(
    ("model_type", "inference"),
    [("ambert", "joint"), ("ambert_combo", "coarse")],
)
def test_spans(model_type, inference):
    loaded, model = served("spans", model_type, inference, null_score_diff_threshold=-0.3)
    inputs = map(Question, TURNED, CONTEXTS)
    examples = [SpanExample(str(index), question, (), None) for index, question in enumerate(inputs)]
    data = TokenizedExamples(Split("test", ("f",), examples, {}), loaded.task, loaded.tokenizer)
    assert len(data) > len(examples)
    logits = Predictor(loaded.model)(data, 5)
    expected = find_answers(loaded.task, logits.by_head["joint"], data, whole_coarse="joint" in logits.coarse_heads)
    found = ask(model, TURNED, CONTEXTS)
    assert 0 < sum(answer == b"" for answer in found["answer"]) < len(TEXTS) or model_type != "ambert"
    for row, answers in enumerate(expected):
        np.testing.assert_allclose(found["null_odds"][row], answers.null_odds, atol=1e-4)
        if answers.best and answers.null_odds <= -0.3:
            best = answers.best[0]
            assert (found["answer"][row].decode(), found["start"][row], found["end"][row]) == (
                best.text, best.start, best.end
            )  # fmt: skip
            np.testing.assert_allclose(found["score"][row], best.score, atol=1e-4)
        else:
            assert (found["answer"][row], found["start"][row], found["end"][row]) == (b"", 0, 0)
            np.testing.assert_allclose(found["score"][row], answers.null_score, atol=1e-4)


@pytest.mark.parametrize(
    ("form", "model_type", "inference"),
    [("entities", "ambert", "joint"), ("entities", "ambert_combo", "coarse"), ("words", "ambert_hybrid", "joint")],
)
def test_sequence_labelling(form, model_type, inference):
    loaded, model = served(form, model_type, inference)
    examples = [TaggedText(index, Texts(text), None) for index, text in enumerate(CONTEXTS)]
    data = TokenizedExamples(Split("test", ("f",), examples, {}), loaded.task, loaded.tokenizer)
    assert len(data) > len(examples)
    logits = Predictor(loaded.model)(data, 5)
    expected = decode(loaded.task, logits.by_head["joint"], data, logits.transitions["joint"])
    found = ask(model, CONTEXTS, signature="padded")
    assert found["count"].tolist() == [len(row) for row in expected] and sum(found["count"]) > 10
    for row, (text, spans) in enumerate(zip(CONTEXTS, expected, strict=True)):
        count = found["count"][row]
        ours = zip(*(found[name][row, :count].tolist() for name in ("start", "end", "label")), strict=True)
        theirs = [
            (len(text[: span.start].encode()), len(text[: span.end].encode()), span.label.encode()) for span, _ in spans
        ]
        assert list(ours) == theirs
        np.testing.assert_allclose(found["score"][row, :count], [score for _, score in spans], atol=1e-5)
        assert not found["end"][row, count:].any()
    for name, rows in ask(model, CONTEXTS).items():
        assert rows.row_lengths().numpy().tolist() == found["count"].tolist()
        np.testing.assert_array_equal(rows.to_tensor(), found[name])


def test_hostile_requests_have_finite_answers():
    _, model = served("choice")
    hostile = [b"\xff\xfe\x80", b"\xe4\xb8", b"\x00" * 9, b"", b"a" * 5000, b"_" * 99, "\u202e\U0010ffff".encode()]
    found = ask(model, hostile, hostile[::-1], [[text, text[:1]] for text in hostile])
    assert np.isfinite(found["probabilities"]).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="context and question must have the same batch size"):
        ask(model, ["a"], ["a", "b"], [["c"]])


def test_features_attention_and_tokens():
    _, model = served("pair", "ambert")
    alone = ask(model, ["中国人民"], [""], signature="features")
    assert alone["fine_input_ids"].shape == (1, 6)  # four characters, [CLS] and one [SEP]
    assert alone["coarse_sequence"].shape == (1, 4, 16)
    np.testing.assert_array_equal(alone["fine_cls"], alone["fine_sequence"][:, 0])
    fine = ask(model, ["中国人民"], [""], signature="fine_features")
    assert set(fine) == {"fine_sequence", "fine_cls", "fine_input_ids"}
    np.testing.assert_allclose(fine["fine_cls"], alone["fine_cls"], atol=1e-6)
    attention = ask(model, ["中国", ""], ["人民", ""], signature="attention")
    assert attention["fine_attention"].shape == (2, 1, 2, 7, 7)
    np.testing.assert_allclose(attention["coarse_attention"].sum(-1), 1, atol=1e-5)
    tokens = ask(model, ["中国人民", ""], signature="tokenize")
    assert tokens["coarse_ends"].tolist() == [[6, 12], [0, 0]]
    assert tokens["fine_lengths"].tolist() == [4, 0]
