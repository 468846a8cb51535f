"""What all commands share: options, messages, progress bars, exit codes."""

import argparse
import logging
import os
import shlex
import signal
import sys

from tqdm import tqdm

from sertk.core.errors import SertkError, UsageError
from sertk.kaldi.datadir import SPLIT_PARTS


def make_parser(name, description, example):
    """An argument parser with `--debug` and an example at the end of its help."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_config_options(parser):
    """`--config`, and `--set` with all its settings in one word, as the recipes take them."""
    parser.add_argument("--config", required=True, metavar="FILE", help="a model's or an experiment's YAML")
    parser.add_argument(
        "--set", default=[], type=shlex.split, metavar="'KEY=VALUE ...'", help="settings laid over the config"
    )


def add_input_options(parser):
    """What a trained model is used on: a part of its fold, a data folder, or archives; see decoding/inputs.py."""
    parser.add_argument("--data", help="data folder")
    parser.add_argument("--splits", help="folder of the protocol's fold lists")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--labels", help="label set")
    parser.add_argument("--part", default="test", choices=SPLIT_PARTS, help="of the fold (default: test)")
    parser.add_argument("--feats", action="append", default=[], metavar="NAME=RSPECIFIER")
    parser.add_argument(
        "--cmvn",
        action="append",
        default=[],
        metavar="NAME=RSPECIFIER",
        help="Kaldi CMVN statistics per speaker (default: taken from what is decoded)",
    )
    parser.add_argument("--utt2spk", help="speakers of the utterances in --feats (also as ark:FILE)")


def add_model_options(parser):
    """Which trained system of an experiment folder is meant, and what is not recorded of its features."""
    parser.add_argument("--fold", type=int, help="of an experiment folder with several trainings")
    parser.add_argument("--seed", type=int, help="likewise")
    parser.add_argument(
        "--feats_config",
        action="append",
        default=[],
        metavar="TYPE=FILE",
        help="YAML file of a feature type, or a shipped type, where no record says how it was made",
    )


def named_specifiers(options, option):
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


def run_command(parser, function, argv=None):
    """Parses `argv`, calls `function(args)` and returns the exit status.

    0 is success, 1 an error that is printed as one line, 2 wrong usage, 130 an interruption (Ctrl-C).
    """
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        status = function(args) or 0
        if sys.stdout:
            sys.stdout.flush()
        return status
    except SertkError as error:
        if args.debug:
            raise
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # What is still buffered would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"{parser.prog}: what reads the output ended before it had read all", file=sys.stderr)
        return 1
    except OSError as error:
        if args.debug:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        print(f"{parser.prog}: {what}", file=sys.stderr)
        return 1


def progress(items, description, total=None):
    """`items` with a bar on a terminal, and silently elsewhere, or without a description."""
    if description is None:
        return items
    return tqdm(items, desc=description, total=total, disable=not sys.stderr.isatty(), leave=False)
