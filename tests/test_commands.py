"""Every program has flags and a function, which its file and its console script call."""

import dataclasses
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest

from ambert_tf.commands import PROGRAMS

PROJECT = pathlib.Path(__file__).resolve().parent.parent
FILES = {
    "build_vocab": "data/build_vocab.py",
    "build_phrase_dictionary": "data/build_phrase_dictionary.py",
    "build_embeddings": "data/build_embeddings.py",
    "create_pretraining_data": "data/create_pretraining_data.py",
    "inspect_records": "data/inspect_records.py",
    "pretrain": "run_pretraining.py",
    "classify": "run_classifier.py",
    "squad": "run_squad.py",
    "ner": "run_ner.py",
    "convert": "convert_checkpoint.py",
    "export": "export_saved_model.py",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_a_function(name):
    assert callable(pkgutil.resolve_name(PROGRAMS[name].function))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_a_console_script(name):
    script = f'ambert-{name.replace("_", "-")} = "ambert_tf.commands:{name}"'
    assert script in (PROJECT / "pyproject.toml").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", FILES)
def test_a_file_calls_its_program(name):
    text = (PROJECT / FILES[name]).read_text(encoding="utf-8")
    assert text.endswith(f'from ambert_tf.commands import {name}\n\nif __name__ == "__main__":\n    {name}()\n')


HELP = """
import sys
from ambert_tf.commands import {name}
sys.argv = [{program!r}, "--help"]
try:
    {name}()
finally:
    assert not {{"tensorflow", "keras", "numpy"}} & set(sys.modules), "--help imports TensorFlow"
"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_shows_usage_and_flags_without_tensorflow(name):
    def shown(program):
        command = [sys.executable, "-c", HELP.format(name=name, program=program)]
        run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert run.stderr == ""
        return run.stdout

    text = shown(f"ambert-{name}")
    usage, _, flags = text.partition(f"\nambert-{name}:\n")
    # The example uses the name of the console script.
    assert re.search(rf"^    ambert-{name}\b", usage, re.MULTILINE) and f"python {FILES.get(name)}" not in usage
    settings = pkgutil.resolve_name(PROGRAMS[name].settings)
    for field in dataclasses.fields(settings):
        assert re.search(rf"^  --(\[no\])?{field.name}:", flags, re.MULTILINE), field.name
