"""The checks that nothing leaks from one split of a fold into another."""

from collections.abc import Mapping

from sertk.core.errors import SertkError
from sertk.core.names import compared_form
from sertk.features.audio import audio_hash, read_utterances
from sertk.protocols.rules import TEST_ONLY, Corpus, Fold


def audio_hashes(corpus: Corpus) -> dict[str, str]:
    """{utterance: hash of its audio} from utt2hash, else from the audio itself."""
    datadir = corpus.datadir
    if datadir.has("utt2hash"):
        source, hashes = "utt2hash", datadir.table("utt2hash")
    else:
        segments = datadir.path / "segments"
        audio = read_utterances(datadir.path / "wav.scp", segments if segments.exists() else None)
        source, hashes = "wav.scp", {utt: audio_hash(samples, rate) for utt, samples, rate in audio}
    return corpus.complete(source, hashes, corpus.utterances)


def check_leakage(
    fold: Fold, utt2spk: Mapping[str, str], hashes: Mapping[str, str], speaker_disjoint: bool | str, where: str
) -> None:
    """Raises SertkError if a split is empty or shares utterances, audio or speakers, however these are spelt.

    `speaker_disjoint` is as in RULES. The splits are gone through in their order.
    """
    allowed = ("speaker", "train", "valid") if speaker_disjoint == TEST_ONLY else None
    kinds = [("utterance", {}, lambda utt: utt), ("audio", {}, hashes.get)]
    if speaker_disjoint:
        kinds.insert(1, ("speaker", {}, lambda utt: speaker_form(utt, utt2spk[utt])))
    for split, utterances in fold._asdict().items():
        if not utterances:
            raise SertkError(f"{where}: no utterances in the {split} split; use more data or other options")
        for utt in utterances:
            for kind, seen, key_of in kinds:
                other_split, other = seen.setdefault(key_of(utt), (split, utt))
                if other_split != split and (kind, other_split, split) != allowed:
                    raise SertkError(
                        f"{where}: the same {kind} in {other_split} and {split}: {other} and {utt}; "
                        "correct the data folder, or remove one of them from it"
                    )


def speaker_form(utterance: str, speaker: str) -> str:
    """What speakers are compared by: their names' compared form, or the utterance where that stands for an unknown."""
    return speaker if speaker == utterance else compared_form(speaker)
