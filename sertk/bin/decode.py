"""Decodes a part of a fold, or any archives, to posteriors."""

import sys
from pathlib import Path

from sertk.command import make_parser, run_command
from sertk.datadir import SPLIT_PARTS
from sertk.device import add_device_options, choose_device
from sertk.errors import UsageError


def build_parser():
    parser = make_parser(
        "sertk-decode",
        "Decodes utterances to posteriors, with the model trained in RUN_DIR.\n\n"
        "With --data and --splits it decodes a part of the run's fold into RUN_DIR/decode_PART\n"
        "(posteriors.ark, posteriors.scp, predictions.tsv); with --data and WSPECIFIER all of a data folder,\n"
        "with --feats and WSPECIFIER any archives.",
        "compute-mfcc-feats ... ark:- | add-deltas ark:- ark:- | \\\n"
        "    sertk-decode --feats mfcc_deltas=ark:- exp/ravdess_8_emobox/blstm_deltas/fold1/seed1 ark,t:-",
    )
    parser.add_argument("--data", help="data folder")
    parser.add_argument("--splits", help="folder of the protocol's fold lists")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--labels", help="label set, for the references in predictions.tsv")
    parser.add_argument("--part", default="test", choices=SPLIT_PARTS)
    parser.add_argument("--feats", action="append", default=[], metavar="NAME=RSPECIFIER")
    parser.add_argument("--cmvn", action="append", default=[], metavar="NAME=RSPECIFIER",
                        help="Kaldi CMVN statistics per speaker (default: taken from what is decoded)")
    parser.add_argument("--utt2spk", help="speakers of the utterances in --feats")
    parser.add_argument("run_dir", help="folder of a trained fold and seed")
    parser.add_argument("wspecifier", nargs="?", help="where posteriors go, e.g. ark,t:-")
    add_device_options(parser)
    return parser


def run(args):
    if args.feats and args.data or not (args.feats or args.data):
        raise UsageError("give either --data or --feats")
    if args.splits and not (args.fold and args.labels and args.data):
        raise UsageError("--splits needs --data, --fold and --labels")
    if args.splits and (args.cmvn or args.wspecifier):
        raise UsageError("--splits decodes into RUN_DIR with the part's own statistics: no --cmvn, no WSPECIFIER")
    if not args.splits and not args.wspecifier:
        raise UsageError("without --splits a WSPECIFIER says where the posteriors go")
    from sertk.decoding.emotion import decode_archives, decode_data_dir, decode_part
    from sertk.tasks.emotion import TrainedEmotionModel

    trained = TrainedEmotionModel(args.run_dir, choose_device(args))
    cmvn = named_specifiers(args.cmvn, "--cmvn")
    if args.splits:
        decode_part(trained, Path(args.run_dir), args.data, args.splits, args.fold, args.part, args.labels)
    elif args.data:
        decode_data_dir(trained, args.run_dir, args.data, cmvn, args.wspecifier)
    else:
        decode_archives(trained, named_specifiers(args.feats, "--feats"), args.utt2spk, cmvn, args.wspecifier)


def named_specifiers(options, option):
    """{feature type: rspecifier} of NAME=RSPECIFIER options."""
    named = {}
    for text in options:
        name, equals, rspecifier = text.partition("=")
        if not (name and equals and rspecifier):
            raise UsageError(f"{option} {text}: expected NAME=RSPECIFIER")
        named[name] = rspecifier
    return named


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
