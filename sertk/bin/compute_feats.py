"""Features of recordings into Kaldi archives."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError, UsageError
from sertk.core.messages import counted
from sertk.features import audio
from sertk.features.notes import note_options
from sertk.features.recording import log_warning
from sertk.kaldi import archives
from sertk.kaldi.datadir import first_of

if TYPE_CHECKING:
    from sertk.features.extractor import Extractor

AUTOMATIC = 1  # Kaldi's choice of a compression by the shape of the matrix

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-compute-feats",
        "Features of recordings: any audio format, sampling rate and number of channels.\n"
        "Beside an archive FILE, FILE.yaml says with which options it was made.",
        "sertk-compute-feats --type fbank40 scp:data/wav.scp ark,scp:feats.ark,feats.scp",
    )
    parser.add_argument("--type", metavar="T", help="feature type, for example fbank40 or mfcc_pitch")
    parser.add_argument("--config", metavar="FILE", help="YAML file of a feature type of one's own")
    parser.add_argument("--segments", metavar="FILE", help="cut the recordings: utterance recording start end")
    parser.add_argument(
        "--channel", type=int, metavar="N", help="take this channel, from 0; all are averaged by default"
    )
    parser.add_argument(
        "--utt2hash", metavar="FILE", help="refuse recordings that have changed since this table was made"
    )
    parser.add_argument(
        "--max_bad", type=int, default=0, metavar="N", help="leave out up to N broken recordings (default: 0)"
    )
    parser.add_argument(
        "--num_threads", type=int, default=1, metavar="N", help="threads (default: 1; openSMILE takes one)"
    )
    parser.add_argument("--compress", action="store_true", help="write compressed archives, as Kaldi's")
    parser.add_argument("rspecifier", help="scp:wav.scp, or ark:- for an archive of waves")
    parser.add_argument("wspecifier", help="ark:feats.ark, ark:- or ark,scp:feats.ark,feats.scp")
    return parser


def execute(args: Namespace) -> None:
    import torch

    from sertk.core.device import keep_freed_memory
    from sertk.features.functionals import OpenSmile
    from sertk.features.registry import describe_extractor, load_extractor

    if not args.type and not args.config:
        raise UsageError("give a feature type as --type, or one of your own as --config")
    if args.max_bad < 0 or args.num_threads < 1:
        raise UsageError("--max_bad takes 0 or more, --num_threads 1 or more")
    torch.set_num_threads(args.num_threads)
    keep_freed_memory()
    extractor = load_extractor(args.type, args.config)
    if args.compress and isinstance(extractor, OpenSmile):
        raise UsageError("--compress would flatten openSMILE's features, whose ranges differ too much")
    bad, odd = {}, []

    def note_bad(utterance, error):
        bad[utterance] = error
        log.warning("%s: %s", utterance, error)

    def note_odd(warning):
        odd.append(warning)
        log_warning(warning)

    source = args.rspecifier, args.segments, args.channel
    recordings = audio.read_prepared(*source, args.utt2hash, note_bad, note_odd)
    with archives.MatrixWriter(args.wspecifier, AUTOMATIC if args.compress else None) as writer:
        written = compute(extractor, recordings, writer, note_bad)
        if len(bad) > args.max_bad:
            total = counted(written + len(bad), "utterance")
            problem = f"{len(bad)} of {total} cannot be used: {first_of([*bad], ', ')}"
            first, reason = next(iter(bad.items()))
            raise SertkError(f"{problem}; more than --max_bad {args.max_bad}; the first is {first}: {reason}")
    if writer.path and writer.path.is_file():
        note_options(writer.path, describe_extractor(extractor, args.channel))
    warnings = counted(len(odd), "warning")
    log.info("features of %s, %d left out, %s", counted(written, "utterance"), len(bad), warnings)


def compute(
    extractor: "Extractor",
    recordings: Iterable[tuple[str, np.ndarray, int]],
    writer: archives.MatrixWriter,
    on_error: audio.OnError,
) -> int:
    """Writes the features of `(utterance, samples, rate)` and returns how many could be made."""
    from sertk.features.extractor import check_length

    written = 0
    target = int(extractor.sample_frequency)
    for utterance, samples, rate in recordings:
        samples = audio.resample(samples, rate, target)
        try:
            check_length(len(samples), extractor)
            features = extractor(samples)
        except SertkError as error:
            on_error(utterance, error)
            continue
        writer.write(utterance, features)
        written += 1
    return written


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
