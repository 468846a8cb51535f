"""Extracts the vectors of a trained model's layer."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import (
    add_device_options,
    add_input_options,
    add_run_options,
    check_input_options,
    choose_device,
    read_input,
)
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.experiments.experiment import require_trained
from sertk.experiments.layout import find_run


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-extract",
        "Extracts the vectors of one layer of a run's model: a matrix per utterance, with the layer's rows\n"
        "(the capsules of `lower`; one row in `output`), averaged over the utterance's windows, or its frames (the\n"
        "layers of a speech recogniser, whose EXP is its experiment).\n\n"
        "What is extracted is named as for sertk-decode: --split of the run's fold (default: test), --data for all of\n"
        "a data folder, --feats for archives. --list prints the layers that the model has.",
        "sertk-extract --layer lower --fold 1 exp/ravdess_8_emobox/blstm_capsule ark,scp:lower.ark,lower.scp",
    )
    parser.add_argument("--layer", default="output", help="the layer (default: output, the scores)")
    parser.add_argument("--mean", action="store_true", help="one row for each utterance, the mean of its rows")
    parser.add_argument("--list", action="store_true", help="print the layers and extract nothing")
    parser.add_argument("--part", help="an earlier part of the model, such as gmm (default: the last)")
    add_input_options(parser)
    add_run_options(parser)
    parser.add_argument("wspecifier", nargs="?", help="where the vectors go")
    add_device_options(parser)
    return parser


def execute(args: Namespace) -> None:
    check_input_options(args)
    if not (args.list or args.wspecifier):
        raise UsageError("a WSPECIFIER says where the vectors go")
    path = find_run(args.exp, args.fold, args.seed)
    require_trained(path)
    from sertk.inference.trained import TrainedModel
    from sertk.inference.vectors import write_vectors
    from sertk.pipeline import Run

    trained = TrainedModel(path, choose_device(args), args.part)
    if args.list:
        print("\n".join(trained.model.layers))
        return
    run = None if args.data or args.feats else Run.of(path)
    write_vectors([(trained, read_input(trained, run, args).dataset)], args.layer, args.wspecifier, args.mean)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
