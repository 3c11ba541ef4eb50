"""Served models of every form against the tasks' own prediction: texts made, tokenized, run and searched apart."""

import numpy as np
import pytest
import tensorflow as tf

from ambert_tf.finetuning.classifiers import load_classifier
from ambert_tf.finetuning.prediction import Predictor
from ambert_tf.finetuning.span_examples import SpanExample, Windows
from ambert_tf.finetuning.span_prediction import find_answers
from ambert_tf.finetuning.tokenized import tokenize_examples
from ambert_tf.serving.served_model import ServedModel
from ambert_tf.tasks.choice_texts import idioms_in_blank, question_and_choices
from ambert_tf.tasks.declaration import Example, ReadOptions, Texts
from ambert_tf.tasks.json_lines import Record
from ambert_tf.tasks.marked_spans import text_with_marks
from tests.serving.models import model_directory
from tests.tokenizers import chinese_tokenizer

TEXTS = [
    "中国人民的生活", "南京市长江大桥好" * 9, "", "a\u0000b",
    "乒乓球拍卖完了，商店里的！", "好", "iPhone8 on the cafe 中国",
    "长江" * 60,
]  # fmt: skip
TURNED = TEXTS[3:] + TEXTS[:3]
# Without repetitions: windows that read the same score the same, and which is best is left to the last bit.
CONTEXTS = [
    text if len(text) < 20 else "".join(np.random.default_rng(len(text)).choice(list("南京市长江大桥好中国人民"), 90))
    for text in TEXTS
]
CHOICES = [["好", "的人民", "了"], ["中国", "大桥", "南京市"]] * 4


def served(form, model_type="ambert", inference="joint", **options):
    classifier = load_classifier(model_directory(form, model_type), inference, tokenizer=chinese_tokenizer())
    return classifier, ServedModel(classifier.tokenizer, classifier.model, classifier.task, **options)


def ask(model, *values, signature="serving_default"):
    specs = model.specs[signature].values()
    outputs = model.functions[signature](*(tf.constant(v, s.dtype) for v, s in zip(values, specs, strict=True)))
    return {name: value.numpy() for name, value in outputs.items()}


def joint_logits(classifier, rows, choices=0):
    """Returns what run_classifier.py's own prediction says; `rows` has the texts of each example."""
    task = classifier.task
    examples = [Example(index, tuple(texts), None) for index, texts in enumerate(rows)]
    limits = (task.max_seq_length, task.max_coarse_seq_length)
    data = tokenize_examples(classifier.tokenizer, examples, limits, choices=choices)
    return Predictor(classifier.model)(data, 3).by_head["joint"]


@pytest.mark.parametrize("inference", ["joint", "fine"])
def test_classification(inference):
    classifier, model = served("sentence", inference=inference)
    found = ask(model, TEXTS)
    logits = joint_logits(classifier, [[Texts(text)] for text in TEXTS])
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    assert [label.decode() for label in found["label"]] == ["abc"[i] for i in logits.argmax(1)]


def test_regression_is_cut_to_its_range():
    classifier, model = served("score")
    logits = joint_logits(classifier, [[Texts(*pair)] for pair in zip(TEXTS, TURNED, strict=True)])[:, 0]
    np.testing.assert_allclose(ask(model, TEXTS, TURNED)["score"], logits.clip(0, 5), atol=1e-5)
    assert (logits < 0).any() or (logits > 5).any()


def test_marked_spans():
    classifier, model = served("marked")
    text = ["中国人民的生活好", "南京市长江大桥" * 9]
    columns = (text, ["中国", "长江"], [0, 24], ["好", "大"], [0, 5])
    targets = [
        dict(zip(("span1_text", "span1_index", "span2_text", "span2_index"), values, strict=True))
        for values in zip(*columns[1:], strict=True)
    ]
    options = ReadOptions(max_seq_length=classifier.task.max_seq_length)
    records = [Record("f", 1, {"text": t, "target": target}) for t, target in zip(text, targets, strict=True)]
    logits = joint_logits(classifier, [[text_with_marks(record, options)] for record in records])
    np.testing.assert_allclose(ask(model, *columns)["probabilities"], tf.nn.softmax(logits), atol=1e-5)


@pytest.mark.parametrize("form", ["choice", "idioms"])
def test_multiple_choice(form):
    classifier, model = served(form)
    if form == "choice":
        contexts, questions = TEXTS, [f"{text[:3]}_好" if len(text) % 2 else text for text in TURNED]
        contents = [{"context": c, "question": q} for c, q in zip(contexts, questions, strict=True)]
        texts = question_and_choices
    else:
        contexts, questions = [f"{text}#idiom1#{text}" for text in TEXTS], [""] * len(TEXTS)
        contents = [{"before": text, "after": text} for text in TEXTS]
        texts = idioms_in_blank
    options = ReadOptions(max_seq_length=classifier.task.max_seq_length)
    records = [Record("f", 1, {**c, "choices": choices}) for c, choices in zip(contents, CHOICES, strict=True)]
    logits = joint_logits(classifier, [texts(record, options) for record in records], choices=3)
    found = ask(model, contexts, questions, CHOICES)
    np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(logits), atol=1e-5)
    assert found["choice"].tolist() == logits.argmax(1).tolist()
    fewer = ask(model, contexts[:2], questions[:2], [["好", ""], ["", ""]])
    np.testing.assert_allclose(fewer["probabilities"][0], [1, 0], atol=1e-6)
    assert fewer["choice"].tolist() == [0, -1]
    assert ask(model, contexts[:1], questions[:1], np.zeros([1, 0], object))["choice"].tolist() == [-1]


@pytest.mark.parametrize(
    ("model_type", "inference"),
    [("ambert", "joint"), ("ambert_combo", "coarse"), ("ambert_hybrid", "joint")],
)
def test_spans(model_type, inference):
    classifier, model = served("spans", model_type, inference, null_score_diff_threshold=-0.3)
    examples = [SpanExample(str(i), q, c, (), None) for i, (q, c) in enumerate(zip(TURNED, CONTEXTS, strict=True))]
    windows = Windows(classifier.tokenizer, examples, classifier.task)
    assert len(windows.data) > len(examples)
    logits = Predictor(classifier.model)(windows.data, 5)
    expected = find_answers(
        examples, windows, logits.by_head["joint"], 20, classifier.task.max_answer_length,
        whole_coarse="joint" in logits.coarse_heads,
    )  # fmt: skip
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


@pytest.mark.parametrize("weights_dtype", ["bfloat16", "int8"])
def test_smaller_weights_say_nearly_the_same(weights_dtype):
    _, model = served("pair")
    _, smaller = served("pair", weights_dtype=weights_dtype)
    expected, found = ask(model, TEXTS, TURNED), ask(smaller, TEXTS, TURNED)
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=0.05)
    assert smaller.weights.size_bytes < (0.4 if weights_dtype == "int8" else 0.6) * model.weights.size_bytes


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
