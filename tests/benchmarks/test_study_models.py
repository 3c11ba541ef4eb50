import json

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.task_config import SEQUENCE_LABELLING, SPANS


@pytest.fixture
def study(script, tmp_path, monkeypatch):
    """Returns a function that runs a study with the given flags, which fails at the first command that it starts."""
    module, study_jobs = script("study"), script("study_jobs")
    reviews, corpus = tmp_path / "reviews", tmp_path / "corpus.txt"
    reviews.mkdir()
    corpus.write_text("一。\n\n" * 60, encoding="utf-8")
    for split in ("train", "dev"):
        rows = [{"sentence": f"{split} {n}", "label": str(n % 2)} for n in range(20)]
        (reviews / f"{split}.json").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr(study_jobs, "run_command", lambda command: pytest.fail(f"started {command}"))
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)

    def run(*arguments):
        given = [f"--output_dir={tmp_path / 'study'}", f"--input_file={corpus}", f"--task_dirs=reviews={reviews}"]
        module.FLAGS(["study.py", *given, "--labels=10", *arguments])
        module.main([])

    return run


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--labels=30,900", r"^--labels=30,900: no task has that many training examples$"),
        ("--seeds=0", r"^--seeds=0: must be at least 1$"),
        ("--config=tinyy", r"^--config=tinyy: is neither a file nor one of the presets tiny, mini, small, base$"),
        ("--further_input_file=missing.txt", r"^--further_input_file=missing\.txt: no such file$"),
        ("--pretrained=missing", r"^--pretrained=missing: no such directory; "),
        ("--pretrained=bert_fine=ambert_tiny_zh", r"^--pretrained=bert_fine=ambert_tiny_zh: bert_fine is also the na"),
        ("--pretrained=a=ambert_tiny_zh,a=ambert_tiny_zh", r"a is also the name of another of --pretrained"),
        ("--reference=bert_fine,ambert", r"^--reference=bert_fine,ambert: unknown model; the models are bert_fine; "),
    ],
)
def test_an_invalid_flag_is_found_before_any_command(study, argument, message):
    with pytest.raises(InputError, match=message):
        study(argument)


def test_a_study_without_a_development_file_starts_no_command(study, tmp_path):
    (tmp_path / "reviews" / "dev.json").unlink()
    with pytest.raises(InputError, match=r"^--data_dir=.*reviews: has no dev\.json"):
        study()


def test_a_study_without_the_crf_package_starts_no_command(study, script, tmp_path, monkeypatch):
    entities = [{"text": "Ann came.", "entities": [{"start": 0, "end": 3, "label": "PER"}]}] * 20
    for split in ("train", "dev"):
        content = "".join(json.dumps(row) + "\n" for row in entities)
        (tmp_path / "reviews" / f"{split}.json").write_text(content, encoding="utf-8")
    monkeypatch.setattr(script("crf_baseline").importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^the CRF baseline needs the package sklearn-crfsuite$"):
        study(f"--task_dirs=entities={tmp_path / 'reviews'}")


def test_the_names_in_the_report_include_ambert_single_and_the_baselines(script):
    study_models = script("study_models")
    types = {"bert_fine": "bert_fine", "mine": "ambert", "ambert, from scratch": "ambert"}
    assert study_models.reported_names(types, [SPANS, SEQUENCE_LABELLING]) == [
        "bert_fine", "mine", "ambert, from scratch", "mine, fine alone", "ambert, from scratch, fine alone",
        "CRF over n-grams",
    ]  # fmt: skip


def test_a_pretrained_model_has_the_type_in_its_configuration(script):
    study_models = script("study_models")
    found = study_models.pretrained_models(["ambert_tiny_zh", "b=ambert_tiny_zh"], ["ambert"])
    assert found == {"ambert_tiny_zh": ("ambert_tiny_zh", "ambert"), "b": ("ambert_tiny_zh", "ambert")}


def test_files_are_named_by_absolute_paths(script, tmp_path, monkeypatch):
    """The commands of a study run in the checkout, whatever its own directory is."""
    located = script("study_models").located
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vocab.txt").touch()
    assert located("vocab.txt") == str(tmp_path / "vocab.txt")
    assert located("ambert_tiny_zh") == "ambert_tiny_zh"
    assert located(None) == ""
