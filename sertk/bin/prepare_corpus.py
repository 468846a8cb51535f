"""sertk-prepare-corpus: a corpus release on disk -> a data folder."""

import sys

from sertk.command import make_parser, run_command
from sertk.corpora import CORPORA
from sertk.errors import UsageError


def build_parser():
    parser = make_parser(
        "sertk-prepare-corpus",
        "Makes the data folder of a corpus release, and names every file of it that is wrong.",
        "sertk-prepare-corpus ravdess downloads/ravdess data/ravdess",
    )
    parser.add_argument("corpus", choices=sorted(CORPORA), help="which corpus")
    parser.add_argument("root", metavar="ROOT", help="the folder of the release")
    parser.add_argument("datadir", metavar="DATADIR", help="the data folder to write")
    parser.add_argument("--partial", action="store_true", help="accept a part of the corpus")
    parser.add_argument("--nj", type=int, default=None, help="threads that read audio (default: the CPUs)")
    return parser


def run(args):
    if args.nj is not None and args.nj < 1:
        raise UsageError(f"--nj {args.nj}: must be at least 1")
    CORPORA[args.corpus](args.root, args.datadir, partial=args.partial, jobs=args.nj)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
