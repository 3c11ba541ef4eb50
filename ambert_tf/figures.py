"""Matplotlib figures with Chinese text, even on machines without system fonts.

Matplotlib's own font has no Chinese characters. `save_figure` searches for fonts that have the characters of a figure
among the installed fonts and in the package noto-cjk-sans-otc, which the extra `demo` includes.
"""

import functools
import logging
import os
import unicodedata
import warnings
from collections.abc import Iterable
from typing import Any

from absl import logging as absl_logging

from ambert_tf.errors import InputError
from ambert_tf.outputs import atomic_path

# Chinese fonts, best first. All other installed fonts are tried after them.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Source Han Sans CN", "Noto Sans SC", "Noto Sans CJK JP",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "SimHei", "Hiragino Sans GB",
    "Droid Sans Fallback", "AR PL UMing CN", "AR PL UKai CN", "Arial Unicode MS",
)  # fmt: skip
WIDE_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC")
DEFAULT_FONT = "DejaVu Sans"  # part of matplotlib
# Part of matplotlib since 3.11. It has a box for every character, so it would hide missing characters.
_LAST_RESORT_FONT = "Last Resort"
_NORMAL_WEIGHT = 400


def new_figure(width: float, height: float) -> Any:
    """Returns an empty matplotlib figure with the given size in inches.

    Raises:
      InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("matplotlib is not installed: pip install 'ambert-tf[demo]'") from None
    # Otherwise, matplotlib warns about each word drawn in a font without the normal weight.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, output: str, dpi: int = 130, font_file: str = "") -> None:
    """Writes a figure with fonts that have its characters. A warning lists characters that no font has.

    Args:
      figure: a figure from `new_figure`.
      output: the file, whose extension determines the format.
      dpi: pixels per inch.
      font_file: a font to prefer.

    Raises:
      InputError: matplotlib cannot write this format, or `font_file` is not a font.
    """
    from matplotlib.text import Text

    labels = figure.findobj(Text)
    families, missing = font_families((label.get_text() for label in labels), font_file)
    for label in labels:
        label.set_fontfamily(families)
    if missing:
        absl_logging.warning(
            "%s: no installed font has %s, which are drawn as boxes; pip install 'ambert-tf[demo]' or apt-get install "
            "fonts-noto-cjk", output, " ".join(missing[:10]) + (" …" if len(missing) > 10 else ""),
        )  # fmt: skip
    with atomic_path(output) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # reported above, once
        try:
            figure.savefig(temporary, dpi=dpi)
        except ValueError as error:
            raise InputError(f"--output={output}: {str(error).splitlines()[0]}") from None


def font_families(texts: Iterable[str], font_file: str = "") -> tuple[list[str], list[str]]:
    """Returns the font families for drawing texts in matplotlib, and the characters that none of them has.

    Args:
      texts: the texts to draw.
      font_file: a font to prefer.

    Raises:
      InputError: `font_file` is not a font.
    """
    from matplotlib import font_manager

    missing = {ord(character) for text in texts for character in text if not character.isspace()}
    chosen = []
    if font_file:
        try:
            font_manager.fontManager.addfont(font_file)
            chosen.append((font_manager.FontProperties(fname=font_file).get_name(), font_file))
        except (OSError, RuntimeError) as error:
            raise InputError(f"--font_file={font_file}: not a readable font ({error})") from None
    chosen.append((DEFAULT_FONT, font_manager.findfont(DEFAULT_FONT)))
    missing = missing.difference(*(_characters(path) for _, path in chosen))
    for name, path in _installed_fonts() if missing else ():
        if missing & _characters(path):
            chosen.append((name, path))
            missing -= _characters(path)
        if not missing:
            break
    return [name for name, _ in chosen], sorted(map(chr, missing))


def is_wide(character: str) -> bool:
    """Returns whether a character is a full-width Chinese, Japanese or Korean character."""
    return unicodedata.name(character, "").startswith(WIDE_SCRIPTS)


def is_vertical(token: str) -> bool:
    """Returns whether a token is written vertically, with stacked characters, as a column title, like Chinese."""
    return len(token) == 1 or (bool(token) and all(is_wide(character) for character in token))


def _installed_fonts() -> list[tuple[str, str]]:
    """Returns the names and files of the installed fonts, Chinese fonts first."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    # Matplotlib caches its list of fonts, which does not contain fonts installed later.
    for path in [*font_manager.findSystemFonts(), *_packaged_fonts()]:
        if path not in known:
            try:
                manager.addfont(path)
            except (OSError, RuntimeError):
                continue
    order = {name: place for place, name in enumerate(CHINESE_FONTS)}
    entries = sorted(
        manager.ttflist, key=lambda entry: (order.get(entry.name, len(order)), entry.weight != _NORMAL_WEIGHT)
    )
    return [
        (entry.name, entry.fname)
        for entry in entries
        if _LAST_RESORT_FONT not in entry.name and os.path.exists(entry.fname)
    ]


def _packaged_fonts() -> list[str]:
    try:
        import noto_cjk_sans_otc
    except ImportError:
        return []
    return [str(noto_cjk_sans_otc.FONT_PATH)]


@functools.lru_cache(maxsize=256)
def _characters(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
