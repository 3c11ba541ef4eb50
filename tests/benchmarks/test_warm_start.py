import pytest


@pytest.fixture
def warm_start(script):
    module = script("warm_start")
    module.FLAGS.seeds = 1
    return module


def test_differences_are_from_the_first_model_even_if_its_mean_is_zero(warm_start, monkeypatch, capsys):
    results = {"old": {"matthews_correlation": 0.0}, "new": {"matthews_correlation": 0.25}}
    monkeypatch.setattr(warm_start, "fine_tune", lambda task, model, seed, directory: results[model])
    warm_start.compare("cola", {"MiniLM": "old", "MiniLM, further pre-trained": "new"}, "")
    rows = [[cell.strip() for cell in line.split("|")[3:7]] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["MiniLM", "0.0", "0.00", "+0.00"], ["MiniLM, further pre-trained", "25.0", "25.00", "+25.00"]]


def test_the_model_is_named_after_its_directory(warm_start):
    assert warm_start.model_name() == "MiniLM"
    warm_start.FLAGS.model_dir = "models/bert_small/"
    assert warm_start.model_name() == "bert_small"
