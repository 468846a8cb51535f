"""From a data folder and a protocol to checked fold lists and their card."""

from pathlib import Path
from typing import Any

from sertk.core.errors import SertkError
from sertk.core.files import PathLike
from sertk.kaldi.datadir import DataDir
from sertk.protocols.checks import audio_hashes, check_leakage
from sertk.protocols.lists import read_card, write_splits
from sertk.protocols.options import load_protocol
from sertk.protocols.rules import RULES, TEST_ONLY, Corpus

SPEAKER_CHECKS = {
    True: "no speaker is in two parts of a fold",
    TEST_ONLY: "no speaker of a fold's test part is in another part",
    False: "speakers are NOT kept apart",
}
UNKNOWN_SPEAKERS = (
    "the speakers are not known, and each recording counts as one: whoever is tested may have been trained on, "
    "so that the scores say nothing about new speakers"
)


def make_splits(
    datadir: PathLike, outdir: PathLike, config: PathLike, protocol: str, repeats: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Writes OUTDIR/foldF/{train,valid,test} and OUTDIR/card.yaml, all or nothing; returns the card.

    The same arguments give the same lists. Raises SertkError if a split is empty, if the same audio is on
    two sides, or, for protocols that keep speakers apart, a speaker is.
    """
    rule, options, source = load_protocol(config, protocol, repeats=repeats, seed=seed)
    function, speaker_disjoint = RULES[rule]
    corpus = Corpus(DataDir(datadir))
    try:
        folds = list(function(corpus, **options))
    except SertkError as error:
        raise SertkError(f"protocol {protocol}: {error}") from error
    if not folds:
        raise SertkError(f"protocol {protocol}: no folds")
    hashes = audio_hashes(corpus)
    for number, fold in enumerate(folds, 1):
        check_leakage(fold, corpus.utt2spk, hashes, speaker_disjoint, f"protocol {protocol}, fold {number}")
    known = corpus.knows_speakers()
    card = {
        "protocol": protocol,
        "corpus": Path(datadir).absolute().name,
        "rule": rule,
        "options": {key: value for key, value in options.items() if key != "seed"},
        "source": source,
        "speaker_disjoint": speaker_disjoint if known else False,
        "seed": options.get("seed"),
        "utterances": len(corpus.utterances),
        "speakers": len(corpus.speakers),
        "leakage_checks": [
            "no utterance is in two parts of a fold",
            "no audio, by the sha1 of its samples, is in two parts of a fold",
            SPEAKER_CHECKS[speaker_disjoint] if known else "speakers are NOT known",
        ],
        **({} if known else {"warning": UNKNOWN_SPEAKERS}),
    }
    write_splits(Path(outdir), folds, corpus, card)
    return read_card(outdir)
