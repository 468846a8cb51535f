"""sertk-synthesise-mini: speaks the mini corpus with espeak-ng."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.corpora import mini, mini_asr


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-synthesise-mini",
        "Speaks the mini corpus (8 voices, 4 emotions, German and English) with espeak-ng.",
        "sertk-synthesise-mini downloads/mini",
    )
    parser.add_argument("root", metavar="ROOT", help="the folder to write")
    parser.add_argument("--sentences", type=int, default=8, help="per speaker and emotion, 1 to 8")
    parser.add_argument(
        "--asr",
        type=int,
        metavar="N",
        help="instead, in LibriSpeech's layout: N strings of digits by each of 12 voices, for ASR pretraining",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the variation between utterances")
    return parser


def execute(args: Namespace) -> None:
    if args.asr is not None:
        mini_asr.synthesise(args.root, args.asr, args.seed)
    else:
        mini.synthesise(args.root, args.sentences, args.seed)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
