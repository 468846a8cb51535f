"""Pages of blocks as HTML: one file that loads nothing, runs nothing and reads well without a network."""

import base64
import hashlib
import html

from markdown_it import MarkdownIt

from sertk.reports.blocks import Code, Drawing, Folded, Heading, Image, Listing, Sound, Table, Text
from sertk.reports.markdown import inline
from sertk.reports.plots.inline import inline_svg

STYLE = """
:root { color-scheme: light dark; --line: #d0d0d0; --shade: #f4f4f4; --paper: #fff; --ink: #1a1a1a }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --shade: #222; --paper: #000; --ink: #ddd }
  svg, img { filter: invert(1) hue-rotate(180deg) }
}
body { margin: 0 auto; max-width: 76rem; padding: 0 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 .5rem }
.box { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-size: .8125rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal }
th, td { border: 1px solid var(--line); padding: .25rem .375rem; text-align: right; vertical-align: middle }
th { background: var(--shade) }
th.left, td.left { text-align: left }
td { white-space: nowrap }
td.long { white-space: normal; min-width: 12rem }
details { border: 1px solid var(--line); border-radius: .375rem; margin: .75rem 0; padding: 0 1rem }
summary { cursor: pointer; font-weight: 600; margin: 0 -1rem; padding: .5rem 1rem; background: var(--shade) }
figure { margin: 1rem 0; overflow-x: auto }
svg, img { background: #fff; height: auto; max-width: 100%; min-width: 30rem }
svg text { font-family: "DejaVu Sans", Verdana, sans-serif }
pre { background: var(--shade); overflow-x: auto; padding: .75rem; overflow-wrap: normal }
audio { display: block; width: 16rem; height: 2rem }
"""
POLICY = "default-src 'none'; style-src '{}'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
MARKDOWN = MarkdownIt("zero").enable(["emphasis", "escape"])  # all the markup that a text may have
LONG = 40  # characters from which on a cell's text may be broken


def html_page(title, blocks):
    """The page as HTML; whatever is text in the blocks is text in it."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = POLICY.format(f"sha256-{digest}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{_html(blocks)}</body>\n</html>\n"
    )


def _html(blocks):
    return "".join(_HTML[type(block)](block) + "\n" for block in blocks)


def _marked(text):
    """A text of a block, its markup as elements."""
    return MARKDOWN.renderInline(inline(text))


def _table(table):
    head = "".join(_cell("th", value, number < table.left) for number, value in enumerate(table.header))
    rows = ("".join(_cell("td", value, number < table.left) for number, value in enumerate(row)) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return (
        '<div class="box" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>"
    )


def _cell(tag, value, left):
    if isinstance(value, Sound):
        content = f'<audio controls preload="metadata" src="{_data("audio/flac", value.content)}"></audio>'
    else:
        content = _marked(value)
    classes = ["left"] * left + ["long"] * (tag == "td" and len(str(value)) > LONG and isinstance(value, str))
    return f'<{tag} class="{" ".join(classes)}">{content}</{tag}>' if classes else f"<{tag}>{content}</{tag}>"


def _figure(picture):
    return f'<figure class="box">{picture}</figure>'


def _image(image):
    return _figure(f'<img alt="{html.escape(image.title)}" src="{_data("image/png", image.content)}">')


def _data(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


_HTML = {
    Heading: lambda block: f"<h{block.level}>{_marked(block.text)}</h{block.level}>",
    Text: lambda block: f"<p>{_marked(block.text)}</p>",
    Listing: lambda block: "<ul>" + "".join(f"<li>{_marked(item)}</li>" for item in block.items) + "</ul>",
    Table: _table,
    Code: lambda block: f'<pre tabindex="0">{html.escape(chr(10).join(block.lines))}</pre>',
    Drawing: lambda block: _figure(inline_svg(block.figure, block.title)),
    Image: _image,
    Folded: lambda block: f"<details><summary>{_marked(block.title)}</summary>\n{_html(block.blocks)}</details>",
}
