"""Every command in the documentation exists and has the documented flags."""

import ast
import glob
import os
import re
import runpy
import subprocess
import sys

import pytest

from ambert_tf.commands import PROGRAMS as DECLARED

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENTS = sorted(
    os.path.relpath(name, ROOT)
    for pattern in ("*.md", "docs/*.md")
    for name in glob.glob(os.path.join(ROOT, pattern))
)
COMMAND = re.compile(r"python (-m [\w.]+|[\w/]+\.py)([^\n`|]*)")
# The values of these contain flags of the pipeline or of other programs.
PASSED_ON = re.compile(r"--(beam_options|pretraining_flags|fine_tuning_flags)=\S+")
FLAG = re.compile(r"(?<![\w-])--(\w+)")
LINK = re.compile(r"\]\(([\w./-]*)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE_SCRIPT = re.compile(r"`(ambert-(?!tf)[a-z-]+)")
OWN_PACKAGE = "ambert_tf."


def read(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as file:
        return file.read()


def commands():
    """Returns the documented flags of each program, with the document that has each flag."""
    found = {}
    for document in DOCUMENTS:
        text = PASSED_ON.sub(r"--\1", read(document).replace("\\\n", " "))
        for program, arguments in COMMAND.findall(text):
            if program.startswith("-m ") and not program.startswith("-m " + OWN_PACKAGE):
                continue
            flags = found.setdefault(program, {})
            for flag in FLAG.findall(arguments):
                flags.setdefault(flag, document)
    return found


PROGRAMS = commands()
MODULES = {f"-m {program.function.partition(':')[0]}": name for name, program in DECLARED.items()}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_documented_flags_exist(program, monkeypatch, capsys):
    if program.startswith("examples/"):
        # These use argparse, which leaves nothing behind in this process, where TensorFlow is imported already.
        monkeypatch.setattr(sys, "argv", [program, "--help"])
        with pytest.raises(SystemExit):
            runpy.run_path(os.path.join(ROOT, program), run_name="__main__")
        printed, errors = capsys.readouterr()
    else:
        # absl's --help omits flags of other modules.
        command = [sys.executable, *program.split(), "--helpfull"]
        if program in MODULES:
            # The console script of the module has the same settings, and --help does not import TensorFlow.
            name = MODULES[program]
            command = [sys.executable, "-c", f"from ambert_tf.commands import {name}; {name}()", "--helpfull"]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        printed, errors = run.stdout, run.stderr
    known = set(re.findall(r"^\s+-{1,2}(?:\w,--)?(?:\[no\])?(\w+)", printed, re.MULTILINE))
    known |= {"no" + flag for flag in re.findall(r"--\[no\](\w+)", printed)}
    unknown = {flag: document for flag, document in PROGRAMS[program].items() if flag not in known}
    assert not unknown, errors[-500:]


@pytest.mark.parametrize("program", sorted(PROGRAMS.keys() & MODULES.keys()))
def test_modules_run_their_console_scripts(program):
    declared = DECLARED[MODULES[program]]
    settings, function = (value.partition(":")[2] for value in (declared.settings, declared.function))
    source = read(program.removeprefix("-m ").replace(".", "/") + ".py")
    assert source.endswith(f'if __name__ == "__main__":\n    run_program({settings}, {function})\n')


def anchors(document):
    """Returns the anchors that GitHub generates for the headings of a document."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(read(document))}


def test_links_between_documents_work():
    broken = []
    for document in DOCUMENTS:
        for path, anchor in LINK.findall(read(document)):
            target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
            if not os.path.exists(os.path.join(ROOT, target)) or (anchor and anchor not in anchors(target)):
                broken.append((document, path, anchor))
    assert not broken


def test_documented_console_scripts_exist():
    declared = set(re.findall(r"^(ambert-[a-z-]+) = ", read("pyproject.toml"), re.MULTILINE))
    documented = {name for document in DOCUMENTS for name in CONSOLE_SCRIPT.findall(read(document))}
    assert documented == declared


def top_level_names(module):
    """Returns the names that a module of the package defines or imports, without importing it."""
    path = os.path.join(ROOT, *module.split("."))
    with open(path + ".py" if os.path.exists(path + ".py") else os.path.join(path, "__init__.py")) as file:
        tree = ast.parse(file.read())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if PYTHON_BLOCK.search(read(name))])
def test_python_examples_import_existing_names(document):
    for block in PYTHON_BLOCK.findall(read(document)):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(OWN_PACKAGE):
                assert {alias.name for alias in node.names} <= top_level_names(node.module)
