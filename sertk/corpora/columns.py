"""Which column of a table of recordings has which role: from its header, and from --columns."""

import csv
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sertk.core.errors import SertkError, UsageError
from sertk.core.names import compared_form

log = logging.getLogger(__name__)

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon"}
# A column is known by its role: `label:NAME` is the role of further labels.
ROLES = ("path", "label", "speaker", "text", "start", "end", "group")
HEADER = "path,label[,speaker][,text][,start][,end][,group]"
MAIN_SET = "emotion"  # the label set of the role `label`; that of `label:NAME` is NAME
OTHER_SET = re.compile(r"label:([A-Za-z0-9_][A-Za-z0-9_-]*)")
SPACES = """names with spaces are in quotes: 'speaker="spk id"'"""


def parse_columns(columns: Iterable[str]) -> dict[str, str]:
    """{role: column} of texts ROLE=COLUMN; raises UsageError for a role that there is not, or that is given twice."""
    chosen = {}
    for text in columns:
        role, equals, column = text.partition("=")
        if not (equals and column) or role not in ROLES and not OTHER_SET.fullmatch(role):
            roles = f"the roles are {', '.join(ROLES)}, label:NAME"
            raise UsageError(f"--columns {text}: expected ROLE=COLUMN; {roles}; {SPACES}")
        if role in chosen:
            raise UsageError(f"--columns {text}: {role} is given twice")
        chosen[role] = column
    return chosen


def separator_of(path: Path, header: str, column: str) -> str:
    """Which of SEPARATORS a header has; raises SertkError for one without `column`, that of the paths."""
    for separator in SEPARATORS:
        if compared_form(column) in map(compared_form, next(csv.reader([header], delimiter=separator))):
            return separator
    raise SertkError(
        f"{path}:1: no column '{column}' in the header '{header[:80]}'; it is {HEADER}, with one of these between: "
        f"{', '.join(SEPARATORS.values())} (--columns path=NAME takes another column)"
    )


def places_of_roles(path: Path, header: Sequence[str], chosen: Mapping[str, str]) -> dict[str, int]:
    """{role: the place of its column}; `chosen` columns go before those that are called as their role.

    Warns of columns without a role. Raises SertkError for roles that two columns have, and without labels.
    """
    found = [(role, find_column(path, header, column)) for role, column in chosen.items()]
    called = [(role_of(path, column), place) for place, column in enumerate(header)]
    found += [(role, place) for role, place in called if role and role not in chosen]
    times = Counter(compared_form(f"label:{MAIN_SET}" if role == "label" else role) for role, _ in found)
    for role, number in times.items():
        if number > 1:
            raise SertkError(f"{path}:1: the column of '{role.removeprefix('label:')}' is there twice; keep one")
    roles = dict(found)
    if not label_sets(roles):
        raise SertkError(f"{path}:1: no column 'label' (--columns label=NAME takes another column)")
    if unused := [place for place in range(len(header)) if place not in roles.values()]:
        names = ", ".join(header[place] or f"column {place + 1} (no name)" for place in unused)
        known = f"{', '.join(ROLES)} and label:NAME"
        what = f"not used: {names}; known are {known} (--columns speaker=NAME takes a column for one)"
        log.warning("%s:1: warning: %s", path, what)
    return roles


def role_of(path: Path, column: str) -> str | None:
    """The role that a column's name is, or None; raises SertkError for `label:` with a name that no set can have."""
    word, colon, name = column.partition(":")
    if colon and compared_form(word) == "label":
        if not OTHER_SET.fullmatch(f"label:{name}"):
            raise SertkError(f"{path}:1: no label set can have the name '{name}': letters, digits, _ and - alone")
        return f"label:{name}"
    role = compared_form(column)
    return role if role in ROLES else None


def find_column(path: Path, header: Sequence[str], column: str) -> int:
    """The place of the column that `--columns` names; raises SertkError unless there is one."""
    places = [place for place, name in enumerate(header) if compared_form(name) == compared_form(column)]
    if len(places) != 1:
        problem = f"{len(places)} columns" if places else "no column"
        raise SertkError(f"{path}:1: {problem} '{column}', which --columns names; there are {', '.join(header)}")
    return places[0]


def label_sets(roles: Iterable[str]) -> dict[str, str]:
    """{role: label set} of the roles of labels."""
    return {
        role: MAIN_SET if role == "label" else role.removeprefix("label:") for role in roles if role.startswith("label")
    }
