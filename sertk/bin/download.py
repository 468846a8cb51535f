"""sertk-download: a file from the web, resumed and verified, unpacked if wanted."""

import re
import sys

from sertk.command import make_parser, run_command
from sertk.download import extract_zip, fetch
from sertk.errors import UsageError


def build_parser():
    parser = make_parser(
        "sertk-download",
        "Downloads a file, goes on where an earlier download stopped, and verifies its md5.",
        "sertk-download --extract downloads/corpus https://example.org/corpus.zip "
        "0123456789abcdef0123456789abcdef downloads/corpus.zip",
    )
    parser.add_argument("url", metavar="URL", help="http:, https: or ftp: address")
    parser.add_argument("md5", metavar="MD5", help="md5 of the whole file, hexadecimal")
    parser.add_argument("file", metavar="FILE", help="where to put it")
    parser.add_argument("--extract", metavar="DIR", help="unpack the zip file to this folder")
    return parser


def run(args):
    if not re.fullmatch(r"[0-9a-fA-F]{32}", args.md5):
        raise UsageError(f"'{args.md5}' is no md5: 32 hexadecimal digits")
    fetch(args.url, args.file, args.md5)
    if args.extract:
        extract_zip(args.file, args.extract)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
