"""Decodes a part of a fold, or any archives, to posteriors."""

import sys
from pathlib import Path

from sertk.bin._options import add_input_options
from sertk.core.command import make_parser, run_command
from sertk.core.device import add_device_options, choose_device
from sertk.core.errors import UsageError


def build_parser():
    parser = make_parser(
        "sertk-decode",
        "Decodes utterances to posteriors, with the model trained in RUN_DIR.\n\n"
        "With --data and --splits it decodes a part of the run's fold into RUN_DIR/decode_PART\n"
        "(posteriors.ark, posteriors.scp, predictions.tsv); with --data and WSPECIFIER all of a data folder,\n"
        "with --feats and WSPECIFIER any archives.\n"
        "With --label_map it decodes another corpus, --data, into RUN_DIR/decode_CORPUS_LABELS.",
        "compute-mfcc-feats ... ark:- | add-deltas ark:- ark:- | \\\n"
        "    sertk-decode --feats mfcc_deltas=ark:- exp/ravdess_8_emobox/blstm_deltas/fold1/seed1 ark,t:-",
    )
    add_input_options(parser)
    parser.add_argument("run_dir", help="folder of a trained fold and seed")
    parser.add_argument("wspecifier", nargs="?", help="where posteriors go, e.g. ark,t:-")
    parser.add_argument(
        "--label_map",
        metavar="FILE",
        help="YAML, lines `class: [label, ...]`: which of the --labels of another corpus count as a class",
    )
    add_device_options(parser)
    return parser


def run(args):
    from sertk.inference.decoding import write_decoded_part, write_posteriors
    from sertk.inference.inputs import check_input_options, read_input
    from sertk.inference.trained import TrainedModel

    check_input_options(args)
    if args.label_map:
        return decode_other_corpus(args)
    if args.splits and args.wspecifier:
        raise UsageError("--splits decodes into RUN_DIR: no WSPECIFIER")
    if not args.splits and not args.wspecifier:
        raise UsageError("without --splits a WSPECIFIER says where the posteriors go")
    trained = TrainedModel(args.run_dir, choose_device(args))
    decoded = read_input(trained, args)
    if args.splits:
        write_decoded_part(trained, decoded, Path(args.run_dir) / f"decode_{args.part}")
    else:
        write_posteriors(args.wspecifier, decoded.dataset.utterances, trained.posteriors(decoded.dataset).numpy())


def decode_other_corpus(args):
    from sertk.inference.cross import read_other_corpus
    from sertk.inference.decoding import write_decoded_part
    from sertk.inference.trained import TrainedModel

    if not (args.data and args.labels) or args.splits or args.cmvn or args.wspecifier:
        raise UsageError("--label_map takes --data and --labels, and no --splits, --cmvn or WSPECIFIER")
    trained = TrainedModel(args.run_dir, choose_device(args))
    decoded, card = read_other_corpus(trained, args.data, args.labels, args.label_map)
    name = f"decode_{card['corpus']}_{card['label_set']}"
    write_decoded_part(trained, decoded, Path(args.run_dir) / name, card)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
