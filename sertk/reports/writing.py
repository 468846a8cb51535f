"""Writes an experiment's results beside its folds."""

from pathlib import Path
from typing import Any

from sertk.core.files import PathLike, write_json, write_text
from sertk.evaluation.results import score
from sertk.evaluation.runs import read_runs
from sertk.experiments.experiment import check_runs
from sertk.experiments.layout import DECODED
from sertk.reports.experiment_page import experiment_page, read_commands
from sertk.reports.figures import page_figures
from sertk.reports.markdown import markdown
from sertk.reports.plots.pictures import save_figure

FORMATS = (".png", ".svg")


def write_results(experiment: PathLike, draws: int = 2000, seed: int = 0, decoded: str = DECODED) -> dict[str, Any]:
    """Scores an experiment folder and writes its results.json, RESULTS.md and pictures.

    These are confusion, recall and, for systems with epochs, curves, each as .png and .svg. Returns the
    results. Those of another corpus go to a folder named as that in the runs, `decoded`, and have no curves.
    Raises SertkError, and writes nothing, where a run is not decoded, or not well, or was trained on other data than
    are there now.
    """
    experiment = Path(experiment)
    own = decoded == DECODED
    results = score(experiment, draws, seed, decoded)
    check_runs(experiment)
    curves = own and any(run["epochs"] for run in results["folds"])
    page = experiment_page(results, read_commands(experiment, decoded), curves)
    folder = experiment if own else experiment / decoded
    figures = page_figures(results, read_runs(experiment, results["labels"], decoded), curves)
    for name, figure in figures.items():
        save_figure(figure, [folder / f"{name}{suffix}" for suffix in FORMATS])
    write_json(folder / "results.json", results)
    write_text(folder / "RESULTS.md", markdown(page))
    return results
