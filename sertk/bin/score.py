"""Scores a decoded experiment, or tests whether one system beats another."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.core.messages import say
from sertk.experiments.layout import DECODED

EXAMPLE = "sertk-score exp/ravdess_8_emobox/blstm_capsule"


def build_parser() -> ArgumentParser:
    parser = make_parser("sertk-score", "Scores what stage 4 decoded, or tests two systems.", EXAMPLE)
    parser.add_argument("experiment", nargs="?", metavar="EXP", help="experiment folder, with foldF/seedS in it")
    parser.add_argument(
        "--decoded",
        metavar="CORPUS_LABELS",
        help="score what was decoded of another corpus, into EXP/decode_CORPUS_LABELS",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="test instead whether experiment A is better than B; the table goes to stdout",
    )
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap draws (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws (default %(default)s)")
    return parser


def execute(args: Namespace) -> None:
    if (args.experiment is None) == (args.compare is None):
        raise UsageError("give either one experiment folder or --compare with two")
    if args.draws < 100 or args.seed < 0:
        raise UsageError("--draws is at least 100 and --seed at least 0")
    if args.compare and args.decoded:
        raise UsageError("--compare takes no --decoded")
    if args.compare:
        _compare(args)
    else:
        _score(Path(args.experiment), args)


def _score(experiment, args):
    from sertk.reports.formatting import extent, interval, percent
    from sertk.reports.writing import write_results

    decoded = f"decode_{args.decoded}" if args.decoded else DECODED
    results = write_results(experiment, args.draws, args.seed, decoded)
    folder = experiment / decoded if args.decoded else experiment
    for warning in results["warnings"]:
        say(f"sertk-score: warning: {warning}")
    print(
        f"UAR {percent(results['uar'])} % {interval(results['intervals'], 'uar')}, "
        f"accuracy {percent(results['accuracy'])} %, {extent(results)}: "
        f"see {shlex.quote(str(folder / 'RESULTS.md'))}"
    )


def _compare(args):
    from sertk.evaluation.comparison import compare
    from sertk.reports.comparison_page import comparison_page
    from sertk.reports.markdown import markdown

    better, worse = args.compare
    print(markdown(comparison_page(compare(better, worse, args.draws, args.seed))), end="")


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
