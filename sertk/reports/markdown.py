"""Pages as Markdown. A text shows as it is, whatever its characters; only one that is Marked has markup."""

import re
from collections.abc import Iterable, Sequence

from sertk.core.messages import shown
from sertk.reports.blocks import Block, Code, Heading, Listing, Picture, Table, Text

MARKUP = re.compile(  # what would begin markup anywhere in a line; what could only end it is left as it is
    r"""
    \\ (?= [!-/:-@\[-`{-~] | $ )                # an escape
    | `+                                        # code
    | \*+ (?= [^\s*!-/:-@\[-`{-~] )             # emphasis, before a letter
    | (?<! [^\W_] ) (?<! \* ) \*+ (?= [^\s*] )  # emphasis, after no letter
    | (?<! \w ) _+ (?= [^\s_] )                 # emphasis, which is none inside a word
    | ~~+                                       # a line through the text
    | < (?= \S )                                # an element
    | & (?= \#? \w+ ; )                         # a character's name
    | \] (?= \( )                               # a link
    | \$ (?= [^$]+ \$ )                         # a formula, on some sites
    """,
    re.VERBOSE,
)
START = re.compile(  # what would begin something else than a paragraph; a list's number stands before its mark
    r"""
    ^ ( \d{1,9} (?= [.)] (\s|$) )
      | (?= [-+*] (\s|$)            # a list
          | \#{1,6} (\s|$)          # a heading
          | >                       # a quotation
          | [-*_] [-*_\s]* $        # a rule
          | \[ [^\]]+ \] :          # the address of links
        )
      )
    """,
    re.VERBOSE,
)


class Marked(str):
    """A text with Markdown's **strong** and *emphasis*; what is put into it shows as it is unless it is Marked too."""

    def format(self, *values: object, **named: object) -> "Marked":
        return Marked(str.format(self, *map(inline, values), **{name: inline(value) for name, value in named.items()}))

    def join(self, texts: Iterable[str]) -> "Marked":
        return Marked(str.join(self, map(inline, texts)))


def inline(text: object) -> str:
    """A text, or anything that has one, as a line of Markdown inside another."""
    line = shown(" ".join(str(text).split()))
    return line if isinstance(text, Marked) else MARKUP.sub(_escaped, line)


def markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown."""
    return "\n".join(_MARKDOWN[type(block)](block) for block in blocks)


def _escaped(match):
    return "".join(f"\\{character}" for character in match[0])


def _line(text):
    return START.sub(r"\1\\", inline(text))


def _heading(block):
    text = re.sub(r"(?<!\S)(#+)$", r"\\\1", inline(block.text))
    return f"{'#' * block.level} {text}\n"


def _table(block):
    rule = ["-" if number < block.left else "-:" for number in range(len(block.header))]
    lines = [[inline(value).replace("|", "\\|") for value in row] for row in [block.header, *block.rows]]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _code(block):
    text = "\n".join(block.lines)
    fence = "`" * max([4, *(1 + len(run) for run in re.findall("`+", text))])
    return f"{fence}\n{text}\n{fence}\n"


_MARKDOWN = {
    Heading: _heading,
    Text: lambda block: f"{_line(block.text)}\n",
    Listing: lambda block: "".join(f"- {_line(item)}\n" for item in block.items),
    Table: _table,
    Picture: lambda block: f"![{inline(block.title)}]({block.file})\n",
    Code: _code,
}
