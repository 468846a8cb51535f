"""What a page is made of: blocks, which markdown.py and html.py write.

All texts show as they are, whatever their characters, but for those of markdown.Marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2  # 1 is the page's


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Listing:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left: int = 1  # columns that are aligned left; the others right


@dataclass(frozen=True)
class Picture:
    """A picture beside the page."""

    title: str
    file: str


@dataclass(frozen=True)
class Code:
    lines: list[str]


@dataclass(frozen=True)
class Drawing:
    """A figure that the page itself holds."""

    title: str
    figure: Figure


@dataclass(frozen=True)
class Image:
    """A PNG picture that the page itself holds."""

    title: str
    content: bytes


@dataclass(frozen=True)
class Sound:
    """A recording as FLAC, which is the cell of a table."""

    content: bytes


@dataclass(frozen=True)
class Folded:
    """Blocks that show when their title is clicked."""

    title: str
    blocks: list[Block]


Cell = str | int | Sound
Block = Heading | Text | Listing | Table | Picture | Code | Drawing | Image | Folded


def listed(heading: str, items: Iterable[str]) -> list[Block]:
    """A list under its heading, and nothing where there are no items."""
    items = list(items)
    return [Text(f"{heading}:"), Listing(items)] if items else []
