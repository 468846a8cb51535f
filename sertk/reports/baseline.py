"""What each system of a table gains over the table's baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.evaluation.comparison import compare
from sertk.reports.formatting import NOTHING, difference, p_value
from sertk.reports.scored import Scored

HEADER = ["UAR - baseline [95 %]", "p (z-test)"]
LEGEND = (
    "Difference to the baseline: UAR of all folds and seeds pooled, with the 95 % interval of the paired "
    "bootstrap by speaker; p: one-tailed z-test of the accuracies, the chance of being this far ahead if "
    "both were equally good."
)


@dataclass(frozen=True)
class Baseline:
    """The name of an experiment (its folder or that folder's name), or of a model that a table has once."""

    name: str

    def candidates(self, group: Sequence[Scored]) -> list[Scored]:
        """The experiments of `group` it may mean: of the first way of naming that fits any."""
        folder = Path(self.name).resolve()
        ways = (
            lambda experiment: experiment.folder.resolve() == folder,
            lambda experiment: experiment.folder.name == self.name,
            lambda experiment: experiment.results["experiment"]["model"] == self.name,
        )
        found = ([experiment for experiment in group if fits(experiment)] for fits in ways)
        return next(filter(None, found), [])


class Differences:
    """The two columns of one table, with `notes` on every cell that is not as usual.

    `descriptive` tells whether a cell had too few speakers for more than a description.
    """

    def __init__(self, group: Sequence[Scored], against: Baseline):
        self.baseline: Scored | None = None
        self.notes: list[str] = []
        self.descriptive: bool = False
        candidates = against.candidates(group)
        if len(candidates) == 1:
            self.baseline = candidates[0]
        elif candidates:
            folders = ", ".join(experiment.folder.name for experiment in candidates)
            self.notes.append(f"none, as {against.name} may be each of {folders}; name one of these.")
        else:
            self.notes.append(f"none, as {against.name} is not among these systems.")

    def cells(self, experiment: Scored) -> list[str]:
        """Difference of UAR with its interval, and p; `-` with a note where the two cannot be compared."""
        if self.baseline is None:
            return [NOTHING, NOTHING]
        if experiment is self.baseline:
            return ["baseline", NOTHING]
        try:
            comparison = compare(experiment.folder, self.baseline.folder)
        except SertkError as error:
            self.notes.append(f"{experiment.name}: none: {error}.")
            return [NOTHING, NOTHING]
        scored = [each.results["folds_scored"]["scored"] for each in (experiment, self.baseline)]
        if scored[0] != scored[1]:
            folds = " ".join(map(str, comparison["folds"]))
            self.notes.append(f"{experiment.name}: over fold {folds} alone, which both systems have.")
        self.descriptive |= comparison["descriptive"]
        test = comparison["bootstrap"]["uar"]
        return [difference(test, comparison["descriptive"]), p_value(comparison["z_test"]["p"])]
