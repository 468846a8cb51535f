"""Puts the results of several experiments into one table."""

import logging
import sys

from sertk.command import make_parser, run_command
from sertk.errors import SertkError

EXAMPLE = "sertk-report --title 'RAVDESS' --out RESULTS.md exp/ravdess_8_emobox/*"


def build_parser():
    parser = make_parser("sertk-report", "Makes one table of several experiments' results.", EXAMPLE)
    parser.add_argument("experiments", nargs="+", metavar="EXP", help="scored experiment folders")
    parser.add_argument("--out", metavar="FILE", help="write there instead of to stdout")
    parser.add_argument("--title", default="Results", help="heading of the page (default %(default)s)")
    return parser


def run(args):
    from sertk.files import write_text
    from sertk.scoring.report import report
    from sertk.scoring.results import is_scored, read_results

    scored = [experiment for experiment in args.experiments if is_scored(experiment)]
    for experiment in sorted(set(args.experiments) - set(scored)):
        logging.getLogger(__name__).warning("%s is not scored (stage 5) and left out", experiment)
    if not scored:
        raise SertkError("none of the experiments is scored: run stage 5 (sertk-score EXP)")
    page = report([read_results(experiment) for experiment in scored], args.title)
    if args.out:
        write_text(args.out, page)
    else:
        print(page, end="")


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
