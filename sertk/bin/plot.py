"""Draws the results of an experiment."""

import sys

from sertk.command import make_parser, run_command

EXAMPLE = "sertk-plot confusion exp/ravdess_8_emobox/blstm_capsule --out confusion.pdf"


def build_parser():
    parser = make_parser("sertk-plot", "Draws the results of a scored experiment.", EXAMPLE)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="confusion|curves")
    for kind, description in (
        ("confusion", "the confusion matrix, all folds and seeds pooled"),
        ("curves", "loss and validation UAR by epoch"),
    ):
        kind_parser = kinds.add_parser(kind, help=description, description=description, allow_abbrev=False)
        kind_parser.add_argument("experiment", metavar="EXP", help="scored experiment folder")
        kind_parser.add_argument(
            "--out", required=True, metavar="FILE", help="picture to write, .png or .pdf"
        )
    return parser


def run(args):
    from sertk.scoring.outputs import draw_confusion, draw_curves
    from sertk.scoring.results import read_results

    results = read_results(args.experiment)
    if args.kind == "confusion":
        draw_confusion(results, args.out)
    else:
        draw_curves(results, args.experiment, args.out)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
