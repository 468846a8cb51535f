"""The page of a test whether one system is better than another: what sertk-score --compare prints."""

from typing import Any

from sertk.evaluation.metrics import METRICS
from sertk.reports.blocks import Block, Listing, Table, Text
from sertk.reports.formatting import NAMES, difference, p_value, percent

HEADER = ["%", "A", "B", "A - B [95 %]", "p (A not better)"]
FEW_COMPARED_NOTE = "* fewer than ten speakers: interval and p describe these speakers and no others."


def comparison_page(comparison: dict[str, Any]) -> list[Block]:
    """The page of `comparison.compare`'s result."""
    rows = []
    for name in METRICS:
        test = comparison["bootstrap"][name]
        points = [percent(comparison["metrics"][system][name]) for system in ("better", "worse")]
        rows.append([NAMES[name], *points, difference(test, comparison["descriptive"]), p_value(test["p"])])
    z_test = comparison["z_test"]
    tests = [
        f"Folds {' '.join(map(str, comparison['folds']))}, seeds pooled. Interval, p: paired bootstrap, "
        f"{comparison['draws']} draws of {comparison['speakers']} speakers.",
        f"One-tailed z-test of the accuracies as proportions of {comparison['utterances']} utterances: "
        f"z = {z_test['z']:.2f}, p: {p_value(z_test['p'])}.",
    ]
    notes = [FEW_COMPARED_NOTE] * comparison["descriptive"]
    systems = Listing([f"A: {comparison['better']}", f"B: {comparison['worse']}"])
    return [systems, Table(HEADER, rows), *map(Text, tests + notes)]
