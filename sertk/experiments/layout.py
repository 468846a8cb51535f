"""Where things lie in an experiment's folder: the one place that knows.

EXP/config.yaml card.yaml data.yaml      what is trained, under which protocol, on which data
    asr/checkpoints/best.pt              the speech recogniser whose layers it takes, where it does
    results.json RESULTS.md *.png *.svg  the results
    foldF/seedS/                         a run: one fold trained from one seed
        config.yaml command.txt environment.json train.log metrics.jsonl chosen.yaml trained.json
        checkpoints/latest.pt best.pt
        steps/PART/                      the same of each part but the last
        feats/TYPE.scp                   what parts extract for those after them
        decode_test/                     posteriors and predictions of a split, or of another corpus
"""

import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from sertk.config.former import current_config
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, read_text, read_yaml
from sertk.core.forms import check_form

CONFIG, CARD, DATA = "config.yaml", "card.yaml", "data.yaml"
CONFIG_FORM = {  # what is read of it before the whole is
    **{"model?": {"name": str}, "training?": ({"select?": str}, None), "steps?": {str: {}}},
    "run?": {"fold?": int, "seed?": int, "lists?": {str: str}, "labels?": ({"set": str, "sha256": str}, None)},
}
DECODED = "decode_test"  # where stage 4 leaves the test split of a run


def run_folder(experiment: PathLike, fold: int, seed: int) -> Path:
    return Path(experiment) / f"fold{fold}" / f"seed{seed}"


def is_run_folder(path: PathLike) -> bool:
    """Whether a path is called as a run's folder is, EXP/foldF/seedS."""
    path = Path(os.path.abspath(path))
    return path.name.startswith("seed") and None not in (_number(path.parent), _number(path))


def run_numbers(run: PathLike) -> tuple[int, int]:
    """The fold and the seed of a run, by its folder; SertkError if it is none."""
    path = Path(run).absolute()
    fold, seed = _number(path.parent), _number(path)
    if fold is None or seed is None:
        raise SertkError(f"{run}: not the folder of a run, EXP/foldF/seedS")
    return fold, seed


def experiment_of(run: PathLike) -> Path:
    """The folder of the experiment that a run's folder is in; relative where that is, unless it cannot be told so."""
    path = Path(run)
    if len(path.parents) < 2 or ".." in path.parts:
        path = Path(os.path.abspath(path))
    return path.parents[1]


def part_folder(run: PathLike, part: str | None = None) -> Path:
    """Where a part of a run is trained: the last one (None) in the run's own folder."""
    return Path(run) / "steps" / part if part else Path(run)


def own_feats(run: PathLike) -> Path:
    """The folder of the features that parts of a run extract for those after them."""
    return Path(run) / "feats"


def best_checkpoint(folder: PathLike) -> Path:
    return Path(folder) / "checkpoints" / "best.pt"


def latest_checkpoint(folder: PathLike) -> Path:
    return Path(folder) / "checkpoints" / "latest.pt"


def predictions_path(run: PathLike, decoded: str = DECODED) -> Path:
    return Path(run) / decoded / "predictions.tsv"


def trained_path(folder: PathLike) -> Path:
    """What says that a part is trained to its end, and its weights' digest."""
    return Path(folder) / "trained.json"


def decoded_by(folder: PathLike) -> Path:
    """What says, in the folder of a decoded split, with which weights it was decoded."""
    return Path(folder) / "decoded.json"


def weights_told(path: PathLike) -> str | None:
    """The digest of the weights that one of the two files above tells; before version 0.4 they did not."""
    return read_mapping(path).get("weights_sha256") if Path(path).is_file() else None


def is_outdated(run: PathLike, decoded: str = DECODED) -> bool:
    """Whether a run was trained anew after it was decoded, as far as that is told."""
    trained, used = weights_told(trained_path(run)), weights_told(decoded_by(Path(run) / decoded))
    return None not in (trained, used) and trained != used


def run_folders(experiment: PathLike) -> list[tuple[int, int, Path]]:
    """(fold, seed, folder) of every run of an experiment, in order; SertkError if there is none."""
    experiment = Path(experiment)
    if not experiment.is_dir():
        raise SertkError(f"{experiment}: no such folder")
    found = []
    for folder in experiment.glob("fold*/seed*"):
        fold, seed = _number(folder.parent), _number(folder)
        if folder.is_dir() and fold is not None and seed is not None:
            found.append((fold, seed, folder))
    if not found:
        raise SertkError(f"{experiment}: no foldF/seedS in it; stage 3 trains, stage 4 decodes")
    return sorted(found, key=lambda run: run[:2])


def find_run(path: PathLike, fold: int | None = None, seed: int | None = None) -> Path:
    """The run's folder that is `path`, or the only one of the experiment there that has this fold and seed.

    Raises SertkError where there is none, or more than one.
    """
    path = Path(path)
    if fold is None and seed is None and (path / "checkpoints").is_dir():
        return path
    if not any(path.glob("fold*/seed*")):
        raise SertkError(
            f"{path}: no trained system: expected the folder of a run, with checkpoints in it, or of an experiment, "
            "with foldF/seedS in it (stage 3 trains them), or a packed model where one can be used"
        )
    runs = run_folders(path)
    fitting = [folder for own_fold, own_seed, folder in runs if fold in (None, own_fold) and seed in (None, own_seed)]
    there = ", ".join(str(folder.relative_to(path)) for *_, folder in runs)
    if not fitting:
        raise SertkError(f"{path}: no run with this fold and seed, stage 3 trains it; there are: {there}")
    if len(fitting) > 1:
        which = ", ".join(str(folder.relative_to(path)) for folder in fitting)
        raise SertkError(f"{path}: choose one of its runs with --fold and --seed: {which}")
    return fitting[0]


def part_folders(run: PathLike) -> list[Path]:
    """The folders of a run's parts, its own the last, in the order of the experiment's config."""
    run = Path(run)
    parts = read_config(experiment_of(run)).get("steps", {}) if (run / "steps").is_dir() else {}
    return [*(part_folder(run, name) for name in list(parts)[:-1]), run]


def read_config(folder: PathLike) -> dict[str, Any]:
    """The stored config of an experiment's or a run's folder, a mapping."""
    stored = read_mapping(Path(folder) / CONFIG, CONFIG_FORM, "put it back, or remove the folder, and run stage 3")
    return current_config(stored)


def read_mapping(
    path: PathLike, form: dict[str, Any] | None = None, remedy: str = "remove the file, and run stage 3"
) -> dict[str, Any]:
    """The mapping in one of an experiment's YAML files; raises SertkError where it is none, or not of a form."""
    mapping = read_yaml(path)
    check_form(mapping, form or {}, path, remedy)
    return mapping


def chosen_path(folder: PathLike) -> Path:
    """What a part's training chose by itself, such as the layer of an encoder."""
    return Path(folder) / "chosen.yaml"


def read_chosen(folder: PathLike) -> dict[str, Any]:
    """{what: a number or a name} of a part's chosen.yaml; {} without the file."""
    path = chosen_path(folder)
    return read_mapping(path) if path.is_file() else {}


def read_epochs(folder: PathLike) -> list[dict[str, Any]]:
    """The lines of a part's metrics.jsonl, by epoch; [] without the file."""
    path = Path(folder) / "metrics.jsonl"
    if not path.is_file():
        return []
    epochs = {}
    for number, line in enumerate(io.StringIO(read_text(path), newline=None), 1):
        where = f"{path}:{number}"
        try:
            epoch = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SertkError(f"{where}: not a JSON object: {error}") from error
        if not isinstance(epoch, dict) or not isinstance(epoch.get("epoch"), int):
            raise SertkError(f"{where}: expected a JSON object with a whole-numbered `epoch`")
        for key, value in epoch.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise SertkError(f"{where}: {key} is {value}, so training diverged: train again (stage 3)")
        if epoch["epoch"] in epochs:
            raise SertkError(f"{where}: epoch {epoch['epoch']} is there twice; train again (stage 3)")
        epochs[epoch["epoch"]] = epoch
    return [epochs[number] for number in sorted(epochs)]


def _number(folder: Path) -> int | None:
    match = re.fullmatch(r"(?:fold|seed)(\d+)", folder.name)
    return int(match[1]) if match else None
