"""Trains a speech recogniser."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_config_options, add_device_options, choose_device
from sertk.bin.train import PREEMPTED
from sertk.config.loading import load_parts
from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-train-asr",
        "Trains a speech recogniser, going on from the last checkpoint if it was cut off. EXP_DIR/tokens.model has\n"
        "its tokens. Started by torchrun, several processes each take their share of every batch.",
        "sertk-train-asr --config conf/deepspeech.yaml --train data/train --dev data/dev exp/char",
    )
    add_config_options(parser)
    parser.add_argument("--train", required=True, metavar="DIR", help="data folder to learn from")
    parser.add_argument("--dev", required=True, metavar="DIR", help="data folder that chooses the best epoch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("exp_dir")
    add_device_options(parser)
    return parser


def execute(args: Namespace) -> int:
    parts = load_parts(args.config, args.set, args.overlay)
    config = list(parts.values())[-1]
    if len(parts) > 1 or config.task != "asr":
        raise SertkError(f"{args.config}: expected one part, with the task asr")
    from sertk.asr.training import train_asr
    from sertk.core.distributed import leave
    from sertk.training.loop import Interrupted

    status = 0
    try:
        train_asr(config, args.train, args.dev, args.exp_dir, args.seed, choose_device(args))
    except Interrupted:
        log.info("stopped by SIGTERM after writing a checkpoint")
        status = PREEMPTED
    leave()
    return status


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
