"""Packs a trained system into one file."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_model_options, named_specifiers
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-pack",
        "Packs a trained system into one zip, with which sertk-predict and sertk.load_recognizer do without the\n"
        "recipe: weights, config, normalisation, classes, the options of its features, the protocol card and scores.",
        "sertk-pack --fold 1 exp/ravdess_8_emobox/blstm_capsule ravdess.zip",
    )
    add_model_options(parser)
    parser.add_argument(
        "--with_encoder", action="store_true", help="put the encoder's weights in, too (default: its name and digest)"
    )
    parser.add_argument("exp", metavar="EXP", help="experiment folder, or a run's folder (EXP/fold1/seed1)")
    parser.add_argument("zip", help="file to write")
    return parser


def execute(args: Namespace) -> None:
    if not args.zip.endswith(".zip"):
        raise UsageError(f"{args.zip}: the file to write ends with .zip")
    options = named_specifiers(args.feats_config, "--feats_config")
    import torch

    from sertk.predicting.load import load_system
    from sertk.predicting.package import write_package

    write_package(
        args.zip, load_system(args.exp, torch.device("cpu"), args.fold, args.seed, options), args.with_encoder
    )


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
