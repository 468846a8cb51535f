"""A page as a list of blocks, which are written as Markdown here and as HTML in html.py.

The texts of all blocks are Markdown's inline markup as far as **strong**, *emphasis* and \\* (a star) go.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2  # 1 is the page's


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Listing:
    items: list[str]


@dataclass(frozen=True)
class Table:
    header: list
    rows: list[list]
    left: int = 1  # columns that are aligned left; the others right


@dataclass(frozen=True)
class Picture:
    """A picture beside the page."""

    title: str
    file: str


@dataclass(frozen=True)
class Code:
    lines: list[str]


def listed(heading, items):
    """A list under its heading, and nothing where there are no items."""
    return [Text(f"{heading}:"), Listing(list(items))] if items else []


def markdown(blocks):
    """The page as Markdown."""
    return "\n".join(_MARKDOWN[type(block)](block) for block in blocks)


def markdown_table(header, rows, left=1):
    rule = ["-" if number < left else "-:" for number in range(len(header))]
    lines = [[_cell(value) for value in row] for row in [header, *rows]]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value):
    return " ".join(str(value).split()).replace("|", "\\|")


_MARKDOWN = {
    Heading: lambda block: f"{'#' * block.level} {block.text}\n",
    Text: lambda block: f"{block.text}\n",
    Listing: lambda block: "".join(f"- {item}\n" for item in block.items),
    Table: lambda block: markdown_table(block.header, block.rows, block.left),
    Picture: lambda block: f"![{block.title}]({block.file})\n",
    Code: lambda block: "````\n" + "\n".join(block.lines) + "\n````\n",
}
