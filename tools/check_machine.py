"""Checks that this machine meets the requirements of set-up, before anything is installed."""

import importlib.util
import os
import shutil
import sys
import sysconfig


def missing_parts():
    """Returns one line for each missing requirement, with how to install it."""
    version = sys.version_info[:2]
    if not (3, 10) <= version <= (3, 13):
        return [
            f"Python 3.10 to 3.13 is needed, but this is {version[0]}.{version[1]} ({sys.executable}); "
            "choose another one: make setup PYTHON=python3.12"
        ]
    missing = []
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        missing.append("Python's venv module is missing (Debian: apt-get install python3-venv)")
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        missing.append(f"{header} is missing; kenlm's module needs it (Debian: apt-get install python3-dev)")
    if shutil.which("g++") is None:
        missing.append("g++ is missing, which builds KenLM (Debian: apt-get install g++)")
    return missing


if __name__ == "__main__":
    problems = missing_parts()
    for problem in problems:
        print("error: " + problem, file=sys.stderr)
    sys.exit(1 if problems else 0)
