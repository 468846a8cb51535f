"""Puts the results of several experiments into one table."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.core.command import make_parser, run_command
from sertk.core.errors import SertkError, UsageError
from sertk.core.files import write_text

EXAMPLE = "sertk-report --title RAVDESS --published conf/published.yaml --against blstm --out RESULTS.md exp/*/*"

MISTAKES = 10


def build_parser() -> ArgumentParser:
    parser = make_parser("sertk-report", "Makes one page of several experiments' results.", EXAMPLE)
    parser.add_argument("experiments", nargs="+", metavar="EXP", help="scored experiment folders")
    parser.add_argument("--published", metavar="FILE", help="YAML of published figures to show beside them")
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="baseline to compare with: one of EXP, by its folder or the folder's name, or a model",
    )
    parser.add_argument("--out", metavar="FILE", help="write there instead of to stdout")
    parser.add_argument("--html", metavar="FILE", help="write an HTML page with all details; nothing to stdout")
    parser.add_argument("--data", metavar="DIR", help="data folder of its recordings (default: as decoded)")
    parser.add_argument(
        "--mistakes",
        type=int,
        metavar="N",
        help=f"how many mistakes of each system it lists and lets hear, 0 for none (default {MISTAKES})",
    )
    parser.add_argument(
        "--note", action="append", default=[], metavar="TEXT", help="a paragraph below the heading; repeat it"
    )
    parser.add_argument("--title", default="Results", help="heading of the page (default %(default)s)")
    return parser


def execute(args: Namespace) -> None:
    if not args.html and (args.data or args.mistakes is not None):
        raise UsageError("--data and --mistakes are for the page of --html")
    if args.mistakes is not None and args.mistakes < 0:
        raise UsageError("--mistakes is at least 0")
    from sertk.evaluation.results import is_scored
    from sertk.reports.baseline import Baseline
    from sertk.reports.markdown import markdown
    from sertk.reports.published import read_published
    from sertk.reports.report_page import report_page
    from sertk.reports.scored import Scored

    published = read_published(args.published) if args.published else []
    scored = [experiment for experiment in args.experiments if is_scored(experiment)]
    for experiment in sorted(set(args.experiments) - set(scored)):
        logging.getLogger(__name__).warning("%s is not scored (stage 5) and left out", experiment)
    if not scored:
        raise SertkError("none of the experiments is scored: run stage 5 (sertk-score EXP)")
    experiments = [Scored.read(experiment) for experiment in scored]
    against = Baseline(args.against) if args.against else None
    if against and not against.candidates(experiments):
        known = ", ".join(sorted({experiment.folder.name for experiment in experiments}))
        raise UsageError(f"--against {args.against}: no such experiment or model here (there are: {known})")
    page = report_page(experiments, args.title, published, against, args.note)
    if args.html:
        _write_html(args, page, experiments)
    if args.out:
        write_text(args.out, markdown(page))
    elif not args.html:
        print(markdown(page), end="")


def _write_html(args, page, experiments):
    from sertk.reports.html import html_page
    from sertk.reports.recordings import Recordings
    from sertk.reports.systems import system_sections

    mistakes = MISTAKES if args.mistakes is None else args.mistakes
    page = page + system_sections(experiments, mistakes, Recordings(args.data))
    write_text(args.html, html_page(args.title, page))


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
