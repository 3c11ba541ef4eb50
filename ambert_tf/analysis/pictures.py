"""Matplotlib figures whose Chinese is drawn: which installed font has the glyphs."""

import functools
import logging
import os
import unicodedata
from collections.abc import Iterable
from typing import Any

from ambert_tf.errors import InputError
from ambert_tf.files import atomic_path

# Fonts that usually draw Chinese, the better ones first; other installed fonts are tried after them.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Source Han Sans CN", "Noto Sans SC", "Noto Sans CJK JP",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "SimHei", "Hiragino Sans GB",
    "Droid Sans Fallback", "AR PL UMing CN", "AR PL UKai CN", "Arial Unicode MS",
)  # fmt: skip
WIDE_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC")


def new_figure(width: float, height: float) -> Any:
    """Returns an empty matplotlib figure, sizes in inches.

    Raises:
      InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("matplotlib is missing: pip install matplotlib") from None
    # Else each word drawn in a font that lacks the normal weight is a warning.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, output: str, dpi: int = 130) -> None:
    """Writes a figure; the ending of `output` says the format.

    Raises:
      InputError: matplotlib cannot write such a file.
    """
    with atomic_path(output) as temporary:
        try:
            figure.savefig(temporary, dpi=dpi)
        except ValueError as error:
            raise InputError(f"--output={output}: {str(error).splitlines()[0]}") from None


def font_families(texts: Iterable[str], font_file: str = "") -> list[str]:
    """Returns the font families with which matplotlib draws some texts, for `family=`.

    Args:
      texts: whatever is to be drawn.
      font_file: a font of the user's own, which comes first.

    Raises:
      InputError: no installed font draws their Chinese, or `font_file` is no font.
    """
    from matplotlib import font_manager

    needed = {ord(character) for text in texts for character in text if not character.isspace()}
    chosen = []
    if font_file:
        try:
            font_manager.fontManager.addfont(font_file)
            chosen.append((font_manager.FontProperties(fname=font_file).get_name(), font_file))
        except (OSError, RuntimeError) as error:
            raise InputError(f"--font_file={font_file}: is no font that can be read ({error})") from None
    chosen.append(("DejaVu Sans", font_manager.findfont("DejaVu Sans")))
    missing = needed.difference(*(_glyphs(path) for _, path in chosen))
    for name, path in _candidates() if _wide(missing) else ():
        if _wide(missing) & _glyphs(path):
            chosen.append((name, path))
            missing -= _glyphs(path)
        if not _wide(missing):
            break
    if undrawn := "".join(map(chr, sorted(_wide(missing))[:8])):
        raise InputError(
            f"no installed font draws {undrawn!r}: apt-get install fonts-noto-cjk (or fonts-wqy-zenhei), name a "
            "font by --font_file, or write an .html page, which the browser draws with its own fonts"
        )
    return [name for name, _ in chosen]


def is_wide(character: str) -> bool:
    """Returns whether a character is a Chinese, Japanese or Korean one, of full width."""
    return unicodedata.name(character, "").startswith(WIDE_SCRIPTS)


def stands(token: str) -> bool:
    """Returns whether a token is written downwards, character under character, as Chinese may be."""
    return len(token) == 1 or (bool(token) and all(is_wide(character) for character in token))


def _wide(characters: Iterable[int]) -> set[int]:
    return {character for character in characters if is_wide(chr(character))}


def _candidates() -> list[tuple[str, str]]:
    """Returns name and file of the installed fonts, those that usually draw Chinese first."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    # Matplotlib's list is from the day it was first used; a font may have been installed since.
    for path in font_manager.findSystemFonts():
        if path not in known:
            try:
                manager.addfont(path)
            except (OSError, RuntimeError):
                continue
    order = {name: place for place, name in enumerate(CHINESE_FONTS)}
    entries = sorted(manager.ttflist, key=lambda entry: (order.get(entry.name, len(order)), entry.weight != 400))
    return [(entry.name, entry.fname) for entry in entries if os.path.exists(entry.fname)]


@functools.lru_cache(maxsize=256)
def _glyphs(path: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
