"""Draws attention maps of models for given sentences.

    python -m ambert_tf.analysis.attention --model_dir=pretrained --text=南京市长江大桥位于南京 --output=attention.png
    python -m ambert_tf.analysis.attention --model_dir=bert_fine,bert_coarse,hybrid,ambert --layer=1 --head=3 \
        --text=… --text=… --output=attention.html

A picture (.png, .svg, .pdf) shows one layer, and one head or the mean of the heads; a page (.html) is one file that
needs nothing else and shows any layer and head of all models. Models of all five types, pre-trained or fine-tuned.
"""

from collections.abc import Sequence

from absl import flags

from ambert_tf.analysis.attention_maps import MEAN, attention_maps, parse_head
from ambert_tf.analysis.attention_page import attention_page
from ambert_tf.analysis.attention_picture import MAX_PANELS, draw_attention
from ambert_tf.analysis.encoders import load_encoders
from ambert_tf.analysis.pictures import save_figure
from ambert_tf.analysis.texts import define_text_flags, texts_from_flags
from ambert_tf.errors import InputError, run_main
from ambert_tf.files import atomic_path


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
    """Writes the attention of some models over some texts as a picture or a page.

    Args:
      model_dirs: model directories.
      texts: sentences.
      output: a picture, or a page if it ends in `.html`.
      layer: counted from 1; a page begins with it.
      head: counted from 1, None for the mean of the heads; likewise.
      names: what the picture calls the models.
      max_seq_length: fine tokens at most, [CLS] and [SEP] included.
      font_file: a font for the picture's tokens.

    Raises:
      InputError: a directory is no model's, there is no such layer or head, or the picture cannot be drawn.
    """
    encoders = load_encoders(model_dirs, names)
    maps = []
    for text in texts:
        of_text = [one for encoder in encoders for one in attention_maps(encoder, text, None, max_seq_length)[1]]
        for one in of_text:
            one.matrix(layer, head)  # says so at once where there is no such layer or head
        maps.append(of_text)
    if output.endswith((".html", ".htm")):
        with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(attention_page(texts, maps, layer, head))
        return
    panels = sum(len(of_text) for of_text in maps)
    if panels > MAX_PANELS:
        raise InputError(
            f"--output={output}: a picture of {panels} panels is too large (at most {MAX_PANELS}); draw fewer texts or "
            "models, or write an .html page"
        )
    save_figure(draw_attention(maps, layer, head, font_file), output)


def main(argv: Sequence[str]) -> None:
    """Writes what the command line names."""
    del argv
    values = flags.FLAGS
    texts = texts_from_flags()
    head = parse_head(values.head)
    write_attention(
        values.model_dir,
        texts,
        values.output,
        values.layer,
        head,
        values.names,
        values.max_seq_length,
        values.font_file,
    )
    print(values.output)


if __name__ == "__main__":
    flags.DEFINE_list("model_dir", [], "Model directories, separated by commas.")
    flags.DEFINE_list("names", [], "What to call them; by default model type and directory.")
    define_text_flags(max_texts=3)
    flags.DEFINE_integer("layer", 1, "The layer, from 1.")
    flags.DEFINE_string("head", MEAN, "The head, from 1; or mean.")
    flags.DEFINE_integer("max_seq_length", 64, "Fine tokens at most, [CLS] and [SEP] included.", lower_bound=8)
    flags.DEFINE_string("font_file", "", "A font for the picture's tokens; by default an installed one is found.")
    flags.DEFINE_string("output", "attention.png", "The picture (.png, .svg, .pdf) or the page (.html).")
    run_main(main)
