"""CMVN statistics in Kaldi's format."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence

import numpy as np
from kaldiio.matio import write_array

from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError
from sertk.core.files import write_aside
from sertk.features import cmvn
from sertk.kaldi import archives
from sertk.kaldi.datadir import require_all

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-compute-cmvn",
        "Statistics for mean and variance normalisation: per utterance, per speaker with --spk2utt, or over "
        "everything where the output is a plain file.",
        "sertk-compute-cmvn --spk2utt data/spk2utt scp:data/feats/fbank40.scp ark,scp:cmvn.ark,cmvn.scp",
    )
    parser.add_argument("--spk2utt", metavar="FILE", help="speaker utterance... (also as ark:FILE)")
    parser.add_argument("rspecifier", help="features, for example scp:feats.scp")
    parser.add_argument("wspecifier", help="ark:FILE or ark,scp:FILE,SCP; a plain file for global statistics")
    return parser


def execute(args: Namespace) -> None:
    archives.refuse_shared_input(args.spk2utt, args.rspecifier)
    features = archives.open_matrices(args.rspecifier)
    if not archives.SPECIFIER.match(args.wspecifier):
        if args.spk2utt:
            raise SertkError(f"--spk2utt needs an archive to write, such as ark:{args.wspecifier}")
        write_global(args.wspecifier, features)
        return
    with archives.MatrixWriter(args.wspecifier) as writer:
        if args.spk2utt:
            named_stats = speaker_stats(args.spk2utt, features, args.rspecifier)
        else:
            named_stats = ((utterance, accumulate(utterance, matrix)) for utterance, matrix in features)
        for name, stats in named_stats:
            writer.write(name, stats)


def write_global(path: str, features: Iterable[tuple[str, np.ndarray]]) -> None:
    """Writes one matrix of statistics over all features (utterance, matrix), of which there are some."""
    features = iter(features)
    stats = accumulate(*next(features))
    for utterance, matrix in features:
        stats = accumulate(utterance, matrix, stats)
    with write_aside(path, "wb") as stream:
        write_array(stream, stats.astype(np.float64))


def speaker_stats(
    path: str, features: Iterable[tuple[str, np.ndarray]], rspecifier: str
) -> list[tuple[str, np.ndarray]]:
    """`(speaker, statistics)` of the features that `rspecifier` names, in the order of the spk2utt file `path`."""
    spk2utt = {speaker: utterances.split() for speaker, utterances in archives.read_text_table(path).items()}
    speakers = {utterance: speaker for speaker, utterances in spk2utt.items() for utterance in utterances}
    stats, seen, ignored = {}, set(), 0
    for utterance, matrix in features:
        if (speaker := speakers.get(utterance)) is None:
            ignored += 1
            continue
        seen.add(utterance)
        stats[speaker] = accumulate(utterance, matrix, stats.get(speaker))
    if not archives.split_rspecifier(rspecifier).permissive:
        require_all(rspecifier, seen, speakers, f"compute them, or take them out of {path}")
    if ignored:
        log.warning("%d utterances are not in %s and are left out", ignored, path)
    return [(speaker, stats[speaker]) for speaker in spk2utt if speaker in stats]


def accumulate(utterance: str, matrix: np.ndarray, stats: np.ndarray | None = None) -> np.ndarray:
    try:
        return cmvn.accumulate(matrix, stats)
    except SertkError as error:
        raise SertkError(f"{utterance}: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
