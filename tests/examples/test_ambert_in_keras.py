"""Executes the notebook: its cells in order, as Jupyter does, with `!` lines as commands."""

import json
import pathlib
import re
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
NOTEBOOK = PROJECT / "examples" / "ambert_in_keras.ipynb"
# The console scripts of the wheel are these functions.
COMMANDS = {"build-vocab": "build_vocab", "convert": "convert", "export": "export"}


def program():
    """Returns the code cells as one program."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")

    def command(match):
        run = f"import sys; sys.argv[0] = 'ambert'; from ambert_tf.commands import {COMMANDS[match[1]]} as main; main()"
        return f"subprocess.run([sys.executable, '-c', {run!r}, *f{match[2]!r}.split()], check=True)"

    return "import subprocess, sys\n" + re.sub(r"(?m)^!ambert-([\w-]+) (.*)$", command, code)


def test_the_notebook_runs():
    result = subprocess.run([sys.executable, "-c", program()], capture_output=True, text=True, cwd=PROJECT, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "['房', '间', '很', '干', '净', '，', '服', '务', '很', '好']" in result.stdout
    assert "'房间'" in result.stdout
    assert "AmbertTextClassifier ('bad', 'good')" in result.stdout
