"""Results as blocks of a page: percent with one decimal, nothing typed by hand."""

from sertk.evaluation.metrics import METRICS
from sertk.evaluation.results import is_random
from sertk.experiments.card import CARD_KEYS
from sertk.reports.pages import Code, Heading, Listing, Picture, Table, Text, markdown_table

NAMES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro-F1", "weighted_f1": "weighted F1"}
NOTHING = "-"
FEW_SPEAKERS_NOTE = "\\* fewer than ten speakers: the interval describes these speakers and no others."


def percent(fraction):
    return NOTHING if fraction is None else f"{100 * fraction:.1f}"


def mean_sd(statistic):
    """`56.2 ± 1.3`, or the mean alone where there is one value."""
    mean, sd = percent(statistic["mean"]), statistic["sd"]
    return mean if sd is None else f"{mean} ± {percent(sd)}"


def interval(intervals, metric):
    """`[50.1, 62.0]`, with a star where there are too few speakers for more than a description."""
    bounds = intervals[metric]
    if bounds is None:
        return NOTHING
    return f"[{percent(bounds[0])}, {percent(bounds[1])}]" + ("*" if intervals["descriptive"] else "")


def difference(test, descriptive):
    """`+1.6 [-2.0, 5.1]`: a difference of `paired_bootstrap` with its interval, both in points of percent."""
    values = (test["difference"], *test["interval"])
    point, low, high = (round(100 * value, 1) + 0.0 for value in values)  # 0.0 makes 0.0 of -0.0
    return f"{point:+.1f} [{low:.1f}, {high:.1f}]" + ("*" if descriptive else "")


def p_value(p):
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value):
    return NOTHING if value is None else f"{value:.0f}"


def counted(number, what):
    """`1 seed`, `3 seeds`."""
    return f"{number} {what}{'s' * (number != 1)}"


def system_name(identity):
    """`blstm_capsule speaker_norm`: model and tag, and whether the system was told what it is tested on."""
    name = f"{identity['model']} {identity['tag']}".rstrip()
    if "trained_on" in identity:
        name += f" (trained on {identity['trained_on']})"
    return f"{name} (uses the test label)" if "test_labels" in identity else name


def task_name(identity):
    """`ravdess, labels 8, protocol emobox`: what systems must share to be compared."""
    subset = f" {identity['subset']}" if identity.get("subset") else ""
    return f"{identity['corpus']}{subset}, labels {identity['label_set']}, protocol {identity['protocol']}"


def results_page(results, commands=(), curves=False):
    """The page of one experiment; `commands` are the command lines that made it."""
    identity = results["experiment"]
    page = [Heading(f"{system_name(identity)}: {task_name(identity)}", 1)]
    page += [Text(f"**Warning:** {warning}.") for warning in results["warnings"]]
    page += [Heading("Result"), *_metrics_section(results)]
    page += [Heading("Protocol card"), *card_section(results["card"], results["labels"])]
    page += [Heading("Folds and seeds"), _runs_table(results)]
    page += [Heading("Classes"), *_classes_section(results), Picture("Recall of each class", "recall.png")]
    page += [Heading("Confusion"), *_confusion_section(results)]
    if curves:
        page += [Heading("Learning curves"), Picture("Learning curves", "curves.png")]
    if commands:
        page += [Heading("Commands"), Code(list(commands))]
    return page


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


def card_section(card, labels):
    """A protocol card as a list, its counts per class and its folds as tables below."""
    folds = card.get("folds")
    has_fold_table = isinstance(folds, list) and bool(folds) and all(isinstance(fold, dict) for fold in folds)
    apart = [key for key, value in card.items() if key.endswith("counts") and _are_counts(value)]
    apart += ["folds"] * has_fold_table
    keys = [*CARD_KEYS, *(key for key in card if key not in CARD_KEYS)]
    blocks = [Listing([f"{_words(key)}: {plain(card[key])}" for key in keys if key not in apart])]
    blocks += [_counts_table(key, card[key], labels) for key in apart if key != "folds"]
    if has_fold_table:
        columns = [key for key in dict.fromkeys(key for fold in folds for key in fold) if key != "sha256"]
        rows = [[_shortened(fold.get(column)) for column in columns] for fold in folds]
        blocks.append(Table([_words(column) for column in columns], rows, left=len(columns)))
    return blocks


def _metrics_section(results):
    intervals, random = results["intervals"], is_random(results["card"])
    columns = {"repeats": "splits: mean ± sd" if random else "seeds: mean ± sd"}
    if not random:
        columns["runs"] = "all runs: mean ± sd"
    rows = [
        [
            NAMES[name],
            percent(results[name]),
            interval(intervals, name),
            *(mean_sd(results["mean_sd"][over][name]) for over in columns),
        ]
        for name in METRICS
    ]
    text = (
        f"{extent(results)}; {counted(len(results['folds']), 'run')}. "
        "*Pooled*: the predictions of all runs as one test set. "
        + ("*Splits*" if random else "*Seeds*: the folds of each seed as one test set. *All runs*")
        + ": each by itself. "
        f"Interval: by bootstrap, {intervals['draws']} draws of {intervals['speakers']} speakers, each "
        "with all utterances of all runs; it covers the choice of speakers, not that of seeds."
    )
    blocks = [Table(["%", "pooled", "95 % interval", *columns.values()], rows), Text(text)]
    return blocks + [Text(FEW_SPEAKERS_NOTE)] * intervals["descriptive"]


def extent(results):
    """`1 of 6 folds, 3 seeds`, or `10 splits` of a random protocol: what was trained and tested."""
    folds, random = results["folds_scored"], is_random(results["card"])
    scored, what = len(folds["scored"]), "split" if random else "fold"
    whole = folds["of"] is None or random and not folds["missing"]
    text = counted(scored, what) if whole else f"{scored} of {counted(folds['of'], what)}"
    seeds = len({run["seed"] for run in results["folds"]})
    return text if random and seeds == 1 else f"{text}, {counted(seeds, 'seed')}"


def folds_text(results):
    """`6 of 6`, or `1 of 6 (1; missing 2 3 4 5 6)`."""
    folds = results["folds_scored"]
    if folds["of"] is None:
        return str(len(folds["scored"]))
    text = f"{len(folds['scored'])} of {folds['of']}"
    if not folds["missing"]:
        return text
    scored, missing = (" ".join(map(str, folds[key])) for key in ("scored", "missing"))
    return f"{text} ({scored}; missing {missing})"


def _runs_table(results):
    header = [
        "fold",
        "seed",
        "utterances",
        "UAR %",
        "accuracy %",
        "best epoch",
        "epochs",
        "training seconds",
    ]
    emits_paths = any(run["empty_paths"] is not None for run in results["folds"])
    rows = [
        [
            run["fold"],
            run["seed"],
            run["utterances"],
            percent(run["uar"]),
            percent(run["accuracy"]),
            _or_nothing(run["best_epoch"]),
            _or_nothing(run["epochs"]),
            seconds(run["seconds"]),
        ]
        + [_or_nothing(run["empty_paths"])] * emits_paths
        for run in results["folds"]
    ]
    return Table(header + ["only blanks"] * emits_paths, rows, left=0)


def _classes_section(results):
    header = ["class", "utterances", "recall %", "precision %", "F1 %"]
    rows = [
        [
            row["label"],
            row["utterances"],
            percent(row["recall"]),
            percent(row["precision"]),
            percent(row["f1"]),
        ]
        for row in results["per_class"]
    ]
    return [Table(header, rows), Text("An utterance counts once per fold and seed that decoded it.")]


def _confusion_section(results):
    header = ["reference \\ predicted", *results["labels"]]
    rows = []
    for label, counts in zip(results["labels"], results["confusion"]):
        total = sum(counts)
        shares = [f"{count} ({percent(count / total)})" if total else str(count) for count in counts]
        rows.append([label, *shares])
    note = Text("Utterances (% of the reference class).")
    return [note, Table(header, rows), Picture("Confusion matrix", "confusion.png")]


def _counts_table(title, counts, labels):
    rows = dict(_count_rows(counts))
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = [label for label in labels if label in names] + [name for name in names if name not in labels]
    table = [
        [path or "utterances", *(row.get(name, 0) for name in columns), sum(row.values())] for path, row in rows.items()
    ]
    return Table([_words(title), *columns, "total"], table)


def _are_counts(value):
    return isinstance(value, dict) and all(isinstance(item, int) or _are_counts(item) for item in value.values())


def _count_rows(counts, path=""):
    """(name, {column: count}) of every innermost mapping of nested counts."""
    leaves = {str(key): value for key, value in counts.items() if not isinstance(value, dict)}
    if leaves:
        yield path, leaves
    for key, value in counts.items():
        if isinstance(value, dict):
            yield from _count_rows(value, f"{path} {key}".strip())


def plain(value):
    """A value of a card, nested or not, on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{_words(key)} {plain(item)}" for key, item in value.items()) or NOTHING
    if isinstance(value, list):
        items = [plain(item) for item in value]
        return ("; " if any("," in item for item in items) else ", ").join(items) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return "not stated" if value is None else " ".join(str(value).split())


def _shortened(value):
    """As `plain`, with more than eight items of a list as their number and the ends."""
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)}: {plain(value[0])} ... {plain(value[-1])}"
    return plain(value)


def _words(key):
    return str(key).replace("_", " ")


def _or_nothing(value):
    return NOTHING if value is None else value
