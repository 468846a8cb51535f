"""The page of one experiment, its RESULTS.md."""

from collections.abc import Sequence
from typing import Any

from sertk.core.files import PathLike
from sertk.core.messages import shown
from sertk.evaluation.metrics import METRICS
from sertk.evaluation.results import is_random
from sertk.experiments.card import CARD_KEYS
from sertk.experiments.layout import DECODED, part_folders, run_folders
from sertk.kaldi.datadir import read_lines
from sertk.reports.blocks import Block, Code, Heading, Listing, Picture, Table, Text
from sertk.reports.formatting import (
    FEW_SPEAKERS_NOTE,
    NAMES,
    NOTHING,
    counted,
    extent,
    interval,
    mean_sd,
    percent,
    plain,
    seconds,
    system_name,
    task_name,
    words,
)
from sertk.reports.markdown import Marked


def experiment_page(results: dict[str, Any], commands: Sequence[str] = (), curves: bool = False) -> list[Block]:
    """The page of one experiment; `commands` are the command lines that made it."""
    identity = results["experiment"]
    page: list[Block] = [Heading(f"{system_name(identity)}: {task_name(identity)}", 1)]
    page += [Text(Marked("**Warning:** {}.").format(warning)) for warning in results["warnings"]]
    page += [Heading("Result"), *_metrics_section(results)]
    page += [Heading("Protocol card"), *card_section(results["card"], results["labels"])]
    page += [Heading("Folds and seeds"), _runs_table(results)]
    page += [Heading("Classes"), *_classes_section(results), Picture("Recall of each class", "recall.png")]
    page += [Heading("Confusion"), *_confusion_section(results)]
    if curves:
        page += [Heading("Learning curves"), Picture("Learning curves", "curves.png")]
    if commands:
        page += [Heading("Commands"), Code([shown(command) for command in commands])]
    return page


def read_commands(experiment: PathLike, decoded: str = DECODED) -> list[str]:
    """The lines of every run's command.txt, of its training and of its decoding, by fold and seed, each once."""
    lines = {}
    for _, _, folder in run_folders(experiment):
        for noted in (*part_folders(folder), folder / decoded):
            path = noted / "command.txt"
            if path.is_file():
                lines |= dict.fromkeys(line for line in read_lines(path) if line.strip())
    return list(lines)


def card_section(card: dict[str, Any], labels: list[str]) -> list[Block]:
    """A protocol card as a list, its counts per class and its folds as tables below."""
    folds = card.get("folds")
    fold_rows = folds if isinstance(folds, list) and all(isinstance(fold, dict) for fold in folds) else []
    apart = [key for key, value in card.items() if key.endswith("counts") and _are_counts(value)]
    apart += ["folds"] * bool(fold_rows)
    keys = [*CARD_KEYS, *(key for key in card if key not in CARD_KEYS)]
    facts = [Marked("{}: {}").format(words(key), plain(card[key])) for key in keys if key not in apart]
    blocks: list[Block] = [Listing(facts), *(_counts_table(key, card[key], labels) for key in apart if key != "folds")]
    if fold_rows:
        columns = [key for key in dict.fromkeys(key for fold in fold_rows for key in fold) if key != "sha256"]
        rows = [[_shortened(fold.get(column)) for column in columns] for fold in fold_rows]
        blocks.append(Table([words(column) for column in columns], rows, left=len(columns)))
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
    blocks = [Table(["%", "pooled", "95 % interval", *columns.values()], rows), Text(Marked(text))]
    return blocks + [Text(FEW_SPEAKERS_NOTE)] * intervals["descriptive"]


def _runs_table(results):
    header = ["fold", "seed", "utterances", "UAR %", "accuracy %", "best epoch", "epochs", "training seconds"]
    emits_paths = any(run["empty_paths"] is not None for run in results["folds"])
    chooses = any(run.get("chosen") for run in results["folds"])  # results before version 0.3 lack it
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
        + [in_short(run.get("chosen", {}))] * chooses
        for run in results["folds"]
    ]
    return Table(header + ["only blanks"] * emits_paths + ["chosen"] * chooses, rows, left=0)


def in_short(chosen: dict[str, Any]) -> str:
    """What a training chose, in a line."""
    return ", ".join(
        f"{what} {f'{value:.3g}' if isinstance(value, float) else value}" for what, value in chosen.items()
    )


def _classes_section(results):
    header = ["class", "utterances", "recall %", "precision %", "F1 %"]
    rows = [
        [row["label"], row["utterances"], percent(row["recall"]), percent(row["precision"]), percent(row["f1"])]
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
    return Table([words(title), *columns, "total"], table)


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


def _shortened(value):
    """As `plain`, with more than eight items of a list as their number and the ends."""
    if isinstance(value, list) and len(value) > 8:
        return Marked("{}: {} ... {}").format(len(value), plain(value[0]), plain(value[-1]))
    return plain(value)


def _or_nothing(value):
    return NOTHING if value is None else value
