"""A web page for trying out a model. It shows predictions, both tokenizations and attention. Requires Gradio."""

import functools
import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ambert_tf
from ambert_tf.analysis.analysis_settings import PageSettings
from ambert_tf.analysis.attention_maps import MEAN, AttentionMap, parse_head
from ambert_tf.analysis.attention_page import HEAT_STYLE, heat_table
from ambert_tf.errors import InputError
from ambert_tf.files import is_file
from ambert_tf.flags import run_program
from ambert_tf.serving.served_model import SERVING_DEFAULT
from ambert_tf.serving.text_model import TextModel, Tokenization

CHOICES = "choices"
# Larger maps are unreadable.
MAX_SHOWN_TOKENS = 64
STYLE = HEAT_STYLE + """
.tokens { border-collapse: collapse; margin-bottom: .8em; }
.tokens td { border: 1px solid #bbb; text-align: center; padding: .1em .5em; }
.tokens tr.coarse td { background: rgba(8,69,148,.12); }
.tokens th { text-align: right; padding-right: .6em; font-weight: 600; border: 0 !important; }
.scroll { overflow-x: auto; }
.entities { line-height: 2.2; white-space: pre-wrap; }
.entities mark { padding: .15em .3em; border-radius: .3em; }
.entities sub { padding-left: .3em; }
"""


def token_table(tokens: Tokenization) -> str:
    """Returns both tokenizations as an HTML table, with each coarse token above its fine tokens."""
    sizes = [0] * len(tokens.coarse)
    for coarse in tokens.fine_to_coarse:
        sizes[coarse] += 1
    upper = "".join(
        f'<td colspan="{count}">{html.escape(token)}</td>' for token, count in zip(tokens.coarse, sizes, strict=True)
    )
    lower = "".join(f"<td>{html.escape(token)}</td>" for token in tokens.fine)
    return (
        f'<div class="scroll"><table class="tokens"><tr class="coarse"><th>coarse</th>{upper}</tr>'
        f'<tr class="fine"><th>fine</th>{lower}</tr></table></div>'
    )


def text_maps(model: TextModel, texts: Sequence[str]) -> list[AttentionMap]:
    """Returns the attention maps of a text or a pair of texts.

    Args:
      model: the model.
      texts: one or two texts.

    Raises:
      InputError: the pair is too long for the model, and it is unknown which tokens were truncated.
    """
    found = model.attention(*([text] for text in texts))
    first, *others = model.tokenize(texts)
    parts = [first, *(other for other in others if other.fine)]  # an empty second text has no [SEP]
    framed, maps = {}, []
    for grain in model.grains:
        lengths = [getattr(part, grain) for part in parts]
        framed[grain] = ["[CLS]", *(token for tokens in lengths for token in (*tokens, "[SEP]"))]
    if "joint" in found:
        weights = found["joint"][0]
        kept = _cut(framed["fine"] + framed["coarse"], weights.shape[-1], exact=True)
        return [AttentionMap("model", "fine + coarse", kept, len(framed["fine"]), weights)]
    for grain, (weights,) in found.items():
        kept = _cut(framed[grain], weights.shape[-1], exact=len(parts) > 1)
        maps.append(AttentionMap("model", grain, kept, len(kept) if grain == "fine" else 0, weights))
    return maps


def _cut(tokens: list[str], length: int, exact: bool) -> list[str]:
    if len(tokens) > length and exact:
        raise InputError("the text is too long for the model; shorten it to see its attention")
    return tokens if len(tokens) <= length else [*tokens[: length - 1], "[SEP]"]


def _first_tokens(one: AttentionMap) -> AttentionMap:
    return one._replace(
        tokens=one.tokens[:MAX_SHOWN_TOKENS], weights=one.weights[:, :, :MAX_SHOWN_TOKENS, :MAX_SHOWN_TOKENS]
    )


def entities_html(text: str, entities: Sequence[Mapping[str, Any]]) -> str:
    """Returns a text as HTML in which the entities are highlighted, a colour per label."""
    content, position, parts = text.encode(), 0, []
    labels = sorted({entity["label"] for entity in entities})
    for entity in entities:
        start, end = max(entity["start"], position), max(entity["end"], position)
        parts.append(html.escape(content[position:start].decode("utf-8", "replace")))
        # The golden angle keeps the colours of neighbouring labels apart.
        hue = round(labels.index(entity["label"]) * 137.5) % 360
        label, inside = html.escape(entity["label"]), html.escape(content[start:end].decode("utf-8", "replace"))
        style, title = f"background:hsl({hue},70%,85%)", f"{label} {entity['score']:.3f}"
        parts.append(f'<mark class="entity" title="{title}" style="{style}">{inside}<sub>{label}</sub></mark>')
        position = end
    parts.append(html.escape(content[position:].decode("utf-8", "replace")))
    return f'<p class="entities">{"".join(parts)}</p>'


def prediction_html(prediction: dict[str, Any]) -> str:
    """Returns a prediction as HTML, with the probabilities as bars."""
    shares = prediction.get("probabilities", {})
    if not isinstance(shares, dict):
        shares = {f"choice {index}": share for index, share in enumerate(shares)}
    facts = {name: value for name, value in prediction.items() if name != "probabilities"}
    lines = [
        f'<p><b>{html.escape(name)}</b>: <span class="{html.escape(name)}">'
        f"{html.escape(f'{value:.4f}' if isinstance(value, float) else str(value))}</span></p>"
        for name, value in facts.items()
    ]
    for name, share in sorted(shares.items(), key=lambda item: -item[1])[:10]:
        bar = f'<span style="display:inline-block;height:.8em;width:{12 * share:.2f}em;background:#08459a"></span>'
        lines.append(f"<div>{bar} {html.escape(name)} {share:.3f}</div>")
    return "".join(lines)


class Page:
    """The functions of the page, without its layout.

    Args:
      model: the model. If it is only pre-trained, the page shows only tokens and attention.
    """

    def __init__(self, model: TextModel) -> None:
        self.model = model
        self.predicts = SERVING_DEFAULT in model.facts.signatures
        self.input_names: tuple[str, ...] = model.input_names if self.predicts else ("text",)
        # The sequences consist of the first two texts. Choices and marked spans are not separate sequences.
        two = len(model.facts.signatures["attention"]) > 1
        texts = [name for name in self.input_names if name != CHOICES and not name.startswith("span")]
        self.text_names = tuple(texts[: 2 if two else 1])
        self._maps = functools.lru_cache(maxsize=8)(lambda texts: text_maps(model, texts))

    def _texts(self, values: Sequence[Any]) -> tuple[str, ...]:
        given = dict(zip(self.input_names, values, strict=True))
        return tuple(given[name] or "" for name in self.text_names)

    def answer(self, *values: Any) -> str:
        """Returns the prediction as HTML. `values` has one value per input of `input_names`, choices one per line."""
        if not self.predicts:
            return "<p>This model is only pre-trained and has no task to predict.</p>"
        columns: list[list[Any]] = []
        for name, value in zip(self.input_names, values, strict=True):
            if name == CHOICES:
                columns.append([[line for line in (value or "").split("\n") if line.strip()]])
            else:
                columns.append([int(value or 0) if name.endswith("_index") else value or ""])
        prediction = self.model.predict(*columns)[0]
        if "entities" in prediction:
            return entities_html(columns[0][0], prediction["entities"])
        return prediction_html(prediction)

    def tokens(self, *values: Any) -> str:
        """Returns both tokenizations of each text as HTML."""
        return "".join(token_table(tokens) for tokens in self.model.tokenize(self._texts(values)))

    def attention(self, layer: int, head: str, *values: Any) -> str:
        """Returns the maps of a layer and a head (or of the mean of the heads) as HTML."""
        try:
            tables = [
                heat_table(_first_tokens(one), int(layer), parse_head(head)) for one in self._maps(self._texts(values))
            ]
        except InputError as error:
            return f"<p>{html.escape(str(error))}</p>"
        return f'<div class="scroll heat-maps">{"".join(tables)}</div>'


def build_page(model: TextModel, title: str) -> Any:
    """Returns the page as `gradio.Blocks`. Its functions are also available as the APIs `/predict` and `/attention`.

    Args:
      model: the model.
      title: title of the page.

    Raises:
      InputError: Gradio is not installed.
    """
    try:
        import gradio
    except ImportError:
        raise InputError("gradio is not installed: pip install 'gradio>=6,<7'") from None
    page, config = Page(model), model.facts.config
    heads = [MEAN, *map(str, range(1, config.num_attention_heads + 1))]
    task = model.facts.task
    with gradio.Blocks(title=f"AMBERT: {title}", analytics_enabled=False) as blocks:
        kind = f"fine-tuned on {task.task_name}" if task else "pre-trained"
        gradio.Markdown(f"# {title}\n{config.model_type}, {kind}, {config.num_hidden_layers} layers")
        boxes = [_box(gradio, name) for name in page.input_names]
        button = gradio.Button("Predict", variant="primary", elem_id="predict")
        answer = gradio.HTML(elem_id="prediction")
        gradio.Markdown("### Tokens")
        tokens = gradio.HTML(elem_id="tokens")
        gradio.Markdown("### Attention\nEach row shows the attention weights of one token.")
        with gradio.Row():
            layer = gradio.Dropdown(
                list(range(1, config.num_hidden_layers + 1)), value=1, label="Layer", elem_id="layer", interactive=True
            )
            head = gradio.Dropdown(heads, value=MEAN, label="Head", elem_id="head", interactive=True)
        maps = gradio.HTML(elem_id="attention")

        def predict(layer: int, head: str, *values: Any) -> tuple[str, str, str]:
            return page.answer(*values), page.tokens(*values), page.attention(layer, head, *values)

        every = [layer, head, *boxes]
        submits = [button.click, *(box.submit for box in boxes if box.lines == 1)]
        for number, event in enumerate(submits):
            event(predict, every, [answer, tokens, maps], api_name="predict" if number == 0 else None)
        for number, control in enumerate((layer, head)):
            control.change(page.attention, every, maps, api_name="attention" if number == 0 else None)
    return blocks


def _box(gradio: Any, name: str) -> Any:
    if name.endswith("_index"):
        return gradio.Textbox(label=name, value="0", lines=1, elem_id=name)
    lines = {CHOICES: 4, "context": 5}.get(name, 1)
    label = f"{name}, one per line" if name == CHOICES else name
    return gradio.Textbox(label=label, lines=lines, elem_id=name, max_lines=max(lines, 5) if lines > 1 else 1)


def launch(blocks: Any, host: str, port: int) -> str:
    """Starts serving the page in other threads and returns its address.

    Args:
      blocks: the result of `build_page`.
      host: address to listen on, 0.0.0.0 for all interfaces.
      port: port to listen on, 0 for any free port.

    Raises:
      InputError: the port is in use.
    """
    try:
        _, address, _ = blocks.launch(
            server_name=host, server_port=port or None, css=STYLE, quiet=True, prevent_thread_lock=True,
            footer_links=["api"], inbrowser=False, share=False,
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"--host={host} --port={port}: {error}") from None
    return address


def run_page(settings: PageSettings) -> None:
    """Serves the page."""
    settings.validate()
    path = settings.saved_model or settings.model_dir
    if settings.saved_model and not is_file(os.path.join(path, "saved_model.pb")):
        raise InputError(f"--saved_model={path}: has no saved_model.pb; export_saved_model.py writes it")
    blocks = build_page(ambert_tf.load(path), settings.title or path)
    print(launch(blocks, settings.host, settings.port), flush=True)
    blocks.block_thread()


if __name__ == "__main__":
    run_program(PageSettings, run_page)
