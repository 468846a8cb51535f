"""Results on other corpora than a system was trained on: their cards, and who was tested where."""

from sertk.core.errors import SertkError
from sertk.core.files import read_yaml
from sertk.evaluation.results import is_scored, read_results
from sertk.reports.pages import Heading, Table, Text
from sertk.reports.tables import NOTHING, percent

LEGEND = (
    "UAR %, all runs pooled, and its standard deviation over runs, by the corpus and label set that is tested. "
    "*Slanted*: within the corpus, by the protocol of the training. In brackets: of how many of the system's "
    "classes there are utterances, where not of all; UAR is over these alone, so that chance is not the same."
)
OF_TRAINING = (
    "model",
    "test_labels",
    "numbers",
    "classes",
    "normalisation",
    "imbalance",
    "selection",
    "features",
)
PROTOCOL = "cross-corpus"


def cross_card(card, paths):
    """The card of a result on another corpus, of the experiment's `card` and those of its runs (`paths`).

    Raises SertkError unless all runs were decoded with the same labels and map.
    """
    cards = [read_yaml(path) for path in paths]
    for path, other in zip(paths, cards):
        if other != cards[0]:
            raise SertkError(f"{path}: other labels or another map than {paths[0]}; decode all runs again")
    counts = cards[0]["class_counts"]
    absent = [name for name, number in counts.items() if not number]
    there = [name for name in counts if name not in absent]
    subset = f" {card['subset']}" if card.get("subset") else ""
    return {
        **cards[0],
        "protocol": PROTOCOL,
        "trained_on": f"{card['corpus']}{subset}, labels {card['label_set']}, protocol {card['protocol']}",
        "speaker_disjoint": "not checked: another corpus",
        **{key: card[key] for key in OF_TRAINING if key in card},
        **(
            {
                "warning": (
                    f"{cards[0]['corpus']} has no utterance of {', '.join(absent)}: UAR is over the other classes "
                    f"alone ({', '.join(there)}), and each prediction of a class that is not there is an error"
                )
            }
            if absent
            else {}
        ),
    }


def cross_section(experiments):
    """The blocks of a table of UAR: a row for each system, a column for each corpus tested.

    `experiments` are as report's; those with no scored result on another corpus are left out.
    """
    rows, columns = [], {}
    for experiment in experiments:
        others = [folder for folder in sorted(experiment.folder.glob("decode_*")) if is_scored(folder)]
        if others:
            cells = {_tested_on(experiment.card): f"*{_cell(experiment.results)}*"}
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
