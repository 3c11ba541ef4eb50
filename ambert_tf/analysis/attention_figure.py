"""Attention maps side by side in one figure, as in the paper's Figures 3 to 5."""

from collections.abc import Sequence
from typing import Any

from ambert_tf.analysis.attention_maps import AttentionMap
from ambert_tf.figures import is_vertical, is_wide, new_figure

CELL_INCHES = 0.2
LABEL_POINTS = 8
PANELS_PER_ROW = 5  # BERT twice, AMBERT-Hybrid, and both grains of AMBERT: Figure 3
MAX_PANELS = 40


def draw_attention(texts: Sequence[Sequence[AttentionMap]], layer: int, head: int | None) -> Any:
    """Returns a matplotlib figure with one row of panels per text and one panel per map.

    The rows of a panel are the attending tokens, and its columns the tokens attended to. Darker cells have higher
    weights. All panels share one colour bar.

    Args:
      texts: the maps of each text.
      layer: the layer, counted from 1.
      head: the head, counted from 1, or None for the mean of the heads.

    Raises:
      InputError: a model has no such layer or head.
    """
    maps = [one for text in texts for one in text]
    matrices = [one.matrix(layer, head) for one in maps]
    figure = new_figure(1, 1)
    columns = min(PANELS_PER_ROW, max(len(text) for text in texts))
    rows = [text[start : start + columns] for text in texts for start in range(0, len(text), columns)]
    widths = [max([_side(row[column]) for row in rows if column < len(row)], default=1.0) for column in range(columns)]
    heights = [max(_side(one) for one in row) + 0.45 for row in rows]
    figure.set_size_inches(sum(widths) + 1.0, sum(heights) + 0.5)
    grid = figure.add_gridspec(len(rows), columns, width_ratios=widths, height_ratios=heights)
    highest = max(float(matrix.max()) for matrix in matrices)
    panels, number, image = [], 0, None
    for row, row_maps in enumerate(rows):
        for column, one in enumerate(row_maps):
            panel = figure.add_subplot(grid[row, column])
            panel.set_anchor("N")
            image = panel.imshow(matrices[number], cmap="Blues", vmin=0.0, vmax=highest)
            _label(panel, one)
            panels.append(panel)
            number += 1
    what = "mean of the heads" if head is None else f"head {head}"
    figure.suptitle(f"Attention weights, layer {layer}, {what}", fontsize=11)
    bar = figure.colorbar(image, ax=panels, shrink=min(1.0, 3.0 / sum(heights)), aspect=18, pad=0.01)
    bar.set_label("weight", fontsize=LABEL_POINTS)
    bar.ax.tick_params(labelsize=LABEL_POINTS)
    return figure


def _side(one: AttentionMap) -> float:
    """Returns the size of a panel with its labels, in inches."""
    longest = max(sum(2 if is_wide(character) else 1 for character in token) for token in one.tokens)
    return max(1.6, CELL_INCHES * len(one.tokens)) + 0.075 * longest + 0.25


def _label(panel: Any, one: AttentionMap) -> None:
    length = len(one.tokens)
    panel.set_title(f"{one.model}\n{one.grain}", fontsize=LABEL_POINTS + 1)
    panel.xaxis.tick_top()
    panel.set_xticks(range(length), [_column_title(token) for token in one.tokens])
    panel.set_yticks(range(length), one.tokens)
    for token, tick in zip(one.tokens, panel.get_xticklabels(), strict=True):
        tick.set(rotation=0 if is_vertical(token) else 90, fontsize=LABEL_POINTS, linespacing=1.0)
    for tick in panel.get_yticklabels():
        tick.set(fontsize=LABEL_POINTS)
    panel.tick_params(length=0, pad=2)
    panel.set_xticks([place - 0.5 for place in range(1, length)], minor=True)
    panel.set_yticks([place - 0.5 for place in range(1, length)], minor=True)
    panel.grid(which="minor", color="#dddddd", linewidth=0.3)
    panel.tick_params(which="minor", length=0)
    if 0 < one.fine_tokens < length:  # the blocks of AMBERT-Hybrid
        panel.axhline(one.fine_tokens - 0.5, color="tab:red", linewidth=0.9)
        panel.axvline(one.fine_tokens - 0.5, color="tab:red", linewidth=0.9)


def _column_title(token: str) -> str:
    return "\n".join(token) if is_vertical(token) else token
