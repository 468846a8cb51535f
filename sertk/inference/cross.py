"""What a trained model sees of another corpus, whose labels a map takes for the model's classes."""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.batches.streams import Dataset
from sertk.config.sources import read_names
from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.names import compared_form, find_name
from sertk.experiments.card import read_experiment_card
from sertk.experiments.experiment import Experiment
from sertk.experiments.inputs import data_digests
from sertk.experiments.layout import CARD, experiment_of, part_folders, run_numbers
from sertk.features import audio
from sertk.inference.encoding import load_encoder_of, write_layers
from sertk.inference.inputs import Input, load_like_training
from sertk.inference.trained import TrainedModel
from sertk.inference.vectors import write_vectors
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.digests import lines_digest
from sertk.kaldi.labels import Labels
from sertk.models.base import known
from sertk.protocols import read_fold

log = logging.getLogger(__name__)


def read_label_map(path: PathLike, classes: Sequence[str]) -> dict[str, list[str]]:
    """{class: [labels that count as it]} of a YAML file; a label counts as one class, classes may be missing.

    Classes and labels are texts as they are written, `1` and `yes` too; a class may be spelt in another way than the
    model's. Raises SertkError for a class that is none of `classes`, and for whatever else is wrong.
    """
    written, lines = read_names(path)
    if not isinstance(written, dict) or not written:
        raise SertkError(f"{path}: expected lines `class: [label, ...]`")
    label_map, taken = {}, {}
    for key, labels in written.items():
        where, name = f"{path}:{lines[key]}", find_name(key, classes)
        if name is None:
            raise SertkError(f"{where}: the model has no class {key!r}; it has: {', '.join(classes)}")
        if name in label_map:
            raise SertkError(f"{where}: the class {name} is there twice; write its labels in one list")
        if not isinstance(labels, list) or not labels:
            raise SertkError(f"{where}: {name}: expected a list of labels, such as [{name}], found {labels!r}")
        for label in labels:
            if not isinstance(label, str):
                raise SertkError(f"{where}: {name}: expected the name of a label, found {label!r}")
            other = taken.setdefault(compared_form(label), name)
            if other != name:
                raise SertkError(f"{where}: {label} counts as {other} and as {name}; leave it with one")
        label_map[name] = labels
    return label_map


def map_labels(data_dir: PathLike, label_set: str, path: PathLike, classes: list[str]) -> tuple[Labels, dict[str, Any]]:
    """Labels of those utterances that a map has a class for, and the card that says what was left out."""
    label_map, theirs = read_label_map(path, classes), DataDir(data_dir).labels(label_set)
    there = Counter(theirs.values())
    class_of = {find_name(label, there) or label: name for name, labels in label_map.items() for label in labels}
    mapped = Labels(classes, {utt: class_of[label] for utt, label in theirs.items() if label in class_of})
    if not mapped.by_utterance:
        known = ", ".join(sorted(there))
        raise SertkError(f"{path}: none of its labels is in {data_dir}/labels/{label_set} ({known})")
    utterances = DataDir(data_dir).utterances
    left_out = {label: there[label] for label in sorted(there) if label not in class_of}
    strange = [label for label in class_of if label not in there]
    if strange:
        log.info("%s: not in %s/labels/%s: %s", path, data_dir, label_set, ", ".join(strange))
    card = {
        "corpus": Path(data_dir).absolute().name,
        "label_set": label_set,
        "label_map": [f"{name}: {', '.join(labels)}" for name, labels in label_map.items()],
        "class_counts": mapped.counts(),
        **({"left_out_counts": left_out} if left_out else {}),
        "without_label": len(set(utterances) - set(theirs)),
        "labels_not_there": strange,
    }
    others = ", ".join(f"{label} ({number})" for label, number in left_out.items()) or "none"
    tested = f"{len(mapped.by_utterance)} of {len(utterances)}"
    log.info("%s utterances are tested; labels left out: %s", tested, others)
    return mapped, card


def read_other_corpus(
    trained: TrainedModel, data_dir: PathLike, label_set: str, map_path: PathLike
) -> tuple[Input, dict[str, Any]]:
    """The Input of a data folder of another corpus, and its card.

    What earlier parts of the run extract is extracted from that folder too, and so are an encoder's layers of which it
    has no archives. Raises SertkError for the corpus that the model was trained on.
    """
    labels, card = map_labels(data_dir, label_set, map_path, trained.classes)
    utt2spk = DataDir(data_dir).table("utt2spk")
    utterances = labels.labelled(utt2spk)
    refuse_training_data(trained, data_dir, utterances)
    speakers = [utt2spk[utterance] for utterance in utterances]

    def read(model: TrainedModel, folder: str) -> Dataset:
        seen = labels if model.model.needs_labels else None
        return model.normalise(load_like_training(model, data_dir, utterances, folder, seen), speakers)

    extracted = []
    with tempfile.TemporaryDirectory() as folder:
        encode_missing(trained, data_dir, folder)
        for earlier, name in earlier_models(trained):
            extracted.append(name)
            wspecifier = f"ark,scp:{folder}/{name}.ark,{folder}/{name}.scp"
            write_vectors([(earlier, read(earlier, folder))], known(earlier.config.extract, "features"), wspecifier)
        dataset = read(trained, folder)
    found = data_digests(data_dir, trained.config, utterances, extracted)
    card["data_sha256"] = state_of(found, labels, utterances)
    return Input(dataset, speakers, [labels.by_utterance[utterance] for utterance in utterances]), card


def refuse_training_data(trained: TrainedModel, data_dir: PathLike, utterances: Sequence[str]) -> None:
    """Raises SertkError where utterances of another corpus have recordings that the run was trained or validated on.

    The hashes in utt2hash tell. Where the data of the training are no longer there, the corpora's names do.
    """
    folder = experiment_of(trained.run_dir)
    if not (folder / CARD).is_file():
        return
    inputs, named = Experiment(folder).inputs, read_experiment_card(folder)["corpus"]
    there = inputs.data.is_dir() and inputs.splits.is_dir()
    same_name, same_folder = named == Path(data_dir).absolute().name, Path(data_dir).resolve() == inputs.data.resolve()
    if same_folder if there else same_name:
        raise SertkError(f"{trained.run_dir}: trained on {named}; decode its test split, without --label_map")
    own_hashes, hashes = audio.read_hashes(inputs.data), audio.read_hashes(data_dir)
    if own_hashes and hashes:
        lists = read_fold(inputs.splits, run_numbers(trained.run_dir)[0])
        seen = {own_hashes.get(utterance) for utterance in (*lists.train, *lists.valid)}
        if shared := [utterance for utterance in utterances if hashes[utterance] in seen]:
            what = f"{len(shared)} of its recordings, such as {shared[0]}, are among those of its training"
            raise SertkError(f"{data_dir}: no other corpus for {trained.run_dir}: {what}; leave them out")


def state_of(digests: Mapping[str, str], labels: Labels, utterances: Sequence[str]) -> str:
    """One digest of a data folder's `data_digests` and labels: two runs were tested on the same if it is the same."""
    lines = (f"{utterance} {labels.by_utterance[utterance]}" for utterance in utterances)
    return lines_digest([*(f"{what} {digest}" for what, digest in sorted(digests.items())), *lines])


def earlier_models(trained: TrainedModel) -> Iterator[tuple[TrainedModel, str]]:
    """Yields the parts of a run whose vectors others take, in order, with the names of those."""
    for folder in part_folders(trained.run_dir):
        model = trained if folder == trained.folder else TrainedModel(trained.run_dir, trained.device, folder.name)
        if model.config.extract:
            yield model, model.config.extract


def encode_missing(trained: TrainedModel, data_dir: PathLike, folder: str) -> None:
    """Writes the layers of an encoder that the model takes and a data folder lacks into `folder`."""
    config = trained.config
    encoder = config.encoder
    if encoder is None or encoder.in_loop:
        return
    names = {layer: encoder.archive_name(layer) for layer in encoder.layers}
    missing = [layer for layer, name in names.items() if not DataDir(data_dir).feats_path(name).exists()]
    if missing:
        wspecifiers = {layer: f"ark,scp:{folder}/{names[layer]}.ark,{folder}/{names[layer]}.scp" for layer in missing}
        loaded = load_encoder_of(encoder, trained.run_dir, trained.device)
        write_layers(loaded, audio.read_data_dir(data_dir), missing, wspecifiers, encoder.pool)
