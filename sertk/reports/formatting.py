"""Figures and facts of results as text: percent with one decimal, nothing typed by hand."""

from typing import Any

from sertk.evaluation.results import is_random
from sertk.reports.markdown import Marked

NAMES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro-F1", "weighted_f1": "weighted F1"}
NOTHING = "-"
FEW_SPEAKERS_NOTE = "* fewer than ten speakers: the interval describes these speakers and no others."


def percent(fraction: float | None) -> str:
    return NOTHING if fraction is None else f"{100 * fraction:.1f}"


def mean_sd(statistic: dict[str, Any]) -> str:
    """`56.2 ± 1.3`, or the mean alone where there is one value."""
    mean, sd = percent(statistic["mean"]), statistic["sd"]
    return mean if sd is None else f"{mean} ± {percent(sd)}"


def interval(intervals: dict[str, Any], metric: str) -> str:
    """`[50.1, 62.0]`, with a star where there are too few speakers for more than a description."""
    bounds = intervals[metric]
    if bounds is None:
        return NOTHING
    return f"[{percent(bounds[0])}, {percent(bounds[1])}]" + ("*" if intervals["descriptive"] else "")


def difference(test: dict[str, Any], descriptive: bool) -> str:
    """`+1.6 [-2.0, 5.1]`: a difference of `paired_bootstrap` with its interval, both in points of percent."""
    values = (test["difference"], *test["interval"])
    point, low, high = (round(100 * value, 1) + 0.0 for value in values)  # 0.0 makes 0.0 of -0.0
    return f"{point:+.1f} [{low:.1f}, {high:.1f}]" + ("*" if descriptive else "")


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f}"


def counted(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number} {what}{'s' * (number != 1)}"


def system_name(identity: dict[str, Any]) -> str:
    """`blstm_capsule speaker_norm`: model and tag, and whether the system was told what it is tested on."""
    name = f"{identity['model']} {identity['tag']}".rstrip()
    if "trained_on" in identity:
        name += f" (trained on {identity['trained_on']})"
    return f"{name} (uses the test label)" if "test_labels" in identity else name


def task_name(identity: dict[str, Any]) -> str:
    """`ravdess, labels 8, protocol emobox`: what systems must share to be compared."""
    subset = f" {identity['subset']}" if identity.get("subset") else ""
    return f"{identity['corpus']}{subset}, labels {identity['label_set']}, protocol {identity['protocol']}"


def extent(results: dict[str, Any]) -> str:
    """`1 of 6 folds, 3 seeds`, or `10 splits` of a random protocol: what was trained and tested."""
    folds, random = results["folds_scored"], is_random(results["card"])
    scored, what = len(folds["scored"]), "split" if random else "fold"
    whole = folds["of"] is None or random and not folds["missing"]
    text = counted(scored, what) if whole else f"{scored} of {counted(folds['of'], what)}"
    seeds = len({run["seed"] for run in results["folds"]})
    return text if random and seeds == 1 else f"{text}, {counted(seeds, 'seed')}"


def folds_text(results: dict[str, Any]) -> str:
    """`6 of 6`, or `1 of 6 (1; missing 2 3 4 5 6)`."""
    folds = results["folds_scored"]
    if folds["of"] is None:
        return str(len(folds["scored"]))
    text = f"{len(folds['scored'])} of {folds['of']}"
    if not folds["missing"]:
        return text
    scored, missing = (" ".join(map(str, folds[key])) for key in ("scored", "missing"))
    return f"{text} ({scored}; missing {missing})"


def plain(value: Any) -> str:
    """A value of a card, nested or not, on one line."""
    if isinstance(value, dict):
        items = (Marked("{} {}").format(words(key), plain(item)) for key, item in value.items())
        return Marked(", ").join(items) or NOTHING
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return Marked("; " if any("," in item for item in items) else ", ").join(items) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else Marked("**no**")
    return "not stated" if value is None else " ".join(str(value).split())


def words(key: object) -> str:
    return str(key).replace("_", " ")
