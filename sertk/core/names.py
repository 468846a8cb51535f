"""One name in several spellings: the forms that names are compared by, and how two of them differ."""

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike

# How programs write that a value is missing: pandas, R, Excel, YAML and people. Names of people, such as Nan and Na,
# are none of these.
MISSING = {"", "-", "--", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL"}
MAY_BE_CLASSES = {"None", "none", "NONE"}  # say the same of a person, but of an emotion that there is none
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


def is_missing(name: str) -> bool:
    """Whether a person's or a group's name says that there is none."""
    return name in MISSING or name in MAY_BE_CLASSES


def difference(one: str, other: str) -> str:
    """In what two spellings of one name differ, for `differs in ... alone`."""
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "how its letters are encoded (Unicode's NFC or NFD)"
    if seen_form(one) != seen_form(other):
        return "capitals"
    hidden = [sign for sign in (*one, *other) if is_invisible(sign) or sign.isspace() and sign != " "]
    return f"the invisible character U+{ord(hidden[0]):04X}" if hidden else "blanks"


def find_name(name: str, names: Collection[str]) -> str | None:
    """That of `names` which is `name`, as it is written or else in another spelling, or None."""
    if name in names:
        return name
    key = compared_form(name)
    return next((other for other in names if compared_form(other) == key), None)


def in_other_spelling(name: str, names: Collection[str]) -> str:
    """For errors about a name that is none of `names`: which of them is the same in another spelling; else nothing."""
    other = find_name(name, names)
    return f", which has '{other}' (they differ in {difference(name, other)} alone)" if other else ""


def require_one_spelling(names: Iterable[str], where: PathLike, kind: str) -> None:
    """Raises SertkError where two of `names`, of a `kind`, in the file `where` are one in two spellings."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(compared_form(name), name)
        if other != name:
            how = f"differ in {difference(other, name)} alone"
            raise SertkError(f"{where}: the {kind} '{other}' and '{name}' {how}; change one of them")


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
