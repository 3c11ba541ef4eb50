"""Executes the notebook's cells in order. The console scripts of its `!` lines run in this process, which is faster."""

import json
import pathlib
import re

from ambert_tf.conversion.conversion_settings import ConversionSettings
from ambert_tf.conversion.convert import convert_checkpoint
from ambert_tf.serving.export import run_export
from ambert_tf.serving.export_settings import ExportSettings
from ambert_tf.vocabulary.build_vocab import run_build_vocab
from ambert_tf.vocabulary.vocabulary_settings import VocabularySettings

NOTEBOOK = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "ambert_in_keras.ipynb"
COMMANDS = {
    "ambert-build-vocab": (VocabularySettings, run_build_vocab),
    "ambert-convert": (ConversionSettings, convert_checkpoint),
    "ambert-export": (ExportSettings, run_export),
}


def run_command(line):
    """Runs a console script as its settings and its function."""
    name, *arguments = line.split()
    settings, function = COMMANDS[name]
    function(settings(**dict(argument.removeprefix("--").split("=", 1) for argument in arguments)))


def test_the_notebook_runs(capsys):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    # A smaller model and one epoch run the same cells in a third of the time.
    for number in ("num_layers=2", "epochs=3"):
        assert number in code
        code = code.replace(number, f"{number[:-1]}1")
    exec(re.sub(r"(?m)^!(.*)$", r'run_command(f"\1")', code), {"run_command": run_command})
    printed = capsys.readouterr().out
    assert "['房', '间', '很', '干', '净', '，', '服', '务', '很', '好']" in printed
    assert "'房间'" in printed
    assert "AmbertTextClassifier ('bad', 'good')" in printed
