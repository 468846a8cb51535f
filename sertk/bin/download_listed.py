"""sertk-download-listed: all files of a kind that a web page links to, resumed."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.core.download import fetch_listed


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-download-listed",
        "Downloads the files that a web page lists; a later call gets what is still missing.",
        "sertk-download-listed --suffix .tgz https://example.org/corpus/ downloads/corpus",
    )
    parser.add_argument("url", metavar="URL", help="http: or https: address of the page")
    parser.add_argument("folder", metavar="DIR", help="where to put them")
    parser.add_argument("--suffix", default=".tgz", help="how their names end (default: .tgz)")
    return parser


def execute(args: Namespace) -> None:
    fetch_listed(args.url, args.suffix, args.folder)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
