"""The settings of the commands in this folder. This module does not import TensorFlow."""

import dataclasses

from ambert_tf.errors import InputError
from ambert_tf.flags import at_least, check_choices, check_outputs, require, setting
from ambert_tf.models.config import POOLINGS
from ambert_tf.tasks.declaration import SPLITS

MEAN = "mean"
MAX_PORT = 65535
FIGURE_FORMATS = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".eps")
PAGE_FORMATS = (".html", ".htm")


def check_format(output: str, formats: tuple[str, ...]) -> None:
    """Raises an InputError if the name of an output file does not end in one of its formats."""
    if not output.lower().endswith(formats):
        raise InputError(f"--output={output}: must end in {', '.join(formats)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings:
    """The texts to analyse, given directly or sampled from files."""

    text: tuple[str, ...] = setting((), "Text to analyse. Repeat the flag for several texts.", repeated=True)
    input_file: str = setting("", "Files with one text per line, plain or .gz, instead of --text.")
    text_field: str = setting("", "Key or column of --input_file with the text, for JSON lines and tables.")
    max_texts: int = setting(1000, "Number of texts to sample from --input_file.")
    random_seed: int = setting(12345, "Random seed of the sample.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        if bool(self.text) == bool(self.input_file):
            raise InputError("exactly one of --text (which may be repeated) and --input_file is needed")
        at_least(self, 1, "max_texts")
        at_least(self, 8, *(name for name in ("max_seq_length",) if hasattr(self, name)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionSettings(TextSettings):
    """Draws attention maps of models for given sentences.

        python -m ambert_tf.analysis.attention --model_dir=pretrained --text=南京市长江大桥位于南京
        python -m ambert_tf.analysis.attention --model_dir=bert_fine,bert_coarse,hybrid,ambert --layer=1 --head=3 \\
            --text=… --text=… --output=attention.html

    A figure (.png, .svg, .pdf) shows one layer, and one head or the mean of the heads. A page (.html) is a single
    self-contained file in which any layer and head of all models can be selected. All five model types are supported,
    pre-trained or fine-tuned.
    """

    model_dir: tuple[str, ...] = setting((), "Model directories, separated by commas.")
    names: tuple[str, ...] = setting((), "Names of the models. Defaults to model type and directory.")
    max_texts: int = setting(3, "Number of texts to sample from --input_file.")
    layer: int = setting(1, "The layer, counted from 1.")
    head: str = setting(MEAN, "The head, counted from 1, or mean.")
    max_seq_length: int = setting(64, "Maximum fine sequence length.")
    font_file: str = setting("", "Font file for the tokens in a figure. Defaults to an installed font.")
    output: str = setting("attention.png", "The figure (.png, .svg, .pdf) or page (.html) to write.")

    def validate(self) -> None:
        super().validate()
        require(self, "model_dir", "output")
        check_outputs(self, "output")
        check_format(self.output, FIGURE_FORMATS + PAGE_FORMATS)
        at_least(self, 1, "layer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistancesSettings(TextSettings):
    """Measures the distances between the grains' representations of texts on a data set (the paper's Figure 2).

        python -m ambert_tf.analysis.distances --model_dir=ambert,combo --input_file=dev.json --text_field=sentence \\
            --output=distances.png

    Prints cosine dissimilarity and normalized Euclidean distance for each model, draws their distributions, and writes
    mean, standard deviation and percentiles to a .json file next to the figure.
    """

    model_dir: tuple[str, ...] = setting((), "Model directories, separated by commas.")
    names: tuple[str, ...] = setting((), "Names of the models. Defaults to model type and directory.")
    max_seq_length: int = setting(128, "Maximum fine sequence length.")
    pooling: str = setting(
        "cls", "The representation of a text: [CLS] as in the paper, or the mean over the tokens.", choices=POOLINGS
    )
    output: str = setting("distances.png", "Figure to write (.png, .svg, .pdf), with a .json file next to it.")

    def validate(self) -> None:
        super().validate()
        require(self, "model_dir", "output")
        check_choices(self)
        check_outputs(self, "output")
        check_format(self.output, FIGURE_FORMATS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokensSettings(TextSettings):
    """Counts the tokens of a corpus at both grains (the paper's Table 9).

        python -m ambert_tf.analysis.tokens --tokenizer_dir=tokenizer --input_file='corpus/*.txt' [--output=tokens.json]

    Table 9 gives the average proportion of words (Chinese) or phrases (English) among the coarse tokens of 10,000
    random sentences. A word is a coarse token of several characters, and a phrase is one of several words. The
    proportion is reported as the average over sentences, and over all tokens.
    """

    tokenizer_dir: str = setting("", "Tokenizer directory.")
    max_texts: int = setting(10_000, "Number of texts to sample from --input_file.")
    output: str = setting("", "JSON file to write the statistics to.")

    def validate(self) -> None:
        if not self.tokenizer_dir:
            raise InputError(
                "--tokenizer_dir is needed: a directory from data/build_vocab.py, or tokenizer/ in a model directory"
            )
        super().validate()
        check_outputs(self, "output")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CasesSettings:
    """Shows where heads or models disagree on a development set, with both tokenizations (the paper's Table 13).

        python -m ambert_tf.analysis.cases --model_dir=classifier --data_dir=DIR --output=cases.md
        python -m ambert_tf.analysis.cases --model_dir=bert_fine,bert_coarse,ambert --data_dir=DIR --output=cases.html

    With one model directory, the columns are its heads: fine, coarse and joint. With several, as in the paper, the
    columns are the models, which must be fine-tuned on the same task. Texts are shown as the models read them.
    """

    model_dir: tuple[str, ...] = setting(
        (), "Fine-tuned model directories, separated by commas. The heads of a single model are compared."
    )
    names: tuple[str, ...] = setting((), "Names of several models. Defaults to the names of their directories.")
    task_name: str = setting("", "The task. Defaults to the one that the model was fine-tuned on.")
    task_file: str = setting("", "Python file that defines your own TASK.")
    data_dir: str = setting("", "Directory with the task's data.")
    input_file: str = setting("", "File with labelled examples, instead of --data_dir.")
    split: str = setting("dev", "Split of --data_dir to read.", SPLITS)
    max_cases: int = setting(20, "Maximum number of cases to show. If there are more, a random sample is shown.")
    random_seed: int = setting(12345, "Random seed of the sample.")
    format: str = setting("", "markdown, html or text. Defaults to the format of --output's extension.")
    output: str = setting("", "File to write the table to (.md, .html, .txt). Defaults to standard output.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        check_choices(self)
        check_outputs(self, "output")
        at_least(self, 1, "max_cases")
        if not self.model_dir:
            raise InputError(
                "--model_dir is needed: an --output_dir of run_classifier.py, or several separated by commas"
            )
        if self.names and len(self.names) != len(self.model_dir):
            raise InputError(f"--names: {len(self.names)} names for {len(self.model_dir)} directories of --model_dir")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageSettings:
    """Serves a web page for trying out a model, which shows prediction, both tokenizations and attention of a text.

        python -m ambert_tf.analysis.page --saved_model=exported
        python -m ambert_tf.analysis.page --model_dir=classifier

    Serves http://127.0.0.1:7860 until it is stopped. Requires Gradio (pip install gradio).
    """

    saved_model: str = setting("", "An export of export_saved_model.py.")
    model_dir: str = setting("", "A model directory, instead of --saved_model.")
    title: str = setting("", "Title of the page. Defaults to the directory.")
    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all interfaces.")
    port: int = setting(7860, "Port to listen on.")

    def validate(self) -> None:
        """Raises an InputError if a value is out of range or flags do not go together."""
        if bool(self.saved_model) == bool(self.model_dir):
            raise InputError("exactly one of --saved_model (an export) and --model_dir (from training) is needed")
        if not 1 <= self.port <= MAX_PORT:
            raise InputError(f"--port={self.port}: must be from 1 to {MAX_PORT}")
