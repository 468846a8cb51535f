"""Experiment folders: created once, refused when anything about them differs, self-explaining."""

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from sertk.config.loading import feature_types, parts_mapping
from sertk.config.schema import Normalise, differing_keys, to_mapping
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml, write_json, write_text, write_yaml
from sertk.core.locks import LEASE, locked
from sertk.experiments.pretrained import describe_pretrained, keep_pretrained
from sertk.kaldi.labels import Labels
from sertk.protocols import list_digests, list_folds, read_card, read_fold, without_repeats

SELECTIONS = {
    "valid_uar": "validation UAR",
    "valid_loss": "validation loss",
    "valid_reconstruction": "validation reconstruction",
    "valid_cer": "validation character error rate",
    "last": "none: the last epoch",
}


def create_experiment(exp_dir, steps, data_dir, splits_dir, label_set, names, asr_exp=None):
    """Writes config.yaml and card.yaml of an experiment; only repeats may be added to one that is there.

    `names` (model, corpus, and the subset if it is not all) go onto the card. Of the recogniser that the steps
    name, which is that of `asr_exp`, the experiment keeps a copy.
    Raises SertkError with the keys that differ from what is stored.
    """
    card = experiment_card(steps, data_dir, splits_dir, label_set, names)
    reuses = any(config.asr for config in steps.values())
    if reuses:
        card["asr"] = describe_pretrained(asr_exp)
    with locked(Path(exp_dir) / ".lock", patience=LEASE):
        store(Path(exp_dir) / "config.yaml", parts_mapping(steps))
        store(Path(exp_dir) / "card.yaml", card, essence=essence_of_card)
        if reuses:
            keep_pretrained(exp_dir, asr_exp)


def essence_of_card(card):
    """A card without repeats, and without what is known of its recogniser by now: config.yaml says which that is."""
    return {**without_repeats(card), "asr": None}


def store(path, mapping, essence=dict):
    """Writes a mapping, or refuses if the file already holds one of another `essence`."""
    if path.exists():
        keys = differing_keys(essence(read_yaml(path)), essence(mapping))
        if keys:
            raise SertkError(
                f"{path}: this experiment has other settings ({', '.join(keys)}); "
                "give another --tag, or remove the folder"
            )
    write_yaml(path, mapping)


def experiment_card(steps, data_dir, splits_dir, label_set, names):
    """The protocol's card with what the experiment adds: `names`, labels, counts, methods."""
    from sertk.models import MODELS
    from sertk.models.base import FittedModel

    final = list(steps.values())[-1]
    fitted = issubclass(MODELS[final.model.name], FittedModel)
    labels = Labels.read(data_dir, label_set)
    numbers = sorted({config.numbers for config in steps.values() if config.numbers})
    told = any(getattr(config.model, "condition", None) == "oracle" for config in steps.values())
    return {
        **names,
        **({"test_labels": "given to the model as its condition"} if told else {}),
        **({"numbers": describe_numbers(numbers, data_dir)} if numbers else {}),
        "label_set": label_set,
        "classes": labels.classes,
        "class_counts": labels.counts(),
        "normalisation": "; ".join(dict.fromkeys(map(describe_normalisation, steps.values()))),
        "imbalance": final.training.imbalance,
        "selection": "none: fitted once" if fitted else SELECTIONS[final.training.select],
        "features": feature_types(steps),
        **{key: value for key, value in read_card(splits_dir).items() if key != "corpus"},
    }


def describe_normalisation(config):
    as_they_are = [name for name in config.features if not config.normalise_of(name)]
    if len(as_they_are) == len(config.features):
        return "none"
    parts = []
    for transform in config.normalise:
        scaled = transform.how == "minmax" and transform.range != Normalise.range
        how = f"{transform.how} to {transform.range[0]:g}..{transform.range[1]:g}" if scaled else transform.how
        parts.append(f"{how} global" if transform.scope == "global" else f"{how} per {transform.scope}")
    return ", then ".join(parts) + "".join(f", {name} as it is" for name in as_they_are)


def describe_numbers(tables, data_dir):
    """The tables, and what they were counted from where that is known."""
    from sertk.text.phones import counted_from

    source = counted_from(data_dir)
    return ", ".join(tables) + (f", from {source}" if source else "")


def list_jobs(splits_dir, folds, repeats, seed):
    """The (fold, seed) of every training: `repeats` seeds from `seed` on of each fold.

    `folds` empty means all. For random splits each repeat is a fold of its own, with one seed.
    Raises SertkError for a fold the protocol lacks.
    """
    random = read_card(splits_dir)["rule"] == "random"
    known = list_folds(splits_dir)[: repeats if random else None]
    for fold in folds:
        if fold not in known:
            raise SertkError(f"{splits_dir}: no fold {fold} (there are {', '.join(map(str, known))})")
    seeds = [seed] if random else range(seed, seed + repeats)
    return [(fold, each) for fold in (dict.fromkeys(folds) or known) for each in seeds]


def start_run(run_dir, config, seed, splits_dir, fold, device):
    """Writes config.yaml, command.txt and environment.json of a run, refusing another config or other fold lists.

    Returns the fold's lists.
    """
    run_dir = Path(run_dir)
    lists = read_fold(splits_dir, fold)
    run = {"fold": fold, "seed": seed, "lists": list_digests(splits_dir, fold)}
    store(run_dir / "config.yaml", {**to_mapping(config), "run": run})
    write_command(run_dir)
    write_json(run_dir / "environment.json", environment(device))
    return lists


@contextlib.contextmanager
def hold_run(run_dir):
    """Keeps other trainings out of a run folder in the block; removes what killed ones were writing."""
    with locked(Path(run_dir) / ".lock"):
        for pattern in (".*.tmp", "checkpoints/.*.tmp", "feats/.*.tmp", "steps/**/.*.tmp"):
            for path in Path(run_dir).glob(pattern):
                if path.is_file():  # and not the folder of a decoding that goes on
                    path.unlink()
        yield


def check_earlier_parts(run_dir, steps, name, splits_dir, fold, seed):
    """Raises SertkError unless the steps before `name` are trained, on the same lists and with the same seed."""
    for earlier in list(steps)[: list(steps).index(name)]:
        folder, layer = part_folder(run_dir, earlier), steps[earlier].extract
        made = folder / "checkpoints" / "best.pt" if layer is None else Path(run_dir) / "feats" / f"{layer}.scp"
        if not made.exists():
            raise SertkError(f"{made}: missing; train the step {earlier} first (--step {earlier})")
        check_lists(folder, splits_dir, fold)
        trained = read_yaml(folder / "config.yaml")["run"]["seed"]
        if trained != seed:
            raise SertkError(
                f"{folder}: trained with the seed {trained}, not {seed}; remove the folder to train it anew"
            )


def check_lists(run_dir, splits_dir, fold):
    """Raises SertkError unless `fold` has the very lists that the run was trained with."""
    path = Path(run_dir) / "config.yaml"
    trained = read_yaml(path)["run"]
    if (trained["fold"], trained["lists"]) != (fold, list_digests(splits_dir, fold)):
        raise SertkError(
            f"{path}: trained on other lists (of fold {trained['fold']}) than those of fold {fold} in {splits_dir}; "
            "decoding them would test on what was trained on"
        )


def part_folder(run_dir, step=None):
    """Where a step of a run is trained: the last one (None) in the run's own folder."""
    return Path(run_dir) / "steps" / step if step else Path(run_dir)


def write_command(folder):
    """Writes the command line under way to command.txt."""
    name = Path(sys.argv[0]).name
    write_text(Path(folder) / "command.txt", shlex.join([name, *sys.argv[1:]]) + "\n")


def environment(device):
    """Versions, commit and machine, as stored with every run."""
    import torch
    import torchaudio

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchaudio": torchaudio.__version__,
        "commit": git_commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
    }


def git_commit():
    """The commit of the source this runs from, with `+changes` where files differ from it; None outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip()
