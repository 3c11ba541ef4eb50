"""Attention maps: the weights, the figure, the page."""

import base64
import json
import re

import numpy as np
import pytest

from ambert_tf.analysis.attention import write_attention
from ambert_tf.analysis.attention_figure import draw_attention
from ambert_tf.analysis.attention_maps import AttentionMap, attention_maps, parse_head
from ambert_tf.analysis.attention_page import attention_page, heat_table
from ambert_tf.errors import InputError
from ambert_tf.training.loaded_model import load_model
from tests.serving.models import model_directory

TEXT = "南京市长江大桥"


def made_map(tokens=("[CLS]", "长江", "[SEP]"), **changes):
    """Returns a map of one layer and two heads: identity attention and uniform attention."""
    size = len(tokens)
    weights = np.stack([np.eye(size), np.full((size, size), 1 / size)])[np.newaxis].astype(np.float32)
    return AttentionMap("ambert", "coarse", list(tokens), 0, weights)._replace(**changes)


def test_matrix_of_a_head_and_mean_of_the_heads():
    one = made_map()
    assert one.matrix(1, 1).tolist() == np.eye(3).tolist()
    assert one.matrix(1, None)[0].tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert (parse_head("mean"), parse_head("2")) == (None, 2)


@pytest.mark.parametrize(
    ("layer", "head", "message"),
    [(2, None, r"--layer=2: ambert has layers 1 to 1"), (1, 3, r"--head=3: ambert has heads 1 to 2"),
     (0, 1, r"--layer=0: ambert has layers 1 to 1")],
)  # fmt: skip
def test_missing_layer_or_head_is_an_error(layer, head, message):
    with pytest.raises(InputError, match=message):
        made_map().matrix(layer, head)


def test_head_flag_is_a_number_or_mean():
    with pytest.raises(InputError, match="--head=all: must be a number from 1, or mean"):
        parse_head("all")


FINE, COARSE = ["[CLS]", *TEXT, "[SEP]"], ["[CLS]", "南京市", "长江大桥", "[SEP]"]


@pytest.mark.parametrize(
    ("model_type", "tokens"),
    [
        ("bert_fine", {"fine": FINE}),
        ("bert_coarse", {"coarse": COARSE}),
        ("ambert", {"fine": FINE, "coarse": COARSE}),
        ("ambert_combo", {"fine": FINE, "coarse": COARSE}),
        ("ambert_hybrid", {"fine + coarse": FINE + COARSE}),
    ],
)
def test_maps_of_each_model_type(model_type, tokens):
    encoder = load_model(model_directory(model_type=model_type), task=False)._replace(name="model")
    read, maps = attention_maps(encoder, TEXT)
    assert {one.grain: one.tokens for one in maps} == tokens
    assert read.fine_to_coarse == [0, 1, 1, 1, 2, 2, 2, 2, 3]
    for one in maps:
        assert one.weights.shape == (1, 2, len(one.tokens), len(one.tokens))
        np.testing.assert_allclose(one.weights.sum(axis=-1), 1.0, atol=1e-5)
    if model_type == "ambert_hybrid":
        assert maps[0].fine_tokens == 9


def test_figure_has_one_panel_per_map_and_a_colour_bar():
    hybrid = made_map(("[CLS]", "长", "[SEP]", "[CLS]", "长江", "[SEP]"), fine_tokens=3)
    figure = draw_attention([[made_map(), hybrid]], 1, None)
    first, second, bar = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["[CLS]", "长江", "[SEP]"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["[CLS]", "长\n江", "[SEP]"]
    assert [label.get_rotation() for label in first.get_xticklabels()] == [90, 0, 90]
    assert bar.get_ylabel() == "weight"
    assert len(second.lines) == 2 and not first.lines  # lines between the grains of an AMBERT-Hybrid


def test_page_contains_all_weights_and_no_external_references():
    text = "<!-- </script><b>长江"
    page = attention_page([text], [[made_map()]], 1, 2)
    assert not re.search(r"https?://|src=|href=", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert (data["layer"], data["head"], data["texts"][0]["text"]) == (1, 2, text)
    packed = data["texts"][0]["maps"][0]
    values = np.frombuffer(base64.b64decode(packed["weights"]), "<u2").reshape(1, 2, 3, 3) / 65535
    np.testing.assert_allclose(values, made_map().weights, atol=1e-5)


def test_heat_table_titles_name_each_weight():
    table = heat_table(made_map(("[CLS]", "<b>", "长江")), 1, 1)
    assert 'title="长江 → 长江: 1.000"' in table and "&lt;b&gt;" in table and "<b>" not in table
    assert "<span>长<br>江</span>" in table


def test_write_attention(tmp_path):
    directories = [model_directory(), model_directory(model_type="bert_fine")]
    write_attention(directories, [TEXT], str(tmp_path / "maps.png"))
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
    write_attention(directories, [TEXT], str(tmp_path / "maps.html"), names=["one", "two"])
    assert '"model": "two"' in (tmp_path / "maps.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="--names: has 1 names for 2 directories"):
        write_attention(directories, [TEXT], str(tmp_path / "x.png"), names=["one"])
    with pytest.raises(InputError, match=r"--output=.*maps\.xyz"):
        write_attention(directories, [TEXT], str(tmp_path / "maps.xyz"))
    assert not (tmp_path / "maps.xyz").exists()
