"""sertk-download: a file from the web, resumed and verified, unpacked if wanted."""

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.core.download import DIGESTS, extract, fetch
from sertk.core.errors import UsageError


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-download",
        "Downloads a file, goes on where an earlier download stopped, and verifies its checksum.",
        "sertk-download --extract downloads/corpus https://example.org/corpus.zip "
        "0123456789abcdef0123456789abcdef downloads/corpus.zip",
    )
    parser.add_argument("url", metavar="URL", help="http:, https: or ftp: address")
    parser.add_argument("digest", metavar="DIGEST", help="md5 or sha256 of the whole file, hexadecimal")
    parser.add_argument("file", metavar="FILE", help="where to put it")
    parser.add_argument("--extract", metavar="DIR", help="unpack the zip or tar file to this folder")
    return parser


def execute(args: Namespace) -> None:
    if not (re.fullmatch(r"[0-9a-fA-F]+", args.digest) and len(args.digest) in DIGESTS):
        raise UsageError(f"'{args.digest}' is no md5 (32 hexadecimal digits) and no sha256 (64)")
    fetch(args.url, args.file, args.digest)
    if args.extract:
        extract(args.file, args.extract)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
