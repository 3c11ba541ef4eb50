import os
import sys

import pytest
from matplotlib import font_manager

from ambert_tf import figures
from ambert_tf.errors import InputError
from ambert_tf.figures import font_families, is_vertical, new_figure, save_figure


@pytest.fixture
def no_system_fonts(monkeypatch):
    """Leaves matplotlib with only its own fonts, as on a machine without system fonts."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_: [])


def test_latin_text_needs_only_the_default_font():
    assert font_families(["[CLS]", "plain words"]) == (["DejaVu Sans"], [])


def test_chinese_is_drawn_without_system_fonts(no_system_fonts):
    families, missing = font_families(["南京市长江大桥", "乒乓球拍"])
    assert families[0] == "DejaVu Sans" and families[1].startswith("Noto Sans CJK")
    assert missing == []


def test_chinese_pixels_differ_between_characters(no_system_fonts, tmp_path):
    """A missing glyph is the same box for every character."""
    pictures = []
    for character in "长江":
        figure = new_figure(1, 1)
        figure.text(0.5, 0.5, character)
        save_figure(figure, str(tmp_path / "a.png"))
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_one_warning_names_missing_characters_and_the_remedy(no_system_fonts, monkeypatch, tmp_path, caplog, recwarn):
    monkeypatch.setitem(sys.modules, "noto_cjk_sans_otc", None)
    figure = new_figure(1, 1)
    figure.text(0.5, 0.5, "长江 Yangtze")
    figure.suptitle("大")
    with caplog.at_level("WARNING", logger="absl"):
        save_figure(figure, str(tmp_path / "a.png"))
    (message,) = caplog.messages
    assert "no installed font has 大 江 长, which are drawn as boxes; pip install 'ambert-tf[demo]'" in message
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    assert os.path.getsize(tmp_path / "a.png") > 0


def test_font_file_comes_first():
    path = font_manager.findfont("DejaVu Serif")
    assert font_families(["abc"], path)[0] == ["DejaVu Serif", "DejaVu Sans"]


def test_invalid_font_file_is_an_error(tmp_path):
    (tmp_path / "font.ttf").write_bytes(b"none")
    with pytest.raises(InputError, match=r"--font_file=.*font\.ttf: not a readable font"):
        font_families(["a"], str(tmp_path / "font.ttf"))


def test_unknown_format_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match=r"--output=.*a\.xyz"):
        save_figure(figures.new_figure(1, 1), str(tmp_path / "a.xyz"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("token", "expected"), [("长江", True), ("a", True), ("[CLS]", False), ("长a", False)])
def test_tokens_written_vertically(token, expected):
    assert is_vertical(token) is expected
