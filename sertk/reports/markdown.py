"""Pages as Markdown."""

from sertk.reports.blocks import Code, Heading, Listing, Picture, Table, Text


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
