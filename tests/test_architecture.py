"""The rules of CONTRIBUTING.md that can be checked in the source: import directions and the record schema."""

import ast
import pathlib
import re
import sys

import pytest

PROJECT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = PROJECT / "ambert_tf"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up. A folder imports from itself and from the folders above it in this list.
LAYERS = [
    "import_hooks",
    "startup",
    "registration",
    "errors",
    "files",
    "outputs",
    "flags",
    "figures",
    "presets",
    "tokenization",
    "corpus",
    "vocabulary",
    "pretraining_data",
    "models",
    "training",
    "conversion",
    "tasks",
    "pretraining",
    "finetuning",
    "serving",
    "analysis",
    "commands",
]
HEIGHT = {folder: height for height, folder in enumerate(LAYERS)}
HEIGHT["__init__"] = len(LAYERS)  # the package's own functions, such as `ambert_tf.load`

# Names that only the file with the TFRecord schema may use.
RECORD_NAMES = {
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "RaggedFeature",
    "SparseFeature",
    "VarLenFeature",
    "parse_example",
    "parse_sequence_example",
    "parse_single_example",
    "parse_single_sequence_example",
}
RECORD_PROTOS = {"Example", "Feature", "Features", "Int64List", "SequenceExample"}

# Import names that differ from the names of their distributions.
DISTRIBUTIONS = {"absl": "absl-py", "sklearn": "scikit-learn", "tensorflow_serving": "tensorflow-serving-api"}


def folder_of(path):
    """Returns the folder of a module: the first part of its path below ambert_tf."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path, tree):
    """Returns the full names of the modules and objects that a module imports anywhere."""
    package = (PROJECT / path).relative_to(PROJECT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield ".".join([*base, *filter(None, [node.module]), alias.name])


def wrong_imports(path, tree):
    """Returns a module's imports from folders that are not below its own."""
    folder = folder_of(path)
    wrong = []
    for name in imported_names(path, tree):
        parts = name.split(".")
        if parts[0] != "ambert_tf" or len(parts) < 2 or parts[1] not in HEIGHT:
            continue
        if parts[1] != folder and HEIGHT[parts[1]] >= HEIGHT.get(folder, -1):
            wrong.append(name)
    return wrong


def record_names(tree):
    """Returns the names in a module that build or parse records."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parent = node.value.attr if isinstance(node.value, ast.Attribute) else ""
            if node.attr in RECORD_NAMES or (node.attr in RECORD_PROTOS and parent == "train"):
                found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names if alias.name in RECORD_NAMES)
    return found


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def declared(part):
    """Returns the names of the distributions in a list of pyproject.toml, such as `dependencies`."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    body = re.search(rf"^{part} = \[(.*?)\]$", text, flags=re.MULTILINE | re.DOTALL).group(1)
    return set(re.findall(r'"([A-Za-z0-9-]+)', body))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
class TestModule:
    def test_is_in_a_known_folder(self, path):
        assert folder_of(path) in {*HEIGHT, "__init__"}

    def test_imports_downwards_only(self, path):
        assert wrong_imports(path, parse(path)) == []

    def test_leaves_the_record_to_one_file(self, path):
        if path != PACKAGE / "pretraining_data" / "examples.py":
            assert record_names(parse(path)) == set()

    def test_imports_only_what_is_declared(self, path):
        tree = parse(path)
        ours_and_pythons = {"ambert_tf", *sys.stdlib_module_names}

        def distributions(nodes):
            tops = {name.split(".")[0] for node in nodes for name in imported_names(path, node)}
            return {DISTRIBUTIONS.get(top, top.replace("_", "-")) for top in tops - ours_and_pythons}

        at_the_top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        # Extras may be missing, so they, and the modules that need them, are imported where they are used.
        beam = PACKAGE / "pretraining_data" / "beam_runner.py"
        assert distributions(at_the_top) <= declared("dependencies") | (declared("beam") if path == beam else set())
        top_names = {name for node in at_the_top for name in imported_names(path, node)}
        assert not any(name.startswith("ambert_tf.pretraining_data.beam_runner") for name in top_names)
        extras = set().union(*map(declared, ("beam", "demo", "interop", "page", "pytorch", "serving")))
        assert distributions([tree]) <= declared("dependencies") | extras


def test_no_two_modules_share_a_name():
    names = [path.name for path in MODULES if path.name != "__init__.py"]
    assert sorted(names) == sorted(set(names))


def test_one_file_defines_the_record():
    assert record_names(parse(PACKAGE / "pretraining_data" / "examples.py"))


@pytest.mark.parametrize(
    ("place", "line", "wrong"),
    [
        ("models/ambert_backbone.py", "from ambert_tf.tokenization import tokenizer", []),
        ("models/ambert_backbone.py", "from ambert_tf.models.config import ModelConfig", []),
        ("models/ambert_backbone.py", "from .config import ModelConfig", []),
        ("models/ambert_backbone.py", "from ambert_tf.training import loop", ["ambert_tf.training.loop"]),
        ("models/ambert_backbone.py", "def f():\n  import ambert_tf.tasks.clue", ["ambert_tf.tasks.clue"]),
        ("models/ambert_backbone.py", "from ..training import loop", ["ambert_tf.training.loop"]),
        ("models/ambert_backbone.py", "from ambert_tf import training", ["ambert_tf.training"]),
        ("serving/text.py", "from ambert_tf.analysis import maps", ["ambert_tf.analysis.maps"]),
        ("files.py", "from ambert_tf.errors import InputError", []),
        ("errors.py", "from ambert_tf import files", ["ambert_tf.files"]),
    ],
)
def test_the_import_rule_itself(place, line, wrong):
    assert wrong_imports(PACKAGE / place, ast.parse(line)) == wrong


@pytest.mark.parametrize("folder", ["benchmarks", "demo"])
def test_scripts_import_modules_that_exist(folder):
    scripts = sorted((PROJECT / folder).glob("*.py"))
    own = {path.stem for directory in ("benchmarks", "demo") for path in (PROJECT / directory).glob("*.py")}
    parts = ("dependencies", "beam", "demo", "dev", "interop", "page", "peers", "serving")
    packages = set().union(*map(declared, parts))
    # `tokenization` is in a checkout of google-research/bert.
    known = {"ambert_tf", "tests", "tokenization", *sys.stdlib_module_names, *own}
    for path in scripts:
        tops = {name.split(".")[0] for name in imported_names(path, parse(path))} - known
        assert {DISTRIBUTIONS.get(top, top.replace("_", "-")) for top in tops} <= packages, path
