"""One Markdown table of several experiments' results."""

from sertk.scoring.tables import (
    FEW_SPEAKERS_NOTE,
    NOTHING,
    folds_text,
    interval,
    markdown_table,
    mean_sd,
    plain,
    seconds,
    system_name,
    task_name,
)

HEADER = [
    "corpus / labels / protocol",
    "model",
    "tag",
    "normalisation",
    "folds",
    "seeds",
    "UAR %",
    "accuracy %",
    "macro-F1 %",
    "UAR % of all runs",
    "UAR % of each seed",
    "seconds per epoch",
    "epochs",
]
KEY_FACTS = {
    "speaker_disjoint": "speaker-disjoint",
    "selection": "selected by",
    "rule": "split rule",
    "source": "split",
}


def report(all_results, title="Results"):
    """A Markdown page of results.json dicts, in their order: a table per corpus, label set and protocol."""
    groups = {}
    for results in all_results:
        groups.setdefault(task_name(results["experiment"]), []).append(results)
    parts = [f"# {title}\n"]
    for task, group in groups.items():
        table = markdown_table(HEADER, [_row(results) for results in group], left=4)
        parts += [f"## {task}\n", _facts(group), table]
        if any(results["intervals"]["descriptive"] for results in group):
            parts.append(f"{FEW_SPEAKERS_NOTE}\n")
        warnings = [
            f"- {system_name(results['experiment'])}: {warning}.\n"
            for results in group
            for warning in results["warnings"]
        ]
        if warnings:
            parts.append("Warnings:\n\n" + "".join(warnings))
    parts.append(
        "UAR, accuracy, macro-F1: mean ± standard deviation over the seeds, the folds of each seed pooled; "
        "UAR with the 95 % bootstrap interval over speakers, all seeds pooled. "
        "UAR of all runs: mean ± standard deviation over each fold and seed by itself.\n"
    )
    return "\n".join(parts)


def _facts(group):
    lines = []
    for key, name in KEY_FACTS.items():
        if not any(key in results["card"] for results in group):
            continue
        values = [plain(results["card"].get(key)) for results in group]
        lines.append(f"- {name}: {_shared(group, values)}\n")
    lines.append(f"- folds scored: {_shared(group, [folds_text(results) for results in group])}\n")
    return "".join(lines)


def _shared(group, values):
    """The one value of all systems, or every value with the systems it holds for."""
    holders = {}
    for results, value in zip(group, values):
        holders.setdefault(value, []).append(system_name(results["experiment"]))
    if len(holders) == 1:
        return next(iter(holders))
    return "; ".join(f"{value} for {', '.join(systems)}" for value, systems in holders.items())


def _row(results):
    identity, seeds = results["experiment"], results["mean_sd"]["seeds"]
    task = [str(identity[key]) for key in ("corpus", "subset", "label_set", "protocol") if key in identity]
    return [
        " / ".join(task),
        identity["model"],
        identity["tag"] or NOTHING,
        plain(results["card"]["normalisation"]),
        results["folds_scored"]["text"],
        seeds["count"],
        f"{mean_sd(seeds['uar'])} {interval(results['intervals'], 'uar')}",
        mean_sd(seeds["accuracy"]),
        mean_sd(seeds["macro_f1"]),
        mean_sd(results["mean_sd"]["runs"]["uar"]),
        " / ".join(f"{100 * seed['uar']:.1f}" for seed in results["per_seed"]),
        seconds(_mean([run["seconds_per_epoch"] for run in results["folds"]])),
        _range([run["epochs"] for run in results["folds"]]),
    ]


def _mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _range(values):
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    return str(min(known)) if min(known) == max(known) else f"{min(known)}-{max(known)}"
