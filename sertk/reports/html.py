"""Pages as HTML: one file that loads nothing, runs nothing and reads well without a network."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from sertk.reports import blocks as kinds
from sertk.reports.markdown import inline
from sertk.reports.plots.inline import inline_svg

HERE = Path(__file__).parent
MARKDOWN = MarkdownIt("zero").enable(["emphasis", "escape"])  # all the markup that a text may have


def html_page(title: str, blocks: Sequence[kinds.Block]) -> str:
    """The page as HTML; whatever is text in the blocks is text in it."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = _environment().get_template("page.html.j2")
    return template.render(title=title, blocks=blocks, style=Markup(style), digest=f"sha256-{digest}")


def _environment():
    """Jinja's, which escapes every text, with what the template tells blocks apart by and renders them with."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name, kind in vars(kinds).items():
        if isinstance(kind, type):
            environment.tests[name.lower()] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters |= {"marked": _marked, "data": _data, "svg": _svg}
    return environment


def _marked(text):
    """A text of a block, its markup as elements."""
    return Markup(MARKDOWN.renderInline(inline(text)))


def _data(content, kind):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _svg(drawing):
    return Markup(inline_svg(drawing.figure, drawing.title))
