"""Trains one step of a model on one fold."""

import logging
import resource
import sys

from sertk.bin._options import add_config_options
from sertk.config.loading import load_parts
from sertk.core.command import make_parser, run_command
from sertk.core.device import add_device_options, choose_device
from sertk.core.errors import SertkError

log = logging.getLogger(__name__)

PREEMPTED = 143  # what a shell reports for a process that SIGTERM ended


def build_parser():
    parser = make_parser(
        "sertk-train",
        "Trains one step of a model on one fold, going on from the last checkpoint if it was cut off.",
        "sertk-train --config exp/ravdess_8_emobox/blstm/config.yaml --data data/ravdess --labels 8 \\\n"
        "    --splits data/ravdess/splits/emobox --fold 1 --seed 1 exp/ravdess_8_emobox/blstm/fold1/seed1",
    )
    add_config_options(parser)
    parser.add_argument("--step", help="one of the config's steps (default: the last)")
    parser.add_argument("--data", required=True, help="data folder")
    parser.add_argument("--labels", required=True, help="label set")
    parser.add_argument("--splits", required=True, help="folder of the protocol's fold lists")
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("run_dir", help="folder of this fold and seed")
    add_device_options(parser)
    return parser


def run(args):
    steps = load_parts(args.config, args.set)
    last = list(steps)[-1]
    name = args.step or last
    if name not in steps:
        raise SertkError(f"{args.config}: no step {name} (there are {', '.join(steps)})")
    from sertk.experiments.experiment import check_earlier_parts, hold_run
    from sertk.training.loop import Interrupted
    from sertk.training.step import train_step

    try:
        with hold_run(args.run_dir):
            check_earlier_parts(args.run_dir, steps, name, args.splits, args.fold, args.seed)
            train_step(args, steps[name], None if name == last else name, choose_device(args))
    except Interrupted:
        log.info("stopped by SIGTERM after writing a checkpoint")
        return PREEMPTED
    log.info("peak memory %.1f GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    return 0


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
