"""Every command in the documentation is one that exists, with flags that it has."""

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
# What stands behind --beam_options is the pipeline's.
BEAM_OPTIONS = re.compile(r"--beam_options=\S+")
FLAG = re.compile(r"(?<![\w-])--(\w+)")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")
OWN_PACKAGE = "ambert_tf."


def commands():
    """Returns the flags that the documents give each program, with the documents they are in."""
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
def test_a_command_has_the_flags_that_documents_give_it(program):
    # absl's --help leaves out flags of other modules; examples use argparse, which only has --help.
    help_flag = "--help" if program.startswith("examples/") else "--helpfull"
    command = [sys.executable, *program.split(), help_flag]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    known = set(re.findall(r"^\s+-{1,2}(?:\w,--)?(?:\[no\])?(\w+)", run.stdout, re.MULTILINE))
    known |= {"no" + flag for flag in re.findall(r"--\[no\](\w+)", run.stdout)}
    unknown = {flag: document for flag, document in PROGRAMS[program].items() if flag not in known}
    assert not unknown, run.stderr[-500:]


def test_links_between_documents_lead_somewhere():
    broken = []
    for document in DOCUMENTS:
        with open(os.path.join(ROOT, document), encoding="utf-8") as file:
            targets = LINK.findall(file.read())
        broken += [t for t in targets if not os.path.exists(os.path.join(ROOT, os.path.dirname(document), t))]
    assert not broken
