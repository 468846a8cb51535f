"""Decoding of fold parts, data folders and archives, into posterior archives and tables of predictions."""

import shutil

import numpy as np

from sertk.archives import MatrixWriter, open_matrices
from sertk.datadir import DataDir, read_table
from sertk.errors import SertkError
from sertk.experiment import check_lists, write_command
from sertk.files import write_text
from sertk.labels import Labels
from sertk.protocols import read_fold
from sertk.tasks.emotion import dataset_of_rspecifiers, load_dataset


def decode_part(trained, run_dir, data_dir, splits_dir, fold, part, label_set):
    """Decodes one part of a fold into run_dir/decode_PART, which appears whole or not at all."""
    check_lists(run_dir, splits_dir, fold)
    labels = Labels.read(data_dir, label_set)
    if labels.classes != trained.classes:
        raise SertkError(f"{run_dir}: trained for the classes {trained.classes}, {label_set} has {labels.classes}")
    utterances = labels.labelled(getattr(read_fold(splits_dir, fold), part))
    utt2spk = DataDir(data_dir).table("utt2spk")
    speakers = [utt2spk[utterance] for utterance in utterances]
    posteriors = trained.decode(load_dataset(trained.config, data_dir, run_dir, utterances), speakers).numpy()
    out_dir, aside = run_dir / f"decode_{part}", run_dir / f".decode_{part}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    write_posteriors(f"ark,scp:{aside}/posteriors.ark,{aside}/posteriors.scp", utterances, posteriors)
    scp = (aside / "posteriors.scp").read_text(encoding="utf-8")
    write_text(aside / "posteriors.scp", scp.replace(f" {aside}/", f" {out_dir}/"))
    references = [labels.by_utterance[utterance] for utterance in utterances]
    write_text(aside / "predictions.tsv", predictions(utterances, speakers, references, labels.classes, posteriors))
    write_command(aside)
    shutil.rmtree(out_dir, ignore_errors=True)
    aside.rename(out_dir)


def predictions(utterances, speakers, references, classes, posteriors):
    """The text of predictions.tsv: one line per utterance with reference, predicted class and posteriors."""
    lines = ["\t".join(["utterance", "speaker", "reference", "predicted", *classes])]
    for utterance, speaker, reference, row in zip(utterances, speakers, references, posteriors):
        predicted = classes[int(row.argmax())]
        lines.append("\t".join([utterance, speaker, reference, predicted, *(f"{value:.6f}" for value in row)]))
    return "\n".join(lines) + "\n"


def decode_data_dir(trained, run_dir, data_dir, cmvn, wspecifier):
    """Decodes all utterances of a data folder."""
    utt2spk = DataDir(data_dir).table("utt2spk")
    dataset = load_dataset(trained.config, data_dir, run_dir, list(utt2spk))
    decode_dataset(trained, dataset, list(utt2spk.values()), cmvn, wspecifier)


def decode_archives(trained, feats, utt2spk, cmvn, wspecifier):
    """Decodes all utterances of archives, {feature type: rspecifier}."""
    if trained.needs_speakers() and not utt2spk:
        raise SertkError("the model normalises per speaker: give --utt2spk")
    dataset = dataset_of_rspecifiers(trained.config, feats)
    table = read_table(utt2spk) if utt2spk else {}
    missing = [utterance for utterance in dataset.utterances if utt2spk and utterance not in table]
    if missing:
        raise SertkError(f"{utt2spk}: no speaker for {missing[0]}")
    decode_dataset(trained, dataset, [table.get(utterance) for utterance in dataset.utterances], cmvn, wspecifier)


def decode_dataset(trained, dataset, speakers, cmvn, wspecifier):
    statistics = {name: dict(open_matrices(rspecifier, np.float64)) for name, rspecifier in cmvn.items()}
    write_posteriors(wspecifier, dataset.utterances, trained.decode(dataset, speakers, statistics).numpy())


def write_posteriors(wspecifier, utterances, posteriors):
    """One vector (classes,) per utterance."""
    with MatrixWriter(wspecifier) as writer:
        for utterance, row in zip(utterances, posteriors):
            writer.write(utterance, row.astype(np.float32))
