"""Which of two systems is better, as text: what sertk-score --compare prints."""

from sertk.evaluation.metrics import METRICS
from sertk.reports.formatting import NAMES, difference, p_value, percent
from sertk.reports.markdown import markdown_table


def comparison_page(comparison):
    """The Markdown of `comparison.compare`'s result."""
    rows = []
    for name in METRICS:
        test = comparison["bootstrap"][name]
        points = [percent(comparison["metrics"][system][name]) for system in ("better", "worse")]
        rows.append([NAMES[name], *points, difference(test, comparison["descriptive"]), p_value(test["p"])])
    z_test = comparison["z_test"]
    text = (
        f"A: {comparison['better']}\nB: {comparison['worse']}\n\n"
        + markdown_table(["%", "A", "B", "A - B [95 %]", "p (A not better)"], rows)
        + f"\nFolds {' '.join(map(str, comparison['folds']))}, seeds pooled. Interval, p: paired bootstrap, "
        f"{comparison['draws']} draws of {comparison['speakers']} speakers.\n"
        f"One-tailed z-test of the accuracies as proportions of {comparison['utterances']} utterances: "
        f"z = {z_test['z']:.2f}, p: {p_value(z_test['p'])}.\n"
    )
    if comparison["descriptive"]:
        text += "\\* fewer than ten speakers: interval and p describe these speakers and no others.\n"
    return text
