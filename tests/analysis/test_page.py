"""The web page: its functions, its HTTP API and, if a browser is installed, its contents."""

import re

import gradio_client
import pytest

import ambert_tf
from ambert_tf.analysis.page import Page, build_page, launch
from ambert_tf.errors import InputError
from tests.serving.browser import find_browser, use_page
from tests.serving.models import model_directory

TEXT = "南京市长江大桥"


@pytest.fixture(scope="module")
def served():
    model = ambert_tf.load(model_directory())
    blocks = build_page(model, "test")
    yield model, launch(blocks, "127.0.0.1", 0)
    blocks.close()


def test_http_api(served):
    model, address = served
    client = gradio_client.Client(address, verbose=False)
    answer, tokens, maps = client.predict(1, "mean", TEXT, api_name="/predict")
    assert f'<span class="label">{model.predict([TEXT])[0]["label"]}</span>' in answer
    assert '<td colspan="3">南京市</td><td colspan="4">长江大桥</td>' in tokens
    assert maps.count("<table") == 2
    assert client.predict(1, "2", TEXT, api_name="/attention") != maps


# Without a browser, test_http_api covers the same functions.
if find_browser():

    def test_in_a_browser(served):
        model, address = served
        seen = use_page(address, TEXT, layers=False)  # the model has one layer
        assert seen["prediction"] == model.predict([TEXT])[0]["label"]
        assert (seen["coarse"], seen["fine"]) == (["南京市", "长江大桥"], list(TEXT))
        mean, head = seen["maps"]
        weights = model.attention([TEXT])["fine"][0][0]
        assert mean[1] == f"[CLS] → 南: {weights[:, 0, 1].mean():.3f}"
        assert head[1] == f"[CLS] → 南: {weights[0, 0, 1]:.3f}"


@pytest.mark.parametrize("form", ["choice", "spans"])
def test_other_task_forms(form):
    page = Page(ambert_tf.load(model_directory(form)))
    values = [{"choices": "中国\n人民\n"}.get(name, TEXT) for name in page.input_names]
    expected = {"choice": "choice", "spans": "answer"}
    assert f"<b>{expected[form]}</b>" in page.answer(*values)
    assert "长江大桥" in page.tokens(*values)
    assert page.attention(1, "mean", *values).count("<table") == 2


def test_entities_are_highlighted():
    model = ambert_tf.load(model_directory("words"))
    (found,) = model.predict([TEXT + "<b>"])
    shown = Page(model).answer(TEXT + "<b>")
    assert shown.count('<mark class="entity"') == len(found["entities"]) > 0
    assert re.sub("<sub>.*?</sub>|<.*?>", "", shown) == TEXT + "&lt;b&gt;"


def test_hybrid_has_one_map_and_overlong_pairs_a_message():
    page = Page(ambert_tf.load(model_directory(model_type="ambert_hybrid")))
    assert page.attention(1, "1", TEXT).count("<table") == 1
    page = Page(ambert_tf.load(model_directory("pair")))
    assert page.attention(1, "mean", TEXT, "").count("<table") == 2
    assert "shorten it to see its attention" in page.attention(1, "mean", TEXT * 9, TEXT)


def test_occupied_port_is_an_error(served):
    port = int(served[1].rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(InputError, match=f"--port={port}: "):
        launch(build_page(served[0], "test"), "127.0.0.1", port)
