"""An experiment: all runs of a model under a protocol, in a folder that is made once and explains itself."""

import os
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sertk.config.encoder import RECOGNISER
from sertk.config.former import current_config
from sertk.config.loading import encoder_of, load_parts, parse_parts, parts_mapping
from sertk.config.schema import Config, essence_of
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, write_yaml
from sertk.core.locks import LEASE, locked
from sertk.experiments import layout
from sertk.experiments.card import essence_of_card, make_card, read_experiment_card
from sertk.experiments.encoders import describe_encoder, keep_recogniser, with_encoder
from sertk.experiments.inputs import Inputs
from sertk.experiments.run import Run
from sertk.experiments.storing import store
from sertk.kaldi.datadir import DataDir, read_lines
from sertk.protocols import Corpus, check_lists, choose_folds, read_card

E = TypeVar("E", bound="Experiment")

SEEDS = 2**32  # as many as scikit-learn takes
DATA_FORM = {"data": str, "splits": str, "label_set": str, "labels_sha256?": (str, None)}  # of data.yaml
OPTIONS = ("--data", "--splits", "--labels")  # of the commands of runs before version 0.2


class Experiment:
    """The experiment in a folder; raises SertkError where there is none.

    `path` is the folder, `inputs` the data; `parts` is {name: Config} of the trainings that each run consists of, in
    order, the last one the classifier.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if not (self.path / layout.CONFIG).is_file() or not (self.path / layout.CARD).is_file():
            raise SertkError(f"{path}: no experiment there (config.yaml, card.yaml); stage 3 makes it")

    @classmethod
    def create(
        cls: type[E],
        path: PathLike,
        config: PathLike,
        data: PathLike,
        splits: PathLike,
        label_set: str | int,
        *,
        settings: Sequence[str] | str = (),
        overlay: PathLike | None = None,
        corpus: str | None = None,
        subset: str | None = None,
        recogniser: PathLike | None = None,
    ) -> E:
        """Makes the experiment's folder, or finds that it holds this very experiment already.

        `config` is a model's YAML file, `overlay` one laid over it, and `settings` are texts KEY=VALUE laid over both
        (or all of them in one text).
        `data` is a data folder, `splits` the folder of a protocol's fold lists for it, `label_set` one of its label
        sets. `corpus` (default: the data folder's name) and `subset` are names for the card. `recogniser` is the
        experiment folder of a speech recogniser, for models that take its layers; other encoders are in the cache.
        Raises SertkError for an impossible config, and where the folder holds an experiment with other settings.
        """
        settings = split_settings(settings) if isinstance(settings, str) else settings
        parts = with_encoder(load_parts(config, settings, overlay), recogniser)
        names = {"model": Path(config).stem, "corpus": corpus or Path(data).absolute().name}
        if subset:
            names["subset"] = subset
        return cls.make(path, parts, Inputs(Path(data), Path(splits), str(label_set)), names, recogniser)

    @classmethod
    def make(
        cls: type[E],
        path: PathLike,
        parts: Mapping[str, Config],
        inputs: Inputs,
        names: Mapping[str, str],
        recogniser: PathLike | None = None,
    ) -> E:
        """Makes the folder of {part name: Config} on Inputs, or finds that it holds this very experiment already.

        `names` (model, corpus, and the subset if it is not all) go onto the card. `recogniser` is the experiment of the
        speech recogniser whose layers the parts name; a copy of it is kept.
        Raises SertkError with the keys that differ from what is stored, for names and fold lists that cannot be right,
        and where a run was trained on other data.
        """
        path = Path(path)
        check_labels(path, inputs)
        check_lists(inputs.splits, Corpus(DataDir(inputs.data)).utt2spk)
        card = make_card(parts, inputs.data, inputs.splits, inputs.label_set, names)
        encoder = encoder_of(parts)
        if encoder:
            card["encoder"] = describe_encoder(encoder, recogniser)
        with locked(path / ".lock", patience=LEASE):
            store(path / layout.CONFIG, parts_mapping(parts), lambda stored: essence_of_config(stored, path))
            store(path / layout.CARD, card, essence_of_card)
            store(path / layout.DATA, describe_inputs(inputs, path), lambda stored: essence_of_data(stored, path))
            if recogniser and encoder and encoder.name == RECOGNISER:
                keep_recogniser(path, recogniser)
        made = cls(path)
        made.check_runs()
        return made

    @classmethod
    def of(cls: type[E], run: PathLike) -> E:
        """The experiment that a run's folder is in."""
        return cls(layout.experiment_of(run))

    @cached_property
    def parts(self) -> dict[str, Config]:
        return parse_parts(layout.read_config(self.path), self.path / layout.CONFIG)

    @cached_property
    def card(self) -> dict[str, Any]:
        return read_experiment_card(self.path)

    @cached_property
    def inputs(self) -> Inputs:
        path = self.path / layout.DATA
        if not path.is_file():
            return inputs_of_commands(self.path)
        stored = layout.read_mapping(path, DATA_FORM)
        data, splits = (from_folder(stored[key], self.path) for key in ("data", "splits"))
        return Inputs(data, splits, stored["label_set"])

    def require_inputs(self) -> None:
        """Raises SertkError where the data folder or that of the fold lists is not where data.yaml says."""
        for folder in (self.inputs.data, self.inputs.splits):
            if not folder.is_dir():
                where = self.path / layout.DATA
                raise SertkError(f"{where}: {folder} is not there; bring it back, or write in the file where it is now")

    def keep_inputs(self) -> None:
        """Writes data.yaml where only the commands of runs tell the inputs, before those are written anew."""
        if not (self.path / layout.DATA).is_file():
            write_yaml(self.path / layout.DATA, describe_inputs(self.inputs, self.path))

    @property
    def classes(self) -> list[str]:
        return self.card["classes"]

    def check_labels(self) -> None:
        """Raises SertkError where the labels are no longer those that the experiment was made with."""
        check_labels(self.path, self.inputs)

    def check_runs(self) -> None:
        """Raises SertkError where a run was trained on other lists, labels or data than are there now.

        Nothing is known of that where the experiment was moved away from its data.
        """
        if any(self.path.glob("fold*/seed*")) and self.inputs.data.is_dir() and self.inputs.splits.is_dir():
            for fold, seed, _ in layout.run_folders(self.path):
                Run(self, fold, seed).check()

    def run(self, fold: int, seed: int = 1) -> Run:
        """The run of a fold and seed; raises SertkError for a fold that the protocol lacks, and an impossible seed."""
        self.require_inputs()
        choose_folds(self.inputs.splits, [fold])
        if not 0 <= seed < SEEDS:
            raise SertkError(f"{self.path}: no seed {seed}: expected 0 to {SEEDS - 1}")
        return Run(self, fold, seed)

    def runs(self) -> Sequence[Run]:
        """The runs that are there, by fold and seed; raises SertkError if there is none."""
        return [Run(self, fold, seed) for fold, seed, _ in layout.run_folders(self.path)]

    def jobs(self, folds: Sequence[int] = (), repeats: int = 1, seed: int = 1) -> Sequence[Run]:
        """The runs to be trained: `repeats` seeds from `seed` on of each fold; no `folds` are all.

        For random splits each repeat is a fold of its own, with one seed. Raises SertkError for a fold that the
        protocol lacks.
        """
        self.require_inputs()
        random = read_card(self.inputs.splits)["rule"] == "random"
        seeds = [seed] if random else range(seed, seed + repeats)
        return [Run(self, fold, each) for fold in choose_folds(self.inputs.splits, folds, repeats) for each in seeds]


def split_settings(settings: str) -> list[str]:
    """The texts KEY=VALUE of one text, in which quotes keep spaces together as in a shell."""
    try:
        return shlex.split(settings)
    except ValueError as error:
        raise SertkError(f"--set {settings}: {error}") from error


def require_trained(run: PathLike) -> None:
    """Raises SertkError for the folder of a run that is not trained to its end; one outside an experiment passes."""
    experiment = layout.experiment_of(run)
    if layout.is_run_folder(run) and all((experiment / name).is_file() for name in (layout.CONFIG, layout.CARD)):
        Run(Experiment(experiment), *layout.run_numbers(run)).require_trained()


def essence_of_config(stored: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What two config.yaml of an experiment are compared by: all settings, those not written having their defaults."""
    parts = parse_parts(current_config(stored), path / layout.CONFIG)
    return parts_mapping({name: essence_of(config) for name, config in parts.items()})


def check_labels(path: Path, inputs: Inputs) -> None:
    """Raises SertkError where an experiment is in the folder that was made with other labels of the same set."""
    stored = layout.read_mapping(path / layout.DATA, DATA_FORM) if (path / layout.DATA).is_file() else {}
    if stored.get("label_set") == inputs.label_set and stored.get("labels_sha256") not in (None, inputs.labels_digest):
        raise SertkError(
            f"{path}: made with other labels than {inputs.labels} has now; put those back, or give another --tag, or "
            "remove the folder"
        )


def check_runs(path: PathLike) -> None:
    """`Experiment.check_runs` of a scored folder; nothing where no data.yaml tells its data, as before version 0.2."""
    if (Path(path) / layout.DATA).is_file():
        Experiment(path).check_runs()


def essence_of_data(stored: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What two data.yaml are compared by: where the folders are, however that is written."""
    folders = {key: str(from_folder(stored[key], path).resolve()) for key in ("data", "splits")}
    return {**folders, "label_set": stored["label_set"]}


def describe_inputs(inputs: Inputs, folder: PathLike) -> dict[str, str]:
    """What data.yaml holds; relative paths are from the experiment's folder, so that both can be moved together."""
    return {
        **{key: to_folder(getattr(inputs, key), folder) for key in ("data", "splits")},
        "label_set": inputs.label_set,
        "labels_sha256": inputs.labels_digest,
    }


def to_folder(path: PathLike, folder: PathLike) -> str:
    """A path as from `folder`, unless it is absolute."""
    return str(path) if os.path.isabs(path) else os.path.relpath(path, folder)


def from_folder(path: PathLike, folder: PathLike) -> Path:
    """A path that `to_folder` gave, as from the working directory."""
    return Path(path) if os.path.isabs(path) else Path(os.path.relpath(Path(folder) / path))


def inputs_of_commands(experiment: PathLike) -> Inputs:
    """The Inputs of an experiment made before version 0.2, which had no data.yaml, by the commands of its runs.

    Relative paths are taken from where a command ran, which the run's own path in it tells, else from here.
    """
    for *_, folder in layout.run_folders(experiment):
        command = folder / "command.txt"
        words = words_of(command) if command.is_file() else []
        named = {word: words[place] for place, word in enumerate(words[:-1], 1) if word in OPTIONS}
        if len(named) == len(OPTIONS):
            base = base_of(folder.resolve(), words)
            data, splits = (from_folder(named[key], base) for key in ("--data", "--splits"))
            return Inputs(data, splits, named["--labels"])
    raise SertkError(f"{experiment}/{layout.DATA}: missing; stage 3 writes it (sertk-make-experiment)")


def words_of(command: Path) -> list[str]:
    """The words of a run's command.txt."""
    try:
        return shlex.split(" ".join(read_lines(command)))
    except ValueError as error:
        raise SertkError(f"{command}: damaged: {error}; put it back, or remove the folder of the run") from error


def base_of(run: Path, words: Sequence[str]) -> Path:
    """The folder in which a command ran that named the run's folder by a relative path."""
    for named in map(Path, words):
        depth = len(named.parts)
        if depth > 1 and not named.is_absolute() and run.parts[-depth:] == named.parts:
            return Path(*run.parts[:-depth])
    return Path.cwd()
