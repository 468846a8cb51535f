"""Scored experiments, as reports take them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.core.files import PathLike
from sertk.evaluation.results import read_results
from sertk.reports.formatting import system_name


@dataclass(frozen=True)
class Scored:
    """A scored experiment: its folder and its results.json."""

    folder: Path
    results: dict[str, Any]

    @classmethod
    def read(cls, folder: PathLike) -> "Scored":
        return cls(Path(folder), read_results(folder))

    @property
    def card(self) -> dict[str, Any]:
        return self.results["card"]

    @property
    def name(self) -> str:
        return system_name(self.results["experiment"])
