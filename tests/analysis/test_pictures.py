import pytest

from ambert_tf.analysis import pictures
from ambert_tf.analysis.pictures import font_families, stands
from ambert_tf.errors import InputError


def test_latin_text_needs_no_other_font():
    assert font_families(["[CLS]", "plain words"]) == ["DejaVu Sans"]


def test_chinese_without_a_font_names_the_package(monkeypatch):
    monkeypatch.setattr(pictures, "_candidates", list)
    with pytest.raises(InputError, match="no installed font draws '中': apt-get install fonts-noto-cjk"):
        font_families(["中"])


def test_a_font_file_that_is_none(tmp_path):
    (tmp_path / "font.ttf").write_bytes(b"none")
    with pytest.raises(InputError, match=r"--font_file=.*font\.ttf: is no font"):
        font_families(["a"], str(tmp_path / "font.ttf"))


@pytest.mark.parametrize(("token", "answer"), [("长江", True), ("a", True), ("[CLS]", False), ("长a", False)])
def test_what_is_written_downwards(token, answer):
    assert stands(token) is answer
