"""Options that several commands have."""

import shlex

from sertk.core.errors import UsageError
from sertk.kaldi.datadir import SPLIT_PARTS


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
