"""Levels of emotional dimensions, each a task of its own, side by side: the table of papers on them."""

from collections.abc import Sequence

from sertk.reports.blocks import Block, Heading, Table, Text
from sertk.reports.formatting import NOTHING
from sertk.reports.published import PublishedFigure
from sertk.reports.scored import Scored

DIMENSIONS = {"activation3": "activation", "dominance3": "dominance", "valence3": "valence"}
HEADER = ["system", *DIMENSIONS.values(), "mean"]
LEGEND = "Weighted F1 in %, all folds and seeds pooled; the mean where all three are there."


def dimensions_section(experiments: Sequence[Scored], published: Sequence[PublishedFigure]) -> list[Block]:
    """A table per corpus and subset: weighted F1 on DIMENSIONS, and their mean.

    Systems of one name are one row; published ones follow under their source. Nothing without such experiments.
    """
    blocks: list[Block] = []
    corpora = dict.fromkeys(_corpus(each.card) for each in experiments if each.card["label_set"] in DIMENSIONS)
    for corpus, subset in corpora:
        rows = {}
        for each in experiments:
            if _corpus(each.card) == (corpus, subset):
                value = 100 * each.results["weighted_f1"]
                rows.setdefault(each.name, {})[each.card["label_set"]] = value
        for figure in published:
            if (figure.corpus, figure.subset, figure.taken_for) == (corpus, subset, "weighted_f1"):
                rows.setdefault(f"{figure.system} ({figure.source})", {})[figure.label_set] = figure.value
        where = f"{corpus} {subset}" if subset else corpus
        blocks += [Heading(f"{where}, dimensions"), Table(HEADER, _rows(rows)), Text(LEGEND)]
    return blocks


def _corpus(card):
    return card["corpus"], card.get("subset")


def _rows(by_system):
    rows = []
    for name, values in by_system.items():
        known = [values.get(label_set) for label_set in DIMENSIONS]
        if any(value is not None for value in known):
            mean = sum(known) / len(known) if None not in known else None
            rows.append([name, *(NOTHING if value is None else f"{value:.1f}" for value in [*known, mean])])
    return rows
