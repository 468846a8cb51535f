"""One name in several spellings: the forms that names are compared by, and how two of them differ."""

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

from sertk.core.errors import SertkError
from sertk.core.files import PathLike

Kind = Literal["speakers", "groups", "classes"]

# How programs write that a value is missing: pandas, R, Excel, YAML and people. Names of people, such as Nan and Na,
# are none of these.
MISSING = {"", "-", "--", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL"}
NONE = {"None", "none", "NONE"}  # say the same of a person, but of an emotion that there is none
# May be meant as names; in their compared form
DOUBTFUL = {"none", "null", "unknown", "missing", "undefined", "n.a", "n.a."}
NAME_IT = "write the name, or leave the utterance out"
# Without a glyph, although Unicode counts them among letters and marks
FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
SELECTORS = range(0xFE00, 0xFE10)  # variants of the letter before


def seen_form(name: str) -> str:
    """What one sees of a name: composed letters (NFC), nothing invisible, one space for blanks, none at the ends.

    Names that differ in this are two; those that are the same in it cannot be told apart by looking.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split())
    return " ".join("".join(sign for sign in unicodedata.normalize("NFC", name) if not is_invisible(sign)).split())


def compared_form(name: str) -> str:
    """The form that names of people, groups and classes are compared by: as they are seen, capitals aside."""
    return unicodedata.normalize("NFC", seen_form(name).casefold())


def is_invisible(sign: str) -> bool:
    """Whether a character shows as nothing: zero-width spaces, soft hyphens, marks of order, control characters."""
    hidden = unicodedata.category(sign) in ("Cf", "Cc") and not sign.isspace()
    return hidden or sign in FILLERS or ord(sign) in SELECTORS


def is_hidden(sign: str) -> bool:
    """Whether a character shows as nothing, or as a space that is another one."""
    return is_invisible(sign) or sign.isspace() and sign != " "


def hidden_in(name: str) -> str | None:
    """The first hidden character of a name in words, or None."""
    return next((f"the invisible character U+{ord(sign):04X}" for sign in name if is_hidden(sign)), None)


def visible(name: str) -> str:
    """A name for a message, in which hidden characters can be seen: `An<U+200B>na`."""
    return "".join(f"<U+{ord(sign):04X}>" if is_hidden(sign) else sign for sign in name)


def says_missing(cell: str) -> bool:
    """Whether a cell of a table, or the name of a class, says that there is none."""
    return seen_form(cell) in MISSING


def is_missing(name: str) -> bool:
    """Whether a person's or a group's name says that there is none."""
    return says_missing(name) or seen_form(name) in NONE


def may_be_missing(name: str) -> bool:
    """Whether a name is also said where there is none, such as `unknown`."""
    return compared_form(name) in DOUBTFUL


def difference(one: str, other: str) -> str:
    """In what two spellings of one name differ, for `differs in ... alone`."""
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "how its letters are encoded (Unicode's NFC or NFD)"
    seen, other_seen = seen_form(one), seen_form(other)
    if seen != other_seen:
        in_capitals = seen.lower() == other_seen.lower() or seen.upper() == other_seen or seen == other_seen.upper()
        return "capitals" if in_capitals else "how letters are written (such as ß and ss)"
    return hidden_in(one + other) or "blanks"


def find_name(name: str, names: Collection[str]) -> str | None:
    """That of `names` which is `name`, as it is written or else in another spelling, or None."""
    if name in names:
        return name
    key = compared_form(name)
    return next((other for other in names if compared_form(other) == key), None)


def in_other_spelling(name: str, names: Collection[str]) -> str:
    """For errors about a name that is none of `names`: which of them is the same in another spelling; else nothing."""
    other = find_name(name, names)
    return f", which has '{visible(other)}' (they differ in {difference(name, other)} alone)" if other else ""


def require_names(names: Iterable[str], where: PathLike, kind: Kind) -> None:
    """Raises SertkError where `names` of a `kind`, of the file `where`, have a word for "missing" or two spellings."""
    first: dict[str, str] = {}
    for name in names:
        if says_missing(name) or kind != "classes" and is_missing(name):
            raise SertkError(f"{where}: among the {kind} is '{visible(name)}', a word for a missing name; {NAME_IT}")
        other = first.setdefault(compared_form(name), name)
        if other != name:
            how = f"differ in {difference(other, name)} alone"
            raise SertkError(f"{where}: the {kind} '{visible(other)}' and '{visible(name)}' {how}; change one of them")


def find_path(path: PathLike) -> Path:
    """`path`, or where nothing is there, what has the same name in another Unicode form (NFC, NFD) in any folder of it.

    File systems of Macs, archives and tables that come from them write `ü` as two characters.
    """
    path = Path(path)
    if os.path.exists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        found = next((found / form for form in unicode_forms(part) if os.path.exists(found / form)), found / part)
    return found if os.path.exists(found) else path


def unicode_forms(name: str) -> Iterator[str]:
    """Yields a name as it is written, composed and decomposed."""
    yield name
    yield unicodedata.normalize("NFC", name)
    yield unicodedata.normalize("NFD", name)
