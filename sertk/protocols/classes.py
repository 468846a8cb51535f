"""What a label set's classes are in the folds of a protocol: said, and checked, before anything is trained."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.core.messages import counted
from sertk.core.names import require_names
from sertk.kaldi.datadir import DataDir, first_of
from sertk.kaldi.labels import Labels
from sertk.protocols.lists import read_fold
from sertk.protocols.rules import Corpus

log = logging.getLogger(__name__)


def check_classes(data_dir: PathLike, splits_dir: PathLike, label_set: str, folds: Sequence[int]) -> None:
    """Logs how many utterances and speakers each class of a label set has, and looks for it in all splits of `folds`.

    Raises SertkError for one that a training split lacks, and for a split without labels; logs a warning of one that
    nothing is validated or tested on.
    """
    labels, corpus = Labels.read(data_dir, label_set), Corpus(DataDir(data_dir))
    where = Path(data_dir) / "labels" / label_set
    require_names(labels.classes, where, "classes")
    sizes = {name: count_class(name, labels, corpus) for name in labels.classes}
    log.info("%s: %s", where, ", ".join(f"{name} {number}" for name, number in sizes.items()))
    lacking = defaultdict(list)
    for fold in folds:
        for split, utterances in read_fold(splits_dir, fold, corpus.utt2spk)._asdict().items():
            there = {labels.by_utterance[utterance] for utterance in labels.labelled(utterances)}
            if not there:
                raise SertkError(f"{splits_dir}/fold{fold}/{split}: none of its utterances is in {where}")
            absent = [name for name in labels.classes if name not in there]
            if absent and split == "train":
                what = ", ".join(f"{name}, which has {sizes[name]}" for name in absent)
                remedy = "choose another protocol, other --folds, or a label set without this class"
                raise SertkError(f"{splits_dir}/fold{fold}: nothing to learn {what}; {remedy}")
            for name in absent:
                lacking[split, name].append(str(fold))
    for (split, name), numbers in lacking.items():
        done = {"valid": "validated", "test": "tested"}[split]
        log.warning("%s: warning: %s is not %s in fold %s", splits_dir, name, done, first_of(numbers))


def count_class(name: str, labels: Labels, corpus: Corpus) -> str:
    """How many utterances a class has and, where they are known, of how many speakers."""
    utterances = [utterance for utterance, label in labels.by_utterance.items() if label == name]
    if not corpus.knows_speakers():
        return counted(len(utterances), "utterance")
    speakers = len({corpus.utt2spk[utterance] for utterance in utterances})
    return f"{counted(len(utterances), 'utterance')} of {counted(speakers, 'speaker')}"
