"""Scored experiments, as reports take them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.evaluation.results import read_results
from sertk.experiments.experiment import check_runs
from sertk.reports.formatting import system_name


@dataclass(frozen=True)
class Scored:
    """A scored experiment: its folder and its results.json."""

    folder: Path
    results: dict[str, Any]

    @classmethod
    def read(cls, folder: PathLike) -> "Scored":
        """The results of a folder, with a warning among them where its data have changed since."""
        folder, results = Path(folder), read_results(folder)
        try:
            check_runs(folder)
        except SertkError as error:
            results["warnings"] += [f"of another state of the data than there is now ({error})"]
        return cls(folder, results)

    @property
    def card(self) -> dict[str, Any]:
        return self.results["card"]

    @property
    def name(self) -> str:
        return system_name(self.results["experiment"])
