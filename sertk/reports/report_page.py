"""The page of a report: several experiments' results, beside published figures and against a baseline."""

from collections.abc import Sequence

from sertk.evaluation.results import is_random
from sertk.evaluation.runs import other_inputs
from sertk.reports import baseline
from sertk.reports.blocks import Block, Heading, Listing, Table, Text, listed
from sertk.reports.cross import cross_section
from sertk.reports.dimensions import dimensions_section
from sertk.reports.formatting import (
    FEW_SPEAKERS_NOTE,
    NAMES,
    NOTHING,
    extent,
    folds_text,
    interval,
    mean_sd,
    plain,
    seconds,
    task_name,
)
from sertk.reports.markdown import Marked
from sertk.reports.published import PublishedFigure, Task, card_task
from sertk.reports.scored import Scored

HEADER = ["system", "features", "normalisation", "tested", "UAR % [95 %]", "accuracy %", "macro-F1 %", "weighted F1 %"]
KEY_FACTS = {  # of a card: what it is called, and what it is where the card lacks it
    "speaker_disjoint": ("speaker-disjoint", None),
    "selection": ("selected by", None),
    "learns_from": ("learns from", "train"),
    "encoder": ("encoder", "none"),
    "rule": ("split rule", None),
    "source": ("split", None),
}
SHARED_SPEAKERS = Marked(
    "**The same speakers are trained on and tested: these scores do not carry over to new speakers.**"
)
LEGEND = (
    "UAR, accuracy, F1: mean ± standard deviation over the repeats, which are the seeds, each with its folds "
    "pooled, or the splits of a random protocol; UAR with the 95 % bootstrap interval over speakers, all "
    "folds and seeds pooled. A published figure stands beside every system of its model and features, whatever "
    "its other settings."
)


def report_page(
    experiments: Sequence[Scored],
    title: str = "Results",
    published: Sequence[PublishedFigure] = (),
    against: baseline.Baseline | None = None,
    notes: Sequence[str] = (),
) -> list[Block]:
    """The page of scored experiments: a section per corpus, label set and protocol, in their order.

    `published` are shown beside the experiments they match, and by themselves where they match none; they order the
    rows. `against` is what every other experiment is compared with. `notes` are paragraphs below the heading.
    """
    groups: dict[Task, list[Scored]] = {}
    for experiment in experiments:
        groups.setdefault(card_task(experiment.card), []).append(experiment)
    page: list[Block] = [Heading(title, 1), *map(Text, notes)]
    for task, group in groups.items():
        page += _section(group, [figure for figure in published if figure.task == task], against)
    page += dimensions_section(experiments, published)
    page += cross_section(experiments)
    elsewhere = dict.fromkeys(_elsewhere(figure) for figure in published if figure.task not in groups)
    page += listed("Published, and none of it run here", elsewhere)
    return [*page, Text(f"{LEGEND} {baseline.LEGEND}" if against else LEGEND)]


def _elsewhere(figure):
    return f"{task_name(vars(figure))}: {figure.source}"


def _section(group, figures, against):
    group = sorted(group, key=lambda experiment: _rank(experiment, figures))
    published = _Published(figures)
    differences = baseline.Differences(group, against) if against else None
    table = _table(group, published, differences)
    blocks = [Heading(task_name(group[0].results["experiment"])), Listing(_facts(group))]
    if any(experiment.card["speaker_disjoint"] is False for experiment in group):
        blocks.append(Text(SHARED_SPEAKERS))
    blocks.append(table)
    starred = any(experiment.results["intervals"]["descriptive"] for experiment in group)
    if starred or differences and differences.descriptive:
        blocks.append(Text(FEW_SPEAKERS_NOTE))
    blocks += listed("Published", published.notes())
    blocks += listed("Differences", differences.notes if differences else [])
    blocks += listed("Warnings", _warnings(group))
    return [*blocks, Heading("Runs", 3), _runs(group)]


def _table(group, published, differences):
    """What was measured, what was published of it, the differences; then what else was published."""
    rows = []
    for experiment in group:
        row = _measured(experiment) + published.cells(experiment.card)
        rows.append(row + (differences.cells(experiment) if differences else []))
    header = HEADER + published.header + (baseline.HEADER if differences else [])
    for figure in published.figures:
        if not any(figure.matches(experiment.card) for experiment in group):
            known = {
                "system": figure.system,
                "features": _features(figure.features),
                "published %": published.value(figure),
            }
            rows.append([known.get(column, NOTHING) for column in header])
    return Table(header, rows, left=4)


def _rank(experiment, figures):
    """The number of the first figure that is the experiment's, else one behind them all."""
    numbers = (number for number, figure in enumerate(figures) if figure.matches(experiment.card))
    return next(numbers, len(figures))


class _Published:
    """The published columns of one table, and its sources, which are numbered and explained below it."""

    def __init__(self, figures):
        self.figures = figures
        self.header = ["published %"] if figures else []
        if any(figure.model for figure in figures):
            self.header.append("published as")
        self.sources = {}
        for figure in figures:
            self.sources.setdefault(_source(figure), []).append(figure)

    def cells(self, card):
        """The figures of an experiment with this card, and the names that their papers give it."""
        own = [figure for figure in self.figures if figure.matches(card)]
        cells = ["; ".join(map(self.value, own)), "; ".join(figure.system for figure in own)]
        return [cell or NOTHING for cell in cells[: len(self.header)]]

    def value(self, figure):
        """`77.6 ± 0.2 UA [1]`: the figure with its paper's name of the metric."""
        value = f"{figure.value:.1f}" if figure.sd is None else f"{figure.value:.1f} ± {figure.sd:.1f}"
        return f"{value} {figure.metric} [{list(self.sources).index(_source(figure)) + 1}]"

    def notes(self):
        lines = []
        for number, ((source, metric, taken_for, because), figures) in enumerate(self.sources.items(), 1):
            meant = NAMES[taken_for] if taken_for == "uar" else f"{NAMES[taken_for]}, not for UAR"
            taken = f"{metric} is taken for {meant}" + (f": {because}." if because else ".")
            if metric == NAMES[taken_for]:
                taken = f"{metric}."
            remarks = dict.fromkeys(figure.conditions for figure in figures if figure.conditions)
            own = [f"{figure.system}: {figure.note}." for figure in figures if figure.note]
            lines.append(" ".join([f"[{number}] {source}. {taken}", *remarks, *own]))
        return lines


def _source(figure):
    return figure.source, figure.metric, figure.taken_for, figure.because


def _facts(group):
    lines = []
    for key, (name, absent) in KEY_FACTS.items():
        if not any(key in experiment.card for experiment in group):
            continue
        values = [plain(experiment.card.get(key, absent)) for experiment in group]
        lines.append(Marked("{}: {}").format(name, _shared(group, values)))
    if any(experiment.results["folds_scored"]["missing"] for experiment in group):
        what = "splits" if is_random(group[0].card) else "folds"
        values = [folds_text(experiment.results) for experiment in group]
        lines.append(f"{what} scored: {_shared(group, values)}")
    return lines


def _shared(group, values):
    """The one value of all systems, or every value with the systems it holds for."""
    holders = {}
    for experiment, value in zip(group, values):
        holders.setdefault(value, []).append(experiment.name)
    if len(holders) == 1:
        return next(iter(holders))
    shared = (Marked("{} for {}").format(value, ", ".join(systems)) for value, systems in holders.items())
    return Marked("; ").join(shared)


def _warnings(group):
    own = [f"{experiment.name}: {warning}." for experiment in group for warning in experiment.results["warnings"]]
    return own + [warning for experiment in group[1:] for warning in _other_inputs(experiment, group[0])]


def _other_inputs(experiment, first):
    """A warning of a system whose runs were made with another state of the data than those of the first system."""
    runs = [{run["fold"]: run.get("inputs", {}) for run in each.results["folds"]} for each in (experiment, first)]
    pairs = [(runs[0][fold], runs[1][fold]) for fold in runs[0].keys() & runs[1].keys()]
    if different := sorted({what for pair in pairs for what in other_inputs(*pair)}):
        what = ", ".join(different)
        yield f"{experiment.name}: other {what} than {first.name}; train one of the two anew to compare them."


def _measured(experiment):
    results, repeats = experiment.results, experiment.results["mean_sd"]["repeats"]
    return [
        experiment.name,
        _features(experiment.card.get("features")),
        plain(experiment.card["normalisation"]),
        extent(results),
        f"{mean_sd(repeats['uar'])} {interval(results['intervals'], 'uar')}",
        *(mean_sd(repeats[name]) for name in ("accuracy", "macro_f1", "weighted_f1")),
    ]


def _features(types):
    return ", ".join(types or []) or NOTHING


def _runs(group):
    """What each repeat reached, and what it took."""
    header = ["system", "UAR % of each repeat", "UAR % of all runs", "epochs", "training seconds per run"]
    rows = [
        [
            experiment.name,
            " / ".join(f"{100 * repeat['uar']:.1f}" for repeat in experiment.results["repeats"]),
            mean_sd(experiment.results["mean_sd"]["runs"]["uar"]),
            _range([run["epochs"] for run in experiment.results["folds"]]),
            seconds(_mean([run["seconds"] for run in experiment.results["folds"]])),
        ]
        for experiment in group
    ]
    return Table(header, rows)


def _mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _range(values):
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    return str(min(known)) if min(known) == max(known) else f"{min(known)}-{max(known)}"
