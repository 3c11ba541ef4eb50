"""Tables of examples with different predictions, with both tokenizations, like the paper's Table 13."""

import html
import random
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer

FORMATS = {"markdown": (".md", ".markdown"), "html": (".html", ".htm"), "text": (".txt",)}


class Segmented(NamedTuple):
    """Both tokenizations of a text, in its original spelling.

    Chinese tokens are separated by `/`, as in Table 13. English tokens are separated by spaces, and the words of a
    phrase are joined by `_`.
    """

    fine: str
    coarse: str


class Case(NamedTuple):
    """An example with different predictions.

    Attributes:
      id: id of the example.
      texts: the one or two classified texts, or more in multiple choice.
      label: the correct label.
      predicted: the prediction of each head or model, by name.
    """

    id: int | str
    texts: list[Segmented]
    label: str
    predicted: Mapping[str, str]


def segmented_texts(tokenizer: MultiGrainedTokenizer, texts: Sequence[str]) -> list[Segmented]:
    """Returns both tokenizations of texts."""
    if not texts:
        return []
    contents = [text.encode() for text in texts]
    tokens = tokenizer(tf.constant(contents))
    columns = []
    for grain in ("fine", "coarse"):
        starts, ends = (getattr(tokens, f"{grain}_{side}").to_list() for side in ("starts", "ends"))
        columns.append(
            [
                _joined([content[begin:end].decode() for begin, end in zip(*bounds, strict=True)], tokenizer.language)
                for content, bounds in zip(contents, zip(starts, ends, strict=True), strict=True)
            ]
        )
    return [Segmented(fine, coarse) for fine, coarse in zip(*columns, strict=True)]


def _joined(tokens: Sequence[str], language: str) -> str:
    return "/".join(tokens) if language == "zh" else " ".join("_".join(token.split()) for token in tokens)


def shown_cases(cases: Sequence[Case], count: int, seed: int) -> list[Case]:
    """Returns a random sample of `count` cases in their original order, or all cases if there are fewer."""
    chosen = sorted(random.Random(seed).sample(range(len(cases)), min(count, len(cases))))
    return [cases[index] for index in chosen]


def table_format(output: str, wanted: str) -> str:
    """Returns `markdown`, `html` or `text`: the given format or, by default, that of the output's extension.

    Raises:
      InputError: the format is unknown.
    """
    if not wanted:
        wanted = next((name for name, ends in FORMATS.items() if output.lower().endswith(ends)), "text")
    if wanted not in FORMATS:
        raise InputError(f"--format={wanted}: must be one of {', '.join(FORMATS)}")
    return wanted


def format_table(cases: Sequence[Case], found: int, examples: int, form: str) -> str:
    """Returns a table in which wrong predictions are marked.

    Args:
      cases: the cases to show.
      found: total number of cases.
      examples: number of compared examples.
      form: `markdown`, `html` or `text`.
    """
    head = f"Predictions differ on {found} of {examples} examples" + (
        f"; {len(cases)} are shown" if len(cases) < found else ""
    )
    names = list(cases[0].predicted) if cases else []
    return {"markdown": _markdown, "html": _html, "text": _text}[form](cases, names, head)


def _marked(case: Case, name: str, mark: str = "✗ ") -> str:
    answer = case.predicted[name]
    return answer if answer == case.label else f"{mark}{answer}"


def _markdown(cases: Sequence[Case], names: Sequence[str], head: str) -> str:
    def cell(text: str) -> str:
        for character in ("\\", "|", "*", "_", "`", "<", "[", "#"):
            text = text.replace(character, "\\" + character)
        return " ".join(text.split())

    lines = [f"{head}.", "", "| id | fine tokens; coarse tokens | label | " + " | ".join(map(cell, names)) + " |"]
    lines.append("|---|---|---" + "|---" * len(names) + "|")
    for case in cases:
        texts = "<br>".join(f"{cell(text.fine)}<br>({cell(text.coarse)})" for text in case.texts)
        answers = " | ".join(cell(_marked(case, name)) for name in names)
        lines.append(f"| {cell(str(case.id))} | {texts} | {cell(case.label)} | {answers} |")
    return "\n".join(lines) + "\n"


def _text(cases: Sequence[Case], names: Sequence[str], head: str) -> str:
    lines = [head]
    for case in cases:
        answers = ", ".join(f"{name} {_marked(case, name)}" for name in names)
        lines += ["", f"[{case.id}] label {case.label}; {answers}"]
        for text in case.texts:
            lines += [f"  fine:   {text.fine}", f"  coarse: {text.coarse}"]
    return "\n".join(lines) + "\n"


def _html(cases: Sequence[Case], names: Sequence[str], head: str) -> str:
    rows = []
    for case in cases:
        texts = "".join(
            f"<p>{html.escape(text.fine)}<br><i>{html.escape(text.coarse)}</i></p>" for text in case.texts
        )
        answers = "".join(
            f'<td class="{"right" if case.predicted[name] == case.label else "wrong"}">'
            f"{html.escape(_marked(case, name))}</td>"
            for name in names
        )
        rows.append(f"<tr><td>{html.escape(str(case.id))}</td><td>{texts}</td><td>{html.escape(case.label)}</td>"
                    f"{answers}</tr>")  # fmt: skip
    titles = "".join(f"<th>{html.escape(name)}</th>" for name in ("id", "fine, coarse tokens", "label", *names))
    return (
        '<!DOCTYPE html>\n<html lang="zh-Hans"><head><meta charset="utf-8"><title>Cases</title><style>'
        "body{font:14px/1.5 system-ui,sans-serif;margin:1.5em}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.3em .6em;vertical-align:top;text-align:left}p{margin:.2em 0}"
        "i{color:#084594;font-style:normal}.wrong{background:#fde0dc}.right{background:#e3f4e1}</style></head><body>"
        f"<p>{html.escape(head)}.</p>\n<table><tr>{titles}</tr>\n" + "\n".join(rows) + "\n</table></body></html>\n"
    )


def write_table(cases: Sequence[Case], found: int, examples: int, form: str, output: str = "") -> None:
    """Writes a table, or prints it if `output` is empty; see `format_table`."""
    table = format_table(cases, found, examples, form)
    if not output:
        sys.stdout.write(table)
        return
    with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(table)
    print(f"{output}: predictions differ on {found} of {examples} examples")
