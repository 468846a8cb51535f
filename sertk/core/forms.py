"""What stored data has to look like before it is used, said by data of the same form.

A form is a type, `[form]` a list of such values, `{str: form}` a mapping of any names to such values, and
`{"key": form}` a mapping with at least these keys; one that may be missing ends with a question mark. A tuple has
several types, or a form and None, for null.
"""

from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.typed import WORDS, quotes_for, show

NUMBER = (int, float)
LARGEST = 2**63  # of whole numbers, beyond which NumPy has none


def check_form(value: object, form: Any, where: PathLike, remedy: str) -> None:
    """Raises SertkError, which names the key, where a value is not of a form; `remedy` is what to do."""
    if found := misfit(value, form, ""):
        raise SertkError(f"{where}: damaged: {found}; {remedy}")


def misfit(value: Any, form: Any, key: str) -> str | None:
    """What is wrong with the value of a key path, in words; None where it is of the form."""
    if isinstance(form, tuple):
        if value is None and None in form:
            return None
        form = next((each for each in form if isinstance(each, (list, dict))), form)
    if isinstance(form, list):
        if not isinstance(value, list):
            return unlike(value, key, "a list")
        each = ((item, form[0], f"{key}[{number}]") for number, item in enumerate(value, 1))
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            return unlike(value, key, "a mapping")
        if str in form:
            each = ((item, form[str], f"{key}.{name}") for name, item in value.items())
        else:
            names = {name.removesuffix("?"): name for name in form}
            if missing := [name for name in names if name not in value and names[name] == name]:
                return f"{f'{key}.'.lstrip('.')}{missing[0]} is missing"
            each = ((value[name], form[names[name]], f"{key}.{name}") for name in names if name in value)
    else:
        kinds = form if isinstance(form, tuple) else (form,)
        expected = " or ".join(WORDS[kind][0] if kind else "null" for kind in kinds)
        fits = type(value) in kinds and not (type(value) is int and abs(value) >= LARGEST)
        return None if fits else unlike(value, key, expected + (quotes_for(value) if str in kinds else ""))
    return next((found for item in each if (found := misfit(*item))), None)


def unlike(value: object, key: str, expected: str) -> str:
    return f"{key.lstrip('.') or 'it'} is {show(value)}, expected {expected}"
