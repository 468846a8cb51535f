"""Checkpoints: everything needed to go on, loadable with weights_only."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sertk.config.former import FORMER
from sertk.core.errors import SertkError, is_out_of_memory
from sertk.core.files import PathLike, write_aside, write_yaml
from sertk.core.forms import NUMBER, misfit
from sertk.experiments.layout import chosen_path
from sertk.models.base import EmotionModel

if TYPE_CHECKING:
    from sertk.training.tasks.base import Task


@dataclass
class Progress:
    """Where a training is; a checkpoint holds it whole."""

    epoch: int = 0  # epochs finished
    updates: int = 0  # batches done in the epoch under way
    sums: dict[str, float] = field(default_factory=dict)  # of the loss and the model's own figures over those batches
    seconds: float = 0.0  # spent in the epoch under way
    best_value: float | None = None
    best_epoch: int = 0
    precision: str = "float32"  # what `auto` stands for here, so that no other machine goes on with another
    history: list[dict[str, Any]] = field(default_factory=list)  # the lines of metrics.jsonl


PROGRESS = {  # as a checkpoint has it
    **{"epoch?": int, "updates?": int, "best_epoch?": int, "seconds?": NUMBER, "best_value?": (*NUMBER, None)},
    **{"sums?": {str: NUMBER}, "precision?": str, "history?": [{"epoch": int}]},
}


def save_checkpoint(
    path: PathLike, task: "Task", optimiser: torch.optim.Optimizer, average: AveragedModel | None, progress: Progress
) -> None:
    """Writes model, optimiser, mean weights (or None), progress and random states aside and renames them to `path`."""
    states = {"cpu": torch.get_rng_state()}
    if task.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(task.device)
    save(
        path,
        {
            "model": task.model.state_dict(),
            "task": task.export(),
            "optimiser": optimiser.state_dict(),
            "average": average.state_dict() if average else None,
            "progress": asdict(progress),
            "random": states,
        },
    )


def save_best(path: PathLike, task: "Task", model: EmotionModel, epoch: int) -> None:
    """Writes what decoding needs, and chosen.yaml into the folder around; `model` is the task's, or its mean."""
    if chosen := model.chosen():
        write_yaml(chosen_path(Path(path).parents[1]), chosen)
    save(path, {"model": model.state_dict(), "task": task.export(), "epoch": epoch})


def save(path: PathLike, content: Mapping[str, Any]) -> None:
    """Writes a checkpoint aside and renames it; raises OSError where the disk is full."""
    with write_aside(path, "wb") as handle:
        try:
            torch.save(content, handle)
        except RuntimeError as error:  # torch's own, which hides that the disk is full
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(
    path: PathLike, task: "Task", optimiser: torch.optim.Optimizer, average: AveragedModel | None
) -> Progress:
    """Restores what save_checkpoint wrote and returns the Progress."""
    checkpoint = read_checkpoint(path)
    with whole(path):
        task.model.load_state_dict(checkpoint["model"])
        load_optimiser(optimiser, checkpoint["optimiser"])
        if average:
            average.load_state_dict(checkpoint["average"])
        torch.set_rng_state(checkpoint["random"]["cpu"])
        if "cuda" in checkpoint["random"] and task.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint["random"]["cuda"], task.device)
        progress = checkpoint["progress"]
        if "step" in progress:  # as it was called before version 0.2
            progress["updates"] = progress.pop("step")
        if wrong := misfit(progress, PROGRESS, "progress"):
            raise ValueError(wrong)
        return Progress(**progress)


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Restores an optimiser's state; raises ValueError where it is not that of its settings and weights.

    PyTorch takes any, and fails in the next update.
    """
    expected = [{key: type(value) for key, value in group.items()} for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, kinds in zip(optimiser.param_groups, expected):
        if wrong := [key for key, kind in kinds.items() if type(group.get(key)) is not kind]:
            raise ValueError(f"optimiser: {wrong[0]}")
    for weight, values in optimiser.state.items():
        if any(value.ndim and value.shape != weight.shape for value in values.values()):
            raise ValueError("optimiser: not of the weights' sizes")


def read_checkpoint(path: PathLike) -> dict[str, Any]:
    """A checkpoint's content on the CPU; raises SertkError when it is damaged."""
    if not Path(path).is_file():
        raise SertkError(f"{path}: no trained model; stage 3 trains it")
    with whole(path):
        content = torch.load(path, map_location="cpu", weights_only=True)
        former = FORMER in content.get("task", {}).get("config", {})
        return content | {key: current_names(content[key], former) for key in ("model", "average") if content.get(key)}


@contextlib.contextmanager
def whole(path: PathLike) -> Iterator[None]:
    """Turns whatever goes wrong with a checkpoint's content in the block into a line with the remedy."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (SertkError, OSError)) or is_out_of_memory(error):
            raise
        raise SertkError(
            f"{path}: damaged, perhaps cut off; remove {Path(path).parent} and train anew (stage 3)"
        ) from error


def current_names(weights: Mapping[str, Tensor], former: bool) -> dict[str, Tensor]:
    """{name: weight} as networks call them now.

    A recogniser in the loop was a `recogniser` before version 0.2, and `pretrained`, with `former`, before 0.3.
    """
    pattern = r"^(module\.)?(?:recogniser|pretrained)\." if former else r"^(module\.)?recogniser\."
    return {re.sub(pattern, r"\1pretrained.network.", name): value for name, value in weights.items()}


def load_matching(model: nn.Module, path: PathLike) -> list[str]:
    """Takes over the weights of equal name and shape from another model's checkpoint; returns their names."""
    weights = read_checkpoint(path)["model"]
    own = model.state_dict()
    taken = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if not taken:
        raise SertkError(f"{path}: no weight has the name and shape of one of the model to be trained")
    model.load_state_dict({**own, **taken})
    return sorted(taken)
