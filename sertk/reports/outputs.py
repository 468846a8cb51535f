"""Writes an experiment's results beside its folds, and draws them."""

import logging
from pathlib import Path

from sertk.config.schema import differing_keys
from sertk.core.errors import SertkError
from sertk.core.files import write_json, write_text
from sertk.evaluation.results import read_results, score
from sertk.evaluation.runs import read_runs
from sertk.experiments.layout import DECODED, part_folders, read_config, run_folders
from sertk.kaldi.datadir import read_lines
from sertk.reports.pages import markdown
from sertk.reports.plots.confusion import confusion_figure
from sertk.reports.plots.curves import curves_figure
from sertk.reports.plots.pictures import save_figure
from sertk.reports.plots.recall import class_recalls, recall_figure
from sertk.reports.plots.sweep import sweep_figure, swept_number
from sertk.reports.tables import NAMES, extent, results_page, system_name, task_name

FORMATS = (".png", ".svg")


def write_results(experiment, draws=2000, seed=0, decoded=DECODED):
    """Scores an experiment folder and writes its results.json, RESULTS.md and pictures.

    These are confusion, recall and, for systems with epochs, curves, each as .png and .svg. Returns the
    results. Those of another corpus go to a folder named as that in the runs, `decoded`, and have no curves.
    Raises SertkError, and writes nothing, where a run is not decoded, or not well.
    """
    experiment = Path(experiment)
    own = decoded == DECODED
    results = score(experiment, draws, seed, decoded)
    has_curves = own and any(run["epochs"] for run in results["folds"])
    page = results_page(results, read_commands(experiment, decoded), curves=has_curves)
    runs = read_runs(experiment, results["labels"], decoded)
    folder = experiment if own else experiment / decoded
    figures = {"confusion": draw_confusion(results), "recall": _draw_recalls([(experiment, results, runs)])}
    if has_curves:
        figures["curves"] = _draw_curves(results, runs)
    for name, figure in figures.items():
        save_figure(figure, [folder / f"{name}{suffix}" for suffix in FORMATS])
    write_json(folder / "results.json", results)
    write_text(folder / "RESULTS.md", markdown(page))
    return results


def draw_confusion(results):
    """The confusion matrix of results.json's content as a figure."""
    figures = f"UAR {100 * results['uar']:.1f} %, accuracy {100 * results['accuracy']:.1f} %"
    title = f"{_title(results)}\n{figures}"
    return confusion_figure(results["confusion"], results["labels"], title)


def draw_curves(experiment):
    """The learning curves of a scored experiment folder as a figure."""
    results = read_results(experiment)
    return _draw_curves(results, read_runs(experiment, results["labels"]))


def draw_recalls(experiments):
    """The recall of each class for scored experiment folders, side by side in one figure.

    Raises SertkError unless task and classes are the same.
    """
    scored = _read_comparable(experiments)
    return _draw_recalls(
        [(experiment, results, read_runs(experiment, results["labels"])) for experiment, results in scored]
    )


def draw_sweep(experiments, key, metric):
    """A metric and the recall of each class for scored experiment folders, by the number each has at `key`.

    `key` is a path in config.yaml such as `steps.NAME.model.x`. What else the configs differ in is warned of.
    Raises SertkError unless task and classes are the same, and all numbers different.
    """
    by_number, configs = {}, []
    for experiment, results in _read_comparable(experiments):
        configs.append(read_config(experiment))
        number = swept_number(configs[-1], key, Path(experiment) / "config.yaml")
        if number in by_number:
            first, _ = by_number[number]
            raise SertkError(f"{first} and {experiment} both have {key} {number}; a sweep takes one of each")
        by_number[number] = experiment, results
    others = {other for config in configs for other in differing_keys(configs[0], config)} - {key}
    if others:
        logging.getLogger(__name__).warning("they differ not in %s alone: %s", key, ", ".join(sorted(others)))
    numbers = sorted(by_number)
    swept = [by_number[number][1] for number in numbers]
    lines = [(NAMES[metric], [results[metric] for results in swept])]
    for place, label in enumerate(swept[0]["labels"]):
        lines.append((label, [results["per_class"][place]["recall"] for results in swept]))
    models = " and ".join(dict.fromkeys(results["experiment"]["model"] for results in swept))
    tested = " or ".join(dict.fromkeys(extent(results) for results in swept))
    return sweep_figure(numbers, lines, key, f"{models}, {tested}\n{_task(swept[0])}")


def read_commands(experiment, decoded=DECODED):
    """The lines of every run's command.txt, of its training and of its decoding, by fold and seed, each once."""
    lines = {}
    for _, _, folder in run_folders(experiment):
        for part in (*part_folders(folder), folder / decoded):
            path = part / "command.txt"
            if path.is_file():
                lines |= dict.fromkeys(line for line in read_lines(path) if line.strip())
    return list(lines)


def _read_comparable(experiments):
    """(experiment folder, results) of each; raises SertkError unless task and classes are the same."""
    scored = [(experiment, read_results(experiment)) for experiment in experiments]
    first, reference = scored[0]
    for experiment, results in scored[1:]:
        for fact in (_task, _labels):
            one, other = fact(reference), fact(results)
            if one != other:
                raise SertkError(f"{first} and {experiment} cannot be compared: {one} and {other}")
    return scored


def _draw_curves(results, runs):
    return curves_figure(runs, _title(results))


def _draw_recalls(systems):
    """The recall figure of a list of (experiment folder, results, runs)."""
    names = [_system(results) for _, results, _ in systems]
    if len(set(names)) < len(names):
        names = [str(experiment) for experiment, _, _ in systems]
    first = systems[0][1]
    title = _task(first)
    if len(systems) == 1:
        title, names = _title(first), ["all runs"]
    recalls = [
        class_recalls(f"{name}, {extent(results)}", runs, len(results["labels"]))
        for name, (_, results, runs) in zip(names, systems)
    ]
    return recall_figure(recalls, first["labels"], title)


def _system(results):
    return system_name(results["experiment"])


def _task(results):
    return task_name(results["experiment"])


def _labels(results):
    return " ".join(results["labels"])


def _title(results):
    return f"{_system(results)}\n{_task(results)}"
