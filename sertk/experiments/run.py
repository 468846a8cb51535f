"""A run: one fold of an experiment, trained from one seed, in a folder of its own."""

import contextlib
import dataclasses
import functools
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sertk.config.former import current_config
from sertk.config.schema import Config, essence_of, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest, write_json
from sertk.core.locks import locked
from sertk.core.typed import build
from sertk.experiments import layout
from sertk.experiments.environment import environment, write_command
from sertk.experiments.inputs import data_digests
from sertk.experiments.storing import store
from sertk.kaldi.datadir import DataDir
from sertk.protocols import list_digests, read_fold
from sertk.protocols.rules import Fold

if TYPE_CHECKING:
    import torch

    from sertk.experiments.experiment import Experiment

log = logging.getLogger(__name__)

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
            decoded = layout.predictions_path(self.path).is_file() and not layout.is_outdated(self.path)
            return "decoded" if decoded else "trained"
        return "training" if self.path.is_dir() and any(self.path.iterdir()) else "new"

    def is_trained(self, part: str | None = None) -> bool:
        """Whether a part is trained to its end, and its features extracted."""
        return layout.best_checkpoint(self.part_folder(part)).is_file() and any(map(Path.is_file, self.ends(part)))

    def ends(self, part: str | None) -> tuple[Path, Path]:
        """The files that say that a part is trained to its end, now and before version 0.2."""
        name = part or list(self.experiment.parts)[-1]
        return layout.trained_path(self.part_folder(part)), self.path / f".done_{name}"

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
        folder = self.part_folder(part)
        path = folder / layout.CONFIG
        if path.is_file():
            now, noted = self.check_part(part), self.stored_identity(part)
            # What a former version did not note when the training began is not known now.
            identity = {key: value for key, value in now.items() if key in noted}
        else:
            identity = self.identity(part)
        store(path, {**to_mapping(self.config(part)), "run": identity}, essence_of_run)
        for end in self.ends(part):  # of a training whose checkpoints were removed
            end.unlink(missing_ok=True)
        write_command(folder)
        write_json(folder / "environment.json", environment(device))
        return self.lists()

    def lists(self) -> Fold:
        """The fold's lists; raises SertkError where they list what the data folder does not have."""
        inputs = self.experiment.inputs
        return read_fold(inputs.splits, self.fold, DataDir(inputs.data).table("utt2spk"))

    def finish(self, part: str | None) -> None:
        """Notes that a part is trained to its end; raises SertkError where the data have changed under the training."""
        self.check_part(part)
        folder = self.part_folder(part)
        weights = file_digest(layout.best_checkpoint(folder), "sha256")
        ended = time.strftime("%Y-%m-%d %H:%M:%S %z")
        write_json(layout.trained_path(folder), {"ended": ended, "weights_sha256": weights})

    def identity(self, part: str | None = None) -> dict[str, Any]:
        """What a part's config.yaml tells beside the config: fold, seed, and digests of lists, labels and data."""
        self.experiment.require_inputs()
        inputs, names = self.experiment.inputs, self.part_names
        own = {self.config(earlier).extract for earlier in names[: names.index(part)]}
        utterances = [utt for split in self.lists() for utt in split]
        return {
            "fold": self.fold,
            "seed": self.seed,
            "lists": list_digests(inputs.splits, self.fold),
            "labels": {"set": inputs.label_set, "sha256": inputs.labels_digest},
            "data": data_digests(inputs.data, self.config(part), utterances, own),
        }

    def stored_identity(self, part: str | None = None) -> dict[str, Any]:
        """What a part's config.yaml holds of `identity`: before version 0.2 without the labels, before 0.4 the data."""
        folder = self.part_folder(part)
        run = layout.read_config(folder).get("run")
        if not isinstance(run, dict) or not {"fold", "seed", "lists"} <= run.keys():
            where = folder / layout.CONFIG
            raise SertkError(f"{where}: damaged: fold, seed or lists of its run are missing; remove the folder")
        return run

    def check(self) -> None:
        """`check_part` of all parts whose training has begun."""
        for part in self.part_names:
            if (self.part_folder(part) / layout.CONFIG).is_file():
                self.check_part(part)

    def check_part(self, part: str | None = None) -> dict[str, Any]:
        """The `identity` of a part, if it was trained on the very lists, labels and data that the experiment has now.

        Raises SertkError if it was not. Of a run that does not tell its data there is a warning.
        """
        path, inputs = self.part_folder(part) / layout.CONFIG, self.experiment.inputs
        trained, now = self.stored_identity(part), self.identity(part)
        remedy = "put those back, or remove the run's folder to train it anew, or give another --tag"
        if trained["seed"] != self.seed:
            raise SertkError(f"{path}: trained with the seed {trained['seed']}, not {self.seed}; remove the folder")
        if (trained["fold"], trained["lists"]) != (self.fold, now["lists"]):
            raise SertkError(
                f"{path}: trained on other lists (of fold {trained['fold']}) than those of fold {self.fold} in "
                f"{inputs.splits}; decoding them would test on what was trained on; {remedy}"
            )
        if trained.get("labels", now["labels"]) != now["labels"]:
            was = trained["labels"]["set"]
            raise SertkError(f"{path}: trained on other labels ({was}) than {inputs.labels} has now; {remedy}")
        if "data" not in trained:
            warn_of_former(self.experiment.path)
        known = trained.get("data", {})
        if changed := [what for what, digest in now["data"].items() if known.get(what, digest) != digest]:
            raise SertkError(f"{path}: trained on other {', '.join(changed)} than {inputs.data} has now; {remedy}")
        return now


@functools.cache
def warn_of_former(experiment: Path) -> None:
    log.warning("%s: warning: trained before version 0.4: whether its data are still the same is not known", experiment)


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


def essence_of_run(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What two config.yaml of a run are compared by: all settings, those not written having their defaults.

    `Run.check_part` compares what they tell of the run beside them.
    """
    return to_mapping(essence_of(config_of_run(stored, layout.CONFIG)))
