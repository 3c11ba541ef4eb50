"""Draws attention maps of models for given sentences."""

from collections.abc import Sequence

from ambert_tf.analysis.analysis_settings import PAGE_FORMATS, AttentionSettings
from ambert_tf.analysis.attention_figure import MAX_PANELS, draw_attention
from ambert_tf.analysis.attention_maps import attention_maps, parse_head
from ambert_tf.analysis.attention_page import attention_page
from ambert_tf.analysis.encoders import load_encoders
from ambert_tf.analysis.input_texts import given_texts
from ambert_tf.errors import InputError
from ambert_tf.figures import save_figure
from ambert_tf.flags import run_program
from ambert_tf.outputs import atomic_path


def write_attention(
    model_dirs: Sequence[str],
    texts: Sequence[str],
    output: str,
    layer: int = 1,
    head: int | None = None,
    names: Sequence[str] = (),
    max_seq_length: int = 64,
    font_file: str = "",
) -> None:
    """Writes the attention of models on texts as a figure or an HTML page.

    Args:
      model_dirs: model directories.
      texts: the texts.
      output: the file, an HTML page if it ends in `.html`, and a figure otherwise.
      layer: the layer, counted from 1. A page shows it first.
      head: the head, counted from 1, or None for the mean of the heads. A page shows it first.
      names: names of the models.
      max_seq_length: maximum fine sequence length.
      font_file: font for the tokens in a figure.

    Raises:
      InputError: a directory is not a model directory, there is no such layer or head, or the figure cannot be drawn.
    """
    encoders = load_encoders(model_dirs, names)
    maps = []
    for text in texts:
        of_text = [one for encoder in encoders for one in attention_maps(encoder, text, None, max_seq_length)[1]]
        for one in of_text:
            one.matrix(layer, head)  # raise an error early if there is no such layer or head
        maps.append(of_text)
    if output.lower().endswith(PAGE_FORMATS):
        with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(attention_page(texts, maps, layer, head))
        return
    panels = sum(len(of_text) for of_text in maps)
    if panels > MAX_PANELS:
        raise InputError(
            f"--output={output}: a figure of {panels} panels is too large (maximum {MAX_PANELS}); draw fewer texts or "
            "models, or write an .html page"
        )
    save_figure(draw_attention(maps, layer, head), output, font_file=font_file)


def run_attention(settings: AttentionSettings) -> None:
    """Writes the figure or page."""
    settings.validate()
    write_attention(
        settings.model_dir,
        given_texts(settings),
        settings.output,
        settings.layer,
        parse_head(settings.head),
        settings.names,
        settings.max_seq_length,
        settings.font_file,
    )
    print(settings.output)


if __name__ == "__main__":
    run_program(AttentionSettings, run_attention)
