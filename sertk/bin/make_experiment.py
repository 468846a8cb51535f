"""Makes an experiment folder: its resolved config, its protocol card, and what it is trained on."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_config_options
from sertk.config.loading import data_needed, derive_tag, encoder_of, load_parts
from sertk.core.command import make_parser, run_command
from sertk.core.device import find_device
from sertk.core.errors import UsageError
from sertk.experiments.encoders import with_encoder
from sertk.experiments.experiment import Experiment


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-make-experiment",
        "Makes EXP with config.yaml, card.yaml and data.yaml, refusing one that was made with other settings; or,\n"
        "with --plan, only says what the config asks for: `tag NAME`, `data NAME` for each that the data folder is to\n"
        "hold, `encoder NAME`, and with --with_encoder, which looks for that, `layers LAYER,... POOL TYPE` for its\n"
        "archives, with {layer} in the name TYPE.",
        "sertk-make-experiment --config ../common/conf/blstm.yaml --set training.max_epochs=3 \\\n"
        "    --data data/ravdess --splits data/ravdess/splits/emobox --labels 8 exp/x/blstm",
    )
    add_config_options(parser)
    parser.add_argument("--plan", action="store_true", help="say what the config asks for, and make nothing")
    parser.add_argument("--device", metavar="NAME", help="with --plan: also see whether there is this device, as cuda")
    parser.add_argument("--with_encoder", action="store_true", help="with --plan: also say which layers are to be made")
    parser.add_argument(
        "--asr_exp", metavar="DIR", help="the speech recogniser's experiment, where the model takes a layer"
    )
    parser.add_argument("--data", help="data folder")
    parser.add_argument("--splits", help="folder of the protocol's fold lists")
    parser.add_argument("--labels", help="label set")
    parser.add_argument("--corpus", help="the corpus's name, for the card (default: that of the data folder)")
    parser.add_argument("--subset", help="what is taken of the corpus, where it is not all")
    parser.add_argument("exp", nargs="?", metavar="EXP")
    return parser


def execute(args: Namespace) -> None:
    if args.plan:
        print_plan(args)
        return
    if not all((args.data, args.splits, args.labels, args.exp)):
        raise UsageError("give --data, --splits, --labels and EXP")
    Experiment.create(
        args.exp,
        args.config,
        args.data,
        args.splits,
        args.labels,
        settings=args.set,
        overlay=args.overlay,
        corpus=args.corpus,
        subset=args.subset,
        recogniser=args.asr_exp,
    )


def print_plan(args):
    parts = load_parts(args.config, args.set, args.overlay)
    if args.device:
        find_device(args.device)
    if args.with_encoder:
        parts = with_encoder(parts, args.asr_exp)
    print("tag", derive_tag(args.set, args.overlay))
    for name in data_needed(parts):
        print("data", name)
    encoder = encoder_of(parts)
    if encoder:
        print("encoder", encoder.name)
    if encoder and args.with_encoder and not encoder.in_loop:
        print("layers", ",".join(map(str, encoder.layers)), encoder.pool, encoder.archive_name("{layer}"))


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
