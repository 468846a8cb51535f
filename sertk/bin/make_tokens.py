"""sertk-make-tokens: the tokens of an ASR network from a data folder's text."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.kaldi.datadir import DataDir
from sertk.text.tokens import ALPHABET, TYPES, make_tokens


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-make-tokens",
        "Makes a sentencepiece model of the letters a to z, apostrophe and space, or of BPE pieces of them.",
        "sertk-make-tokens --token_type bpe --vocab_size 500 data/train exp/tokens.model",
    )
    parser.add_argument("data", metavar="DATADIR", help="data folder with the texts of the training")
    parser.add_argument("model", metavar="FILE", help="the model file to write")
    parser.add_argument("--token_type", default="char", choices=TYPES)
    parser.add_argument("--vocab_size", type=int, metavar="N", help="BPE tokens, without the blank of CTC")
    return parser


def execute(args: Namespace) -> None:
    make_tokens(DataDir(args.data).table("text"), ALPHABET, args.model, args.token_type, args.vocab_size)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
