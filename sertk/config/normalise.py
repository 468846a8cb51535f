"""How streams are normalised."""

from dataclasses import dataclass
from typing import Literal

from sertk.core.typed import Where, build, mistake, require, show


@dataclass(frozen=True)
class Normalise:
    """One transform of the features, by which they are normalised."""

    how: Literal["mean", "meanvar", "minmax", "mulaw"] = "meanvar"  # mulaw takes -1..1 to -1..1 (Li 2018, Eq. 1)
    scope: Literal["window", "utterance", "speaker", "global"] = "global"
    range: tuple[float, float] = (0.0, 1.0)  # of minmax; over a window's dims together, else each for itself

    def __post_init__(self):
        require(self.range[0] < self.range[1], "range", "two numbers, the smaller one first")
        require(self.how != "mulaw" or self.scope == "window", "scope", "window, for mulaw")


def convert_normalise(_: object, value: object, path: Where, key: str) -> tuple[Normalise, ...]:
    """The transforms of a list, or the one that is named by its scope."""
    items = [{"scope": value}] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise mistake(path, key, f" is {show(value)}, expected a list of transforms or a scope's name")
    return tuple(build(Normalise, item, path, f"{key}.") for item in items)
