"""Lists the runs of an experiment."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_folds_option
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.experiments.experiment import Experiment


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-jobs",
        "Lists the runs of an experiment, a line `FOLD SEED STATE` for each; a state is new, training (begun, and\n"
        "perhaps cut off), trained or decoded. sertk-train and sertk-decode take line N of it as --jobs FILE --job N,\n"
        "so that run.pl, slurm.pl and queue.pl can go through it.",
        "sertk-jobs --repeats 3 exp/ravdess_8_emobox/blstm > jobs.txt\n"
        "  run.pl JOB=1:18 log/train.JOB.log sertk-train --jobs jobs.txt --job JOB exp/ravdess_8_emobox/blstm",
    )
    add_folds_option(parser)
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="seeds of each fold (default: 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the first seed (default: 1)")
    parser.add_argument("exp", metavar="EXP", help="experiment folder")
    return parser


def execute(args: Namespace) -> None:
    if args.repeats < 1 or args.seed < 0:
        raise UsageError("--repeats is at least 1, and --seed at least 0")
    for run in Experiment(args.exp).jobs(args.folds, args.repeats, args.seed):
        print(run.fold, run.seed, run.state)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
