"""Trains a run of an experiment."""

import logging
import resource
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_device_options, add_job_options, add_run_options, choose_device, job_of
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.core.files import PathLike
from sertk.experiments.experiment import Experiment
from sertk.experiments.layout import experiment_of, is_run_folder, run_numbers

log = logging.getLogger(__name__)

PREEMPTED = 143  # what a shell reports for a process that SIGTERM ended


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-train",
        "Trains a fold of an experiment from a seed, all parts of the model, going on from the last checkpoint if it\n"
        "was cut off. sertk-make-experiment makes EXP, and sertk-jobs lists its folds and seeds.",
        "sertk-train exp/ravdess_8_emobox/blstm --fold 1 --seed 1",
    )
    add_run_options(parser)
    add_job_options(parser)
    add_device_options(parser)
    return parser


def run_of(args: Namespace) -> tuple[PathLike, int, int]:
    """The experiment's folder, fold and seed (default: 1) that are meant, whose run need not be there yet."""
    fold, seed = job_of(args)
    if fold is None and seed is None and is_run_folder(args.exp):
        return experiment_of(args.exp), *run_numbers(args.exp)
    if fold is None:
        raise UsageError("which run? --fold F [--seed S], or --jobs FILE --job N")
    return args.exp, fold, 1 if seed is None else seed


def execute(args: Namespace) -> int:
    exp, fold, seed = run_of(args)
    stored = Experiment(exp).run(fold, seed)
    if stored.state in ("trained", "decoded"):
        stored.check()
        log.info("%s is trained already", stored.path)
        return 0
    from sertk.pipeline import Experiment as Pipeline
    from sertk.training.loop import Interrupted

    try:
        Pipeline(exp).run(fold, seed).train(choose_device(args))
    except Interrupted:
        log.info("stopped by SIGTERM after writing a checkpoint")
        return PREEMPTED
    log.info("peak memory %.1f GiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
