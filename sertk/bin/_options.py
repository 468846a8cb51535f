"""Options that several commands have, and what they mean to the library."""

import shlex
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sertk.core.device import find_device, keep_freed_memory
from sertk.core.errors import SertkError, UsageError
from sertk.kaldi.archives import refuse_shared_input
from sertk.kaldi.datadir import SPLITS, read_lines

if TYPE_CHECKING:
    import torch

    from sertk.experiments.run import Run
    from sertk.inference.inputs import Input
    from sertk.inference.trained import TrainedModel


def split_words(text: str) -> list[str]:
    """The words of an option, in which quotes keep spaces together as in a shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text}: {error}") from error


def add_config_options(parser: ArgumentParser) -> None:
    """`--config`, `--overlay`, and `--set` with all its settings in one word, as the recipes take them."""
    parser.add_argument("--config", required=True, metavar="FILE", help="a model's or an experiment's YAML")
    parser.add_argument("--overlay", metavar="FILE", help="a YAML file laid over the config, under the settings")
    parser.add_argument(
        "--set", default=[], type=split_words, metavar="'KEY=VALUE ...'", help="settings laid over the config"
    )


def add_run_options(parser: ArgumentParser, needed: bool = True) -> None:
    """An experiment and which of its runs, or a run's folder; options may stand behind it."""
    parser.parse_args = parser.parse_intermixed_args
    number, words = None if needed else "?", "experiment folder, or a run's folder (EXP/fold1/seed1)"
    parser.add_argument("exp", metavar="EXP", nargs=number, help=words)
    add_fold_options(parser)


def add_fold_options(parser: ArgumentParser) -> None:
    parser.add_argument("--fold", type=int, help="which of the experiment's folds, where it has several runs")
    parser.add_argument("--seed", type=int, help="which seed, likewise")


def add_folds_option(parser: ArgumentParser) -> None:
    """Several folds in one word, as the recipes take them."""
    parser.add_argument("--folds", type=fold_numbers, default=[], metavar="'F ...'", help="default: all")


def fold_numbers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def add_job_options(parser: ArgumentParser) -> None:
    """The runs of a job array: line JOB of what sertk-jobs printed."""
    parser.add_argument("--jobs", metavar="FILE", help="what sertk-jobs printed, in the place of --fold and --seed")
    parser.add_argument("--job", type=int, metavar="N", help="which line of it, from 1")


def job_of(args: Namespace) -> tuple[int | None, int | None]:
    """(fold, seed) of the options of `add_run_options` and `add_job_options`, None where they are not given."""
    if (args.jobs is None) != (args.job is None) or args.jobs and (args.fold, args.seed) != (None, None):
        raise UsageError("--jobs FILE and --job N go together, without --fold and --seed")
    if args.jobs is None:
        return args.fold, args.seed
    lines = read_lines(args.jobs)
    if not 1 <= args.job <= len(lines):
        raise UsageError(f"--job {args.job}: {args.jobs} has {len(lines)} lines")
    try:
        fold, seed = map(int, lines[args.job - 1].split()[:2])
    except ValueError as error:
        raise SertkError(f"{args.jobs}:{args.job}: expected FOLD SEED STATE, as sertk-jobs prints it") from error
    return fold, seed


def add_input_options(parser: ArgumentParser) -> None:
    """What a trained model is used on: a split of its fold, a data folder, or archives; see `read_input`."""
    parser.add_argument("--split", choices=SPLITS, help="of the run's fold (default: test, without --data and --feats)")
    parser.add_argument("--data", help="data folder")
    parser.add_argument(
        "--feats", action="append", default=[], metavar="NAME=RSPECIFIER", help="archives of a feature type; repeat it"
    )
    parser.add_argument(
        "--cmvn",
        action="append",
        default=[],
        metavar="NAME=RSPECIFIER",
        help="Kaldi CMVN statistics per speaker (default: taken from what is decoded)",
    )
    parser.add_argument("--utt2spk", help="speakers of the utterances in --feats (also as ark:FILE)")


def check_input_options(args: Namespace) -> None:
    """Raises UsageError unless the options of `add_input_options` name one thing."""
    if sum(map(bool, (args.split, args.data, args.feats))) > 1:
        raise UsageError("give one of --split, --data and --feats")
    if args.cmvn and not (args.data or args.feats):
        raise UsageError("a split is normalised by its own statistics: no --cmvn")
    refuse_shared_input(args.utt2spk, *(text.partition("=")[2] for text in args.feats + args.cmvn))


def read_input(trained: "TrainedModel", run: "Run | None", args: Namespace) -> "Input":
    """The Input that the options of `add_input_options` name: with a Run a split of its fold, else what is none."""
    from sertk.inference.inputs import read_archives, read_cmvn, read_data_dir, read_split

    if run:
        return read_split(trained, run, args.split or "test")
    cmvn = read_cmvn(named_specifiers(args.cmvn, "--cmvn"))
    if args.data:
        return read_data_dir(trained, args.data, cmvn)
    return read_archives(trained, named_specifiers(args.feats, "--feats"), args.utt2spk, cmvn)


def add_model_options(parser: ArgumentParser) -> None:
    """Which run of an experiment's folder is meant, and what is not recorded of its features."""
    add_fold_options(parser)
    parser.add_argument(
        "--feats_config",
        action="append",
        default=[],
        metavar="TYPE=FILE",
        help="YAML file of a feature type, or a shipped type, where no record says how it was made",
    )


def named_specifiers(options: Iterable[str], option: str) -> dict[str, str]:
    """{name: rspecifier} of NAME=RSPECIFIER arguments; `option` is named in errors."""
    named = {}
    for text in options:
        name, equals, rspecifier = text.partition("=")
        if not (name and equals and rspecifier):
            raise UsageError(f"{option} {text}: expected NAME=RSPECIFIER")
        if name in named:
            raise UsageError(f"{option} {text}: {name} is given twice")
        named[name] = rspecifier
    return named


def add_device_options(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or cuda:N")
    parser.add_argument("--num_threads", type=int, default=0, help="CPU threads (default: 0, all cores)")


def choose_device(args: Namespace) -> "torch.device":
    """The torch device of the options of `add_device_options`; raises SertkError for one that is not there."""
    import torch

    keep_freed_memory()
    if args.num_threads < 0:
        raise UsageError(f"--num_threads {args.num_threads}: expected 0 (all cores) or more")
    if args.num_threads:
        torch.set_num_threads(args.num_threads)
    return find_device(args.device)
