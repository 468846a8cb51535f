"""A run: one fold of an experiment, trained from one seed, in a folder of its own."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sertk.config.former import current_config
from sertk.config.schema import Config, essence_of, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_json
from sertk.core.locks import locked
from sertk.core.typed import build
from sertk.experiments import layout
from sertk.experiments.environment import environment, write_command
from sertk.experiments.storing import store
from sertk.protocols import list_digests, read_fold
from sertk.protocols.rules import Fold

if TYPE_CHECKING:
    import torch

    from sertk.experiments.experiment import Experiment

State = Literal["new", "training", "trained", "decoded"]
LEFT_BY_KILLED = (".*.tmp", "checkpoints/.*.tmp", "feats/.*.tmp", "steps/**/.*.tmp")


@dataclasses.dataclass(frozen=True)
class Run:
    """One fold and seed of an Experiment; the folder need not be there yet."""

    experiment: "Experiment"
    fold: int
    seed: int

    @property
    def path(self) -> Path:
        return layout.run_folder(self.experiment.path, self.fold, self.seed)

    @property
    def part_names(self) -> list[str | None]:
        """What `part_folder` calls the parts, in order: None is the last one, in the run's own folder."""
        return [*list(self.experiment.parts)[:-1], None]

    def config(self, part: str | None = None) -> Config:
        """The config of a part; of the last one by default."""
        return self.experiment.parts[part or list(self.experiment.parts)[-1]]

    def part_folder(self, part: str | None = None) -> Path:
        return layout.part_folder(self.path, part)

    def decoded_folder(self, what: str = "test") -> Path:
        """Where a split is decoded, or another corpus, as CORPUS_LABELS."""
        return self.path / f"decode_{what}"

    @property
    def state(self) -> State:
        """`new`: nothing is there; `training`: begun, or cut off; `trained`; `decoded`: the test split, too."""
        if all(map(self.is_trained, self.part_names)):
            return "decoded" if layout.predictions_path(self.path).is_file() else "trained"
        return "training" if self.path.is_dir() and any(self.path.iterdir()) else "new"

    def is_trained(self, part: str | None = None) -> bool:
        """Whether a part is trained to its end, and its features extracted."""
        folder, name = self.part_folder(part), part or list(self.experiment.parts)[-1]
        ended = (folder / "trained.json", self.path / f".done_{name}")  # the second one before version 0.2
        return layout.best_checkpoint(folder).is_file() and any(path.is_file() for path in ended)

    def require_trained(self) -> None:
        """Raises SertkError unless the run is trained to its end."""
        if self.state in ("new", "training"):
            how = "not trained yet" if self.state == "new" else "not trained to its end"
            raise SertkError(f"{self.path}: {how}; stage 3 trains it, and goes on where it was cut off (sertk-train)")

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps other trainings out of the run's folder in the block; removes what killed ones were writing."""
        with hold_folder(self.path):
            yield

    def start(self, part: str | None, device: "torch.device") -> Fold:
        """Notes in a part's folder what is trained there, and returns the fold's lists.

        Raises SertkError where the folder holds a training with another config, on other lists
        or labels, and where an earlier part of the run does.
        """
        self.experiment.check_labels()
        self.experiment.keep_inputs()
        names = self.part_names
        for earlier in names[: names.index(part)]:
            self.check_part(earlier)
        if (self.part_folder(part) / layout.CONFIG).is_file():
            self.check_part(part)
        folder, identity = self.part_folder(part), self.identity()
        path = folder / layout.CONFIG
        known = self.stored_identity(part) if path.exists() else identity
        store(path, {**to_mapping(self.config(part)), "run": identity}, lambda stored: essence_of_run(stored, known))
        write_command(folder)
        write_json(folder / "environment.json", environment(device))
        return read_fold(self.experiment.inputs.splits, self.fold)

    def finish(self, part: str | None) -> None:
        """Notes that a part is trained to its end."""
        write_json(self.part_folder(part) / "trained.json", {"ended": time.strftime("%Y-%m-%d %H:%M:%S %z")})

    def identity(self) -> dict[str, Any]:
        """What a run's config.yaml tells beside the config: fold, seed, and digests of the lists and the labels."""
        self.experiment.require_inputs()
        inputs = self.experiment.inputs
        return {
            "fold": self.fold,
            "seed": self.seed,
            "lists": list_digests(inputs.splits, self.fold),
            "labels": {"set": inputs.label_set, "sha256": inputs.labels_digest},
        }

    def stored_identity(self, part: str | None = None) -> dict[str, Any]:
        """What a part's config.yaml holds of `identity`; before version 0.2 it did without the labels."""
        folder = self.part_folder(part)
        run = layout.read_config(folder).get("run")
        if not isinstance(run, dict) or not {"fold", "seed", "lists"} <= run.keys():
            where = folder / layout.CONFIG
            raise SertkError(f"{where}: damaged: fold, seed or lists of its run are missing; remove the folder")
        return run

    def check_part(self, part: str | None = None) -> None:
        """Raises SertkError unless a part was trained on the very lists and labels that the experiment has now."""
        path = self.part_folder(part) / layout.CONFIG
        trained, now = self.stored_identity(part), self.identity()
        remedy = "remove the folder to train it anew"
        if trained["seed"] != self.seed:
            raise SertkError(f"{path}: trained with the seed {trained['seed']}, not {self.seed}; {remedy}")
        if (trained["fold"], trained["lists"]) != (self.fold, now["lists"]):
            raise SertkError(
                f"{path}: trained on other lists (of fold {trained['fold']}) than those of fold {self.fold} in "
                f"{self.experiment.inputs.splits}; decoding them would test on what was trained on; {remedy}"
            )
        if trained.get("labels", now["labels"]) != now["labels"]:
            was = trained["labels"]["set"]
            raise SertkError(
                f"{path}: trained on other labels ({was}) than {self.experiment.inputs.labels} has now; {remedy}"
            )


@contextlib.contextmanager
def hold_folder(folder: PathLike) -> Iterator[None]:
    """Keeps other trainings out of a folder in the block; removes what killed ones were writing."""
    with locked(Path(folder) / ".lock"):
        for pattern in LEFT_BY_KILLED:
            for path in Path(folder).glob(pattern):
                if path.is_file():  # and not the folder of a decoding that goes on
                    path.unlink()
        yield


def config_of_run(stored: Mapping[str, Any], path: PathLike) -> Config:
    """The Config in what the config.yaml of a run, or of a speech recogniser, holds: all but its identity."""
    return build(Config, {key: value for key, value in current_config(stored).items() if key != "run"}, path)


def essence_of_run(stored: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What two config.yaml of a run are compared by: all settings, those not written having their defaults.

    Of its identity it is what both know, the keys of `known`.
    """
    config = essence_of(config_of_run(stored, layout.CONFIG))
    return {**to_mapping(config), "run": {key: stored["run"].get(key) for key in known}}
