import dataclasses

import pytest

from ambert_tf.errors import InputError
from ambert_tf.models.summary import summary
from tests.small_models import small_config


def rows(lines):
    """Returns the figures of each model: parameters, with heads, (the paper's,) GFLOP, relative to bert_fine."""
    return {
        line.split()[0]: [float(part.removesuffix("x")) for part in line.split(" O(")[0].split()[1:] if part != "M"]
        for line in lines
        if " O(" in line
    }


def test_the_papers_models():
    lines = summary(None, 512, None)
    english, chinese = rows(lines[:7]), rows(lines[7:])
    # The published figures are rounded to millions. Ours are exact.
    assert [english[name][:3] for name in ("bert_fine", "bert_coarse", "ambert")] == [
        [109.5, 110.1, 110.0], [169.1, 169.8, 170.0], [192.6, 193.3, 194.0],
    ]  # fmt: skip
    assert [chinese[name][:3] for name in ("bert_fine", "bert_coarse", "ambert")] == [
        [102.3, 102.9, 108.0], [158.1, 158.7, 165.0], [174.3, 175.0, 176.0],
    ]  # fmt: skip
    assert lines[-1].endswith("O(2 l n² d)")
    # At equal lengths, AMBERT and Combo cost twice as much. Hybrid costs four times as much for attention, and twice as
    # much for everything else.
    assert [english[name][-1] for name in ("bert_fine", "ambert", "ambert_combo")] == [1.0, 2.0, 2.0]
    layer = 2 * (4 * 768**2 + 2 * 768 * 3072) * 512
    attention = 4 * 768 * 512**2
    assert english["ambert_hybrid"][-1] == pytest.approx((2 * layer + 4 * attention) / (layer + attention), abs=0.005)
    assert english["bert_fine"][-2] == pytest.approx(12 * (layer + attention) / 1e9, abs=0.05)


def test_a_shorter_coarse_sequence_costs_less():
    assert rows(summary(None, 512, 256)[:7])["ambert"][-1] == pytest.approx(1.48, abs=0.01)


def test_a_custom_configuration(tmp_path):
    small_config().to_file(str(tmp_path / "config.json"))
    lines = summary(str(tmp_path / "config.json"), 16, 8)
    assert lines[0].endswith("config.json: 2 layers, hidden size 16, 16 fine and 8 coarse tokens per sequence")
    assert "paper " not in lines[1] and len(lines) == 7


def test_mistakes_are_named(tmp_path):
    with pytest.raises(InputError, match="--max_coarse_seq_length=600: must be from 1 to --max_seq_length=512"):
        summary(None, 512, 600)
    path = tmp_path / "config.json"
    dataclasses.replace(small_config("bert_fine"), coarse_vocab_size=0).to_file(str(path))
    with pytest.raises(InputError, match="has no coarse_vocab_size"):
        summary(str(path), 512, None)
