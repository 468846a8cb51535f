"""Fonts for what users wrote, in any script, and code points in the place of what no font has."""

import functools
import logging
import re
from collections.abc import Iterable

from matplotlib.font_manager import FontProperties, fontManager, get_font

FIRST = "DejaVu Sans"  # comes with matplotlib
NO_LETTERS = re.compile("last.?resort|blank", re.IGNORECASE)  # families whose glyphs are boxes, or nothing

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # that a family has no regular weight is no news


def choose_fonts(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Font families that together have the most of some characters, and the characters that no font has.

    A family takes what those before it lack; the first has Latin, Greek, Cyrillic and some more.
    """
    families, missing = [FIRST], {each for each in characters if ord(each) not in _glyphs_of(FIRST)}
    while missing:
        most = max(_other_families(), key=lambda family: len(_had_by(family, missing)), default=FIRST)
        if not _had_by(most, missing):
            break
        families.append(most)
        missing -= _had_by(most, missing)
    return families, missing


def spelled_out(text: str, characters: Iterable[str]) -> str:
    """The text with code points, such as U+4E2D, in the place of some characters."""
    return text.translate({ord(each): f"U+{ord(each):04X}" for each in characters})


def _other_families():
    names = {entry.name for entry in fontManager.ttflist if not NO_LETTERS.search(entry.name)}
    return sorted(names - {FIRST})


def _had_by(family, characters):
    glyphs = _glyphs_of(family)
    return {each for each in characters if ord(each) in glyphs}


@functools.cache
def _glyphs_of(family):
    """The code points that the font has which matplotlib takes for the family."""
    font = fontManager.findfont(FontProperties(family=[family]), fallback_to_default=False)
    return frozenset(get_font(font).get_charmap())
