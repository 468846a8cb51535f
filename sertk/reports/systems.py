"""What a report in HTML shows of each system: its page and figures, its speakers, its mistakes to hear."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sertk.evaluation.metrics import class_metrics, scores
from sertk.evaluation.mistakes import confident_mistakes
from sertk.evaluation.results import speaker_confusions
from sertk.evaluation.runs import read_runs
from sertk.reports.blocks import Block, Drawing, Folded, Heading, Image, Picture, Sound, Table, Text
from sertk.reports.experiment_page import experiment_page, read_commands
from sertk.reports.figures import draw_recalls, page_figures
from sertk.reports.formatting import NOTHING, percent, task_name
from sertk.reports.plots.recall import HATCHES
from sertk.reports.published import card_task
from sertk.reports.recordings import Recordings
from sertk.reports.scored import Scored

LARGEST_PICTURE = 1_000_000  # bytes
MISTAKES = (
    "The utterances that were not recognised and whose predicted class had the highest posterior; of several "
    "runs, the most certain one's."
)


def system_sections(experiments: Sequence[Scored], mistakes: int, recordings: Recordings) -> list[Block]:
    """Blocks for scored experiments, those of a task together, each system's folded.

    `mistakes` is how many utterances are listed of each, to be heard where `recordings` has them.
    """
    groups = {}
    for experiment in experiments:
        task = (*card_task(experiment.card), *experiment.results["labels"])
        groups.setdefault(task, []).append(experiment)
    blocks: list[Block] = []
    for group in groups.values():
        blocks.append(Heading(f"Systems: {task_name(group[0].results['experiment'])}"))
        if 1 < len(group) <= len(HATCHES):
            folders = [experiment.folder for experiment in group]
            blocks.append(Drawing("Recall of each class", draw_recalls(folders)))
        blocks += [_system(experiment, mistakes, recordings) for experiment in group]
    return blocks


def _system(experiment, mistakes, recordings):
    folder, results = experiment.folder, experiment.results
    runs = read_runs(folder, results["labels"])
    has_curves = any(run.epochs for run in runs)
    figures = page_figures(results, runs, has_curves)
    blocks = [
        Drawing(block.title, figures[Path(block.file).stem]) if isinstance(block, Picture) else block
        for block in experiment_page(results, read_commands(folder), has_curves)[1:]
    ]
    blocks += [Heading("Speakers"), _speakers_table(runs, results["labels"])]
    if mistakes:
        blocks += [Heading("Most confident mistakes"), *_mistakes(runs, results["labels"], mistakes, recordings)]
    blocks += _embeddings(folder)
    name = f"{experiment.name}: UAR {percent(results['uar'])} %"
    return Folded(name, [replace(each, level=3) if isinstance(each, Heading) else each for each in blocks])


def _speakers_table(runs, labels):
    """UAR and recall of each class by speaker, all folds and seeds pooled."""
    speakers = np.unique([name for run in runs for name in run.predictions.speakers])
    rows = []
    for speaker, confusion in zip(speakers, speaker_confusions(runs, len(labels)), strict=True):
        by_class = class_metrics(confusion)
        recalls = zip(by_class["support"], by_class["recall"])
        shown = [percent(recall) if support else NOTHING for support, recall in recalls]
        rows.append([speaker, int(confusion.sum()), percent(float(scores(confusion)["uar"])), *shown])
    return Table(["speaker", "utterances", "UAR %", *(f"{label} %" for label in labels)], rows)


def _mistakes(runs, labels, most, recordings):
    mistakes = confident_mistakes(runs, labels, most)
    if not mistakes:
        return [Text("None.")]
    sounds, notes = recordings.read(runs, [each.utterance for each in mistakes])
    header = ["utterance", "speaker", "reference", "predicted", "posterior %", "of the reference %", "wrong in runs"]
    rows = []
    for each in mistakes:
        row = [each.utterance, each.speaker, each.reference, each.predicted]
        row += [percent(each.posterior), percent(each.of_reference), f"{each.wrong} of {each.decoded}"]
        sound = Sound(sounds[each.utterance]) if each.utterance in sounds else NOTHING
        rows.append([*row, sound] if sounds else row)
    table = Table(header + ["recording"] * bool(sounds), rows, left=4)
    return [Text(MISTAKES), table, *map(Text, notes)]


def _embeddings(folder):
    """The t-SNE pictures that stage 6 drew, and those that lie in the experiment's folder."""
    blocks = []
    for path in sorted([*folder.glob("tsne*.png"), *folder.glob("fold*/seed*/layers/tsne*.png")]):
        name = path.relative_to(folder).as_posix()
        if path.stat().st_size > LARGEST_PICTURE:
            blocks.append(Text(f"{name} is left out, as it is larger than {LARGEST_PICTURE / 1e6:.0f} MB."))
        else:
            blocks += [Text(f"{name}:"), Image(name, path.read_bytes())]
    return [Heading("t-SNE"), *blocks] if blocks else []
