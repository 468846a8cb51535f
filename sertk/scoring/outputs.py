"""Writes an experiment's results beside its folds."""

from pathlib import Path

from sertk.datadir import read_lines
from sertk.files import write_json, write_text
from sertk.scoring.experiment import read_runs, run_folders
from sertk.scoring.plots import plot_confusion, plot_curves
from sertk.scoring.results import score
from sertk.scoring.tables import results_page, system_name, task_name


def write_results(experiment, draws=2000, seed=0):
    """Scores an experiment folder and writes its results.json, RESULTS.md, confusion.png and curves.png.

    Returns the results. There is no curves.png for systems without epochs. Raises SertkError, and writes
    nothing, where a run is not decoded, or not well.
    """
    experiment = Path(experiment)
    results = score(experiment, draws, seed)
    page = results_page(results, read_commands(experiment), curves=has_curves(results))
    draw_confusion(results, experiment / "confusion.png")
    if has_curves(results):
        draw_curves(results, experiment, experiment / "curves.png")
    write_json(experiment / "results.json", results)
    write_text(experiment / "RESULTS.md", page)
    return results


def draw_confusion(results, path):
    """Writes the confusion matrix picture of results.json's content."""
    figures = f"UAR {100 * results['uar']:.1f} %, accuracy {100 * results['accuracy']:.1f} %"
    title = f"{_title(results)}\n{figures}"
    plot_confusion(results["confusion"], results["labels"], title, path)


def draw_curves(results, experiment, path):
    """Writes the learning curves of an experiment folder."""
    plot_curves(read_runs(experiment, results["labels"]), _title(results), path)


def has_curves(results):
    return any(run["epochs"] for run in results["folds"])


def read_commands(experiment):
    """The lines of every run's command.txt, of its training and of its decoding, by fold and seed, each once."""
    lines = {}
    for _, _, folder in run_folders(experiment):
        for path in (folder / "command.txt", folder / "decode_test" / "command.txt"):
            if path.is_file():
                lines |= dict.fromkeys(line for line in read_lines(path) if line.strip())
    return list(lines)


def _title(results):
    return f"{system_name(results['experiment'])}\n{task_name(results['experiment'])}"
