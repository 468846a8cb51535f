"""Decodes a split of a fold, or any archives, to posteriors."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import (
    add_device_options,
    add_input_options,
    add_job_options,
    add_run_options,
    check_input_options,
    choose_device,
    job_of,
    read_input,
)
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.experiments.layout import find_run


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-decode",
        "Decodes utterances to posteriors, with the model of a run.\n\n"
        "By itself it decodes the test split of the run's fold into its folder, as decode_test (posteriors.ark,\n"
        "posteriors.scp, predictions.tsv), and another one with --split; with --data and WSPECIFIER all of a data\n"
        "folder, with --feats and WSPECIFIER any archives.\n"
        "With --label_map it decodes another corpus, --data and --labels, into decode_CORPUS_LABELS.",
        "sertk-decode exp/ravdess_8_emobox/blstm --fold 1 --seed 1\n"
        "  compute-mfcc-feats ... ark:- | add-deltas ark:- ark:- | \\\n"
        "    sertk-decode --feats mfcc_deltas=ark:- exp/ravdess_8_emobox/blstm_deltas/fold1/seed1 ark,t:-",
    )
    add_run_options(parser)
    add_job_options(parser)
    add_input_options(parser)
    parser.add_argument("wspecifier", nargs="?", help="where posteriors go, e.g. ark,t:-")
    parser.add_argument(
        "--label_map",
        metavar="FILE",
        help="YAML, lines `class: [label, ...]`: which of the --labels of another corpus count as a class",
    )
    parser.add_argument("--labels", help="label set of --data, with --label_map")
    add_device_options(parser)
    return parser


def check_options(args: Namespace) -> None:
    check_input_options(args)
    if args.label_map and (not (args.data and args.labels) or args.cmvn or args.wspecifier):
        raise UsageError("--label_map takes --data and --labels, and no --cmvn or WSPECIFIER")
    if args.labels and not args.label_map:
        raise UsageError("--labels goes with --label_map; a split has the experiment's")
    into_run = args.label_map or not (args.data or args.feats)
    if into_run and args.wspecifier:
        raise UsageError("a split is decoded into the run's folder: no WSPECIFIER without --data and --feats")
    if not (into_run or args.wspecifier):
        raise UsageError("with --data and --feats a WSPECIFIER says where the posteriors go")


def execute(args: Namespace) -> None:
    check_options(args)
    fold, seed = job_of(args)
    from sertk.inference.decoding import write_posteriors
    from sertk.inference.trained import TrainedModel
    from sertk.pipeline import Run

    if args.wspecifier:
        trained = TrainedModel(find_run(args.exp, fold, seed), choose_device(args))
        decoded = read_input(trained, None, args)
        write_posteriors(args.wspecifier, decoded.dataset.utterances, trained.posteriors(decoded.dataset).numpy())
        return
    run = Run.of(args.exp, fold, seed)
    if args.label_map:
        run.decode_corpus(args.data, args.labels, args.label_map, choose_device(args))
    else:
        run.decode(args.split or "test", choose_device(args))


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
