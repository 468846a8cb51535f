"""sertk-count-phones: words and voiced phonemes of the utterances of a data folder."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.text.phones import LANGUAGES, count_phones


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-count-phones",
        "Writes the tables utt2num_words and utt2num_phones (voiced phonemes) of a data folder. The phonemes\n"
        "are those that the corpus's own alignments gave (a table that is there is left), else espeak-ng's of\n"
        "the text, else, without text, voiced stretches of F0 in the recordings.",
        "sertk-count-phones --language de data/fau_aibo",
    )
    parser.add_argument(
        "--language", choices=LANGUAGES, default=LANGUAGES[0], help="of the text (default: %(default)s)"
    )
    parser.add_argument("--f0", action="store_true", help="count voiced stretches even where there is text")
    parser.add_argument("datadir", metavar="DATADIR", help="the data folder")
    return parser


def execute(args: Namespace) -> None:
    count_phones(args.datadir, args.language, args.f0)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
