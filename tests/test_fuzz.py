"""Whatever the flags and files, the only error is a one-line InputError.

The flags of every program are fuzzed. Each program also runs on files and directories of garbage instead of its input.
The examples are the same in every run. FUZZ_EXAMPLES=1000 tries that many random examples.
"""

import dataclasses
import os
import pkgutil
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ambert_tf.commands import PROGRAMS
from ambert_tf.errors import InputError, one_line
from ambert_tf.flags import check_text
from ambert_tf.tasks.registry import TASKS

DERANDOMIZE = "FUZZ_EXAMPLES" not in os.environ
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 15))
SLOW = list(HealthCheck)
NUMBERS = st.sampled_from([-(2**64), -1, 0, 1, 2, 7, 8, 2**31, 2**63, 10**30]) | st.integers(-(2**70), 2**70)
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 1e-300, 1e300]) | st.floats()
TEXTS = st.sampled_from(["", " ", ",", "/", "a/", "..", "*", "[", "--x", "\ud83d", "好", "a" * 5000]) | st.text()
SETTINGS = {name: pkgutil.resolve_name(program.settings) for name, program in PROGRAMS.items()}
# Without these, validation would end early.
ALWAYS = ("input_file", "output_file", "output_dir", "tokenizer_dir", "model_dir", "export_dir", "input", "output")
REQUIRED = {
    "build_vocab": {"language": "en", "phrases_file": "x"},  # Chinese takes seconds
    "convert": {"from_format": "google_bert", "to_format": "ambert"},
    "classify": {"task_name": "sentence", "do_eval": True},
    "squad": {"task_name": "spans", "do_eval": True},
    "build_phrase_dictionary": {"memory": "100M"},
}


def values_of(field, hint):
    """Returns a strategy for the values that a field may get from a flag or a caller in Python."""
    if typing.get_origin(hint) is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    options = typing.get_args(hint) or (hint,)
    strategies = {bool: st.booleans(), int: NUMBERS, float: FLOATS, str: TEXTS, type(None): st.none()}
    if field.metadata["choices"]:
        strategies[str] = st.sampled_from(field.metadata["choices"]) | TEXTS
    return st.one_of(*(strategies[option] for option in options))


def settings_of(name):
    """Returns a strategy for a program's settings, in which most fields have their defaults."""
    hints = typing.get_type_hints(SETTINGS[name])
    fields = [field for field in dataclasses.fields(SETTINGS[name]) if "help" in field.metadata]
    optional = {field.name: values_of(field, hints[field.name]) for field in fields}
    given_anyway = {field.name: "x" for field in fields if field.name in ALWAYS} | REQUIRED.get(name, {})
    for field in fields:
        if field.name in given_anyway and isinstance(field.default, tuple):
            given_anyway[field.name] = ("x",)
    return st.fixed_dictionaries({}, optional=optional).map(lambda values: SETTINGS[name](**{**given_anyway, **values}))


@pytest.mark.parametrize("name", PROGRAMS)
def test_validation_raises_nothing_but_an_input_error(name):
    @settings(max_examples=3 * EXAMPLES, derandomize=DERANDOMIZE, deadline=None, suppress_health_check=SLOW)
    @given(settings_of(name))
    def validate(chosen):
        try:
            check_text(chosen)
            if hasattr(chosen, "for_task"):
                chosen = chosen.for_task(TASKS["tnews"], None, False)
            chosen.validate()
        except InputError as error:
            assert one_line(error)

    validate()


GARBAGE = {
    "empty": b"",
    "bytes": bytes(range(256)) * 8,
    "text": "一句话。\n\n另一句话。\n".encode(),
    "binary_text": b"caf\xe9\n\xff\xfe\x00\n",
    "gzip.gz": b"\x1f\x8b\x08\x00broken",
    "record": b"\x05\0\0\0\0\0\0\0\x01\x02\x03\x04hello\x01\x02\x03\x04",
    "object.json": b'{"a": "\\ud83d", "sentence": 1, "files": 3, "step": "x", "format_version": []}\n',
    "list.json": b"[1, [2], null]\n",
    "deep.json": b"[" * 100_000,
    "surrogate.json": b'{"sentence": "\\ud83d", "label": "\\udc00"}\n' * 3,
    "table.tsv": b"a\tb\nc\n\x00\td\n",
}
# Names that programs look for in a directory.
IN_DIRECTORY = (
    "config.json", "task.json", "tokenizer.json", "stats.json", "metrics.jsonl", "eval_results.json", "saved_model.pb",
    "checkpoint", "train.json", "dev.json", "bert_config.json", "vocab.txt", "fine_vocab.txt", "coarse_vocab.txt",
    "model.safetensors", "tokenizer_config.json", "export.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def garbage(tmp_path_factory):
    """Returns the paths of garbage files, and of directories in which every file that programs expect is garbage."""
    directory = tmp_path_factory.mktemp("garbage")
    paths = ["/nowhere/file", str(directory)]
    for name, content in GARBAGE.items():
        (directory / name).write_bytes(content)
        paths.append(str(directory / name))
        folder = directory / f"directory_{name}"
        folder.mkdir()
        for inside in IN_DIRECTORY:
            (folder / inside).write_bytes(content)
        paths.append(str(folder))
    return paths


INPUTS = (
    "input", "input_file", "eval_input_file", "tokenizer_dir", "data_dir", "train_file", "init_checkpoint", "config",
    "model_dir", "run_dirs", "saved_model", "phrases_file", "fine_vocab_file", "user_dict", "task_file", "check_file",
    "vocab_file", "bert_config_file", "input_tfds",
)  # fmt: skip
# The page serves until it is stopped.
RUN = [name for name in PROGRAMS if name not in ("page",)]


@pytest.mark.parametrize("name", RUN)
def test_a_program_on_garbage_raises_nothing_but_an_input_error(name, garbage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = pkgutil.resolve_name(PROGRAMS[name].function)
    fields = {field.name: field for field in dataclasses.fields(SETTINGS[name])}
    inputs = [field for field in INPUTS if field in fields]
    outputs = {field: str(tmp_path / "out") for field in fields if field.startswith(("output", "export_dir"))}

    @settings(max_examples=EXAMPLES, derandomize=DERANDOMIZE, deadline=None, suppress_health_check=SLOW)
    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(inputs, st.sampled_from(garbage))))
    def run(chosen):
        for field in chosen:
            if isinstance(fields[field].default, tuple):
                chosen[field] = (chosen[field],)
        try:
            program(SETTINGS[name](**{**outputs, **REQUIRED.get(name, {}), **chosen}))
        except InputError as error:
            assert one_line(error)

    run()
