"""Every command in the documentation exists and has the flags that the documentation gives it."""

import glob
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENTS = sorted(
    os.path.relpath(name, ROOT)
    for pattern in ("*.md", "docs/*.md")
    for name in glob.glob(os.path.join(ROOT, pattern))
)
COMMAND = re.compile(r"python (-m [\w.]+|[\w/]+\.py)([^\n`|]*)")
# The value of --beam_options contains flags of the pipeline.
BEAM_OPTIONS = re.compile(r"--beam_options=\S+")
FLAG = re.compile(r"(?<![\w-])--(\w+)")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")
OWN_PACKAGE = "ambert_tf."


def commands():
    """Returns the documented flags of each program, with the document that has each flag."""
    found = {}
    for document in DOCUMENTS:
        with open(os.path.join(ROOT, document), encoding="utf-8") as file:
            text = BEAM_OPTIONS.sub("--beam_options", file.read().replace("\\\n", " "))
        for program, arguments in COMMAND.findall(text):
            if program.startswith("-m ") and not program.startswith("-m " + OWN_PACKAGE):
                continue
            flags = found.setdefault(program, {})
            for flag in FLAG.findall(arguments):
                flags.setdefault(flag, document)
    return found


PROGRAMS = commands()


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_documented_flags_exist(program):
    # absl's --help omits flags of other modules. The examples use argparse, which has only --help.
    help_flag = "--help" if program.startswith("examples/") else "--helpfull"
    command = [sys.executable, *program.split(), help_flag]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    known = set(re.findall(r"^\s+-{1,2}(?:\w,--)?(?:\[no\])?(\w+)", run.stdout, re.MULTILINE))
    known |= {"no" + flag for flag in re.findall(r"--\[no\](\w+)", run.stdout)}
    unknown = {flag: document for flag, document in PROGRAMS[program].items() if flag not in known}
    assert not unknown, run.stderr[-500:]


def test_links_between_documents_work():
    broken = []
    for document in DOCUMENTS:
        with open(os.path.join(ROOT, document), encoding="utf-8") as file:
            targets = LINK.findall(file.read())
        broken += [t for t in targets if not os.path.exists(os.path.join(ROOT, os.path.dirname(document), t))]
    assert not broken
