"""What a trained model sees when it is used: parts of folds, data folders, archives, normalised as it asks for."""

from dataclasses import dataclass

import numpy as np

from sertk.batches.dataset import dataset_of_rspecifiers, load_dataset, own_feats
from sertk.batches.streams import Dataset
from sertk.bin._options import named_specifiers
from sertk.core.errors import SertkError, UsageError
from sertk.experiments.experiment import check_lists
from sertk.kaldi.archives import open_matrices, read_scp, refuse_shared_input
from sertk.kaldi.datadir import DataDir
from sertk.kaldi.labels import Labels
from sertk.protocols import read_fold


@dataclass(frozen=True)
class Input:
    """A normalised Dataset, the speaker of each utterance, and its label where that is known."""

    dataset: Dataset
    speakers: list[str | None]
    references: list[str] | None = None


def check_input_options(args):
    """Raises UsageError unless the options of `add_input_options` name one thing."""
    if args.feats and args.data or not (args.feats or args.data):
        raise UsageError("give either --data or --feats")
    if args.splits and not (args.fold and args.labels and args.data):
        raise UsageError("--splits needs --data, --fold and --labels")
    refuse_shared_input(args.utt2spk, *(text.partition("=")[2] for text in args.feats + args.cmvn))
    if args.splits and args.cmvn:
        raise UsageError("--splits takes a part's own statistics: no --cmvn")


def read_input(trained, args):
    """The Input that the options of `add_input_options` name."""
    if args.splits:
        return read_part(trained, args.data, args.splits, args.fold, args.part, args.labels)
    cmvn = {
        name: dict(open_matrices(rspecifier, np.float64))
        for name, rspecifier in named_specifiers(args.cmvn, "--cmvn").items()
    }
    if args.data:
        return read_data_dir(trained, args.data, cmvn)
    return read_archives(trained, named_specifiers(args.feats, "--feats"), args.utt2spk, cmvn)


def read_part(trained, data_dir, splits_dir, fold, part, label_set):
    """The labelled utterances of one part of the fold that the run was trained on."""
    check_lists(trained.folder, splits_dir, fold)
    return read_labelled(trained, data_dir, getattr(read_fold(splits_dir, fold), part), label_set)


def read_labelled(trained, data_dir, utterances, label_set):
    """Those of `utterances` that have a label; raises SertkError where the model was trained for other classes."""
    labels = Labels.read(data_dir, label_set)
    if labels.classes != trained.classes:
        raise SertkError(
            f"{trained.folder}: trained for the classes {trained.classes}, {label_set} has {labels.classes}"
        )
    utterances = labels.labelled(utterances)
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = [utt2spk[utterance] for utterance in utterances]
    seen = labels if trained.model.needs_labels else None
    dataset = trained.normalise(load_dataset(trained.config, data_dir, utterances, trained.run_dir, seen), speakers)
    return Input(dataset, speakers, [labels.by_utterance[utterance] for utterance in utterances])


def read_data_dir(trained, data_dir, cmvn):
    """All utterances of a data folder; raises SertkError where an earlier step has to extract their features."""
    for name in trained.config.features:
        if own_feats(trained.run_dir, name).exists():
            raise SertkError(
                f"{name} is what an earlier step of {trained.run_dir} extracts: let sertk-extract --step ... --layer "
                f"{name} do so, and decode with --feats {name}=RSPECIFIER"
            )
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = list(utt2spk.values())
    dataset = load_dataset(trained.config, data_dir, list(utt2spk))
    return Input(trained.normalise(dataset, speakers, cmvn), speakers)


def read_archives(trained, feats, utt2spk, cmvn):
    """All utterances of archives, {feature type: rspecifier}."""
    if trained.needs_speakers() and not utt2spk:
        raise SertkError("the model normalises per speaker: give --utt2spk")
    dataset = dataset_of_rspecifiers(trained.config, feats)
    table = read_scp(utt2spk.removeprefix("ark:")) if utt2spk else {}
    missing = [utterance for utterance in dataset.utterances if utt2spk and utterance not in table]
    if missing:
        raise SertkError(f"{utt2spk}: no speaker for {missing[0]}")
    speakers = [table.get(utterance) for utterance in dataset.utterances]
    return Input(trained.normalise(dataset, speakers, cmvn), speakers)
