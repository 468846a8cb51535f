"""Lines on a terminal and in log files; names that others gave may hold what would move its cursor, or end a line."""

import logging
import os
import re
import sys

from sertk.core.files import PathLike

# Control characters, ends of lines, marks that turn the direction of writing, and bytes that are no UTF-8
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

LIST_ITEM = "\n  "
LONGEST = 900  # characters of a line that somebody reads


def shown(text: PathLike) -> str:
    r"""A path or a message as text that any terminal and file can hold, on one line: `\x0a` stands for a newline."""
    return UNSEEN.sub(_escaped, os.fspath(text))


def in_lines(message: str) -> str:
    """A message as `shown`, but for the indented lines of a list behind it, which stay lines."""
    return LIST_ITEM.join(map(shown, message.split(LIST_ITEM)))


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 line`, `2 lines`; `many` says what more than one of `one` are, where that is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def say(message: str) -> None:
    """Prints a message on standard error: one line, and one for each item of a list behind it.

    Of a very long line it is both ends.
    """
    lines = in_lines(message).split("\n")
    shortened = (line if len(line) <= LONGEST else f"{line[:600]} ... {line[-300:]}" for line in lines)
    print("\n".join(shortened), file=sys.stderr)


class OneLine(logging.Formatter):
    """A formatter of messages as `say` prints them; the traceback behind one keeps its own lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return in_lines(super().formatMessage(record))


def _escaped(match):
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python reads a byte of a name that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
