"""Results on other corpora than a system was trained on: who was tested where."""

from collections.abc import Sequence

from sertk.evaluation.results import is_scored, read_results
from sertk.reports.blocks import Block, Heading, Table, Text
from sertk.reports.formatting import NOTHING, percent
from sertk.reports.markdown import Marked
from sertk.reports.scored import Scored

LEGEND = Marked(
    "UAR %, all runs pooled, and its standard deviation over runs, by the corpus and label set that is tested. "
    "*Slanted*: within the corpus, by the protocol of the training. In brackets: of how many of the system's "
    "classes there are utterances, where not of all; UAR is over these alone, so that chance is not the same."
)


def cross_section(experiments: Sequence[Scored]) -> list[Block]:
    """The blocks of a table of UAR: a row for each system, a column for each corpus tested.

    Those of `experiments` with no scored result on another corpus are left out.
    """
    rows, columns = [], {}
    for experiment in experiments:
        others = [folder for folder in sorted(experiment.folder.glob("decode_*")) if is_scored(folder)]
        if others:
            cells: dict[str, str] = {_tested_on(experiment.card): Marked("*{}*").format(_cell(experiment.results))}
            for results in map(read_results, others):
                cells[_tested_on(results["card"])] = _cell(results)
            trained_on = f"{_tested_on(experiment.card)}, protocol {experiment.card['protocol']}"
            rows.append((experiment.name, trained_on, cells))
            columns |= dict.fromkeys(cells)
    if not rows:
        return []
    header = ["system", "trained on", *columns]
    table = [[*names, *(cells.get(column, NOTHING) for column in columns)] for *names, cells in rows]
    return [Heading("Across corpora"), Text(LEGEND), Table(header, table, left=2)]


def _tested_on(card):
    subset = f" {card['subset']}" if card.get("subset") else ""
    return f"{card['corpus']}{subset}, labels {card['label_set']}"


def _cell(results):
    """`45.1 ± 2.0 (3 of 4)`."""
    sd = results["mean_sd"]["runs"]["uar"]["sd"]
    tested = sum(row["utterances"] > 0 for row in results["per_class"])
    spread = "" if sd is None else f" ± {percent(sd)}"
    share = "" if tested == len(results["labels"]) else f" ({tested} of {len(results['labels'])})"
    return f"{percent(results['uar'])}{spread}{share}"
