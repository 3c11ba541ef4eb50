"""Attention maps as a self-contained HTML page, where layer and head can be selected."""

import base64
import html
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ambert_tf.analysis.attention_maps import AttentionMap
from ambert_tf.figures import is_vertical

TEMPLATE = pathlib.Path(__file__).with_name("attention_page.html")
# Weights from 0 to 1 are written as 16-bit integers.
SCALE = 65535
HEAT_STYLE = """
.heat-maps { display: flex; flex-wrap: wrap; gap: 1.2em 2.5em; align-items: flex-start; }
.heat { border-collapse: collapse; width: auto; }
.heat caption { text-align: left; white-space: nowrap; padding-bottom: .3em; }
.heat th { font-weight: 400; font-size: 12px; border: 0 !important; padding: 0; }
.heat tbody th { text-align: right; padding-right: .4em; white-space: nowrap; }
.heat thead th { vertical-align: bottom; padding-bottom: .2em; }
.heat thead th span { display: inline-block; line-height: 1.1; }
.heat .rotated { writing-mode: vertical-rl; white-space: nowrap; }
.heat td { width: 17px; min-width: 17px; height: 17px; padding: 0; border: 1px solid rgba(128,128,128,.2); }
"""


def attention_page(
    texts: Sequence[str], maps: Sequence[Sequence[AttentionMap]], layer: int = 1, head: int | None = None
) -> str:
    """Returns the page, which requires no other files and no network, and uses the browser's fonts.

    Args:
      texts: the texts.
      maps: the maps of each text.
      layer: the layer shown first, counted from 1.
      head: the head shown first, counted from 1, or None for the mean of the heads.
    """
    content = {
        "layer": layer,
        "head": head or 0,
        "texts": [
            {"text": text, "maps": [_packed(one) for one in of_text]} for text, of_text in zip(texts, maps, strict=True)
        ],
    }
    # In a script element, "</" would end it and "<!--" would change how it is parsed.
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/", data)


def _packed(one: AttentionMap) -> dict[str, Any]:
    layers, heads, length, _ = one.weights.shape
    values = np.rint(one.weights * SCALE).astype("<u2")
    return {
        "model": one.model,
        "grain": one.grain,
        "tokens": one.tokens,
        "vertical": [is_vertical(token) for token in one.tokens],
        "fine": one.fine_tokens if one.fine_tokens < length else 0,
        "layers": layers,
        "heads": heads,
        "weights": base64.b64encode(values.tobytes()).decode(),
    }


def heat_table(one: AttentionMap, layer: int, head: int | None) -> str:
    """Returns a map as an HTML table without scripts. The title of each cell shows both tokens and the weight.

    Args:
      one: the map.
      layer: the layer, counted from 1.
      head: the head, counted from 1, or None for the mean of the heads.

    Raises:
      InputError: the model has no such layer or head.
    """
    matrix = one.matrix(layer, head)
    highest = max(float(matrix.max()), 1e-9)
    names = [html.escape(token) for token in one.tokens]
    top = "".join(f"<th>{_column_title(token)}</th>" for token in one.tokens)
    rows = []
    for attends, values in enumerate(matrix):
        cells = "".join(
            f'<td style="background:rgba(8,69,148,{value / highest:.3f})" '
            f'title="{names[attends]} → {names[column]}: {value:.3f}"></td>'
            for column, value in enumerate(values)
        )
        rows.append(f"<tr><th>{names[attends]}</th>{cells}</tr>")
    caption = f"{html.escape(one.grain)} tokens; the darkest cell is {highest:.3f}"
    return (
        f'<table class="heat" data-grain="{html.escape(one.grain)}"><caption>{caption}</caption>'
        f"<thead><tr><th></th>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _column_title(token: str) -> str:
    """Returns a token written vertically: Chinese characters stacked, other words rotated.

    `writing-mode` would do both, but it displaces the characters of some Chinese fonts.
    """
    if is_vertical(token):
        return f"<span>{'<br>'.join(map(html.escape, token))}</span>"
    return f'<span class="rotated">{html.escape(token)}</span>'
