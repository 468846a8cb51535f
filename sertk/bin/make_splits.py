"""sertk-make-splits: an evaluation protocol -> the fold lists of a data folder."""

import logging
import sys

from sertk.command import make_parser, run_command
from sertk.protocols import make_splits


def build_parser():
    parser = make_parser(
        "sertk-make-splits",
        "Writes OUTDIR/foldF/{train,valid,test} and OUTDIR/card.yaml, and checks that nothing leaks.",
        "sertk-make-splits --protocol si data/ravdess data/ravdess/splits/si",
    )
    parser.add_argument("--protocol", required=True, metavar="NAME", help="a protocol of the --config file")
    parser.add_argument(
        "--config", default="conf/protocols.yaml", metavar="FILE", help="protocols (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="folds of a random protocol")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of a random protocol (default: 0)")
    parser.add_argument("datadir", metavar="DATADIR", help="the data folder")
    parser.add_argument("outdir", metavar="OUTDIR", help="where the lists go; replaced as a whole")
    return parser


def run(args):
    card = make_splits(args.datadir, args.outdir, args.config, args.protocol, args.repeats, args.seed)
    if args.repeats and "repeats" not in card["options"]:
        logging.info("--repeats: the folds of %s are fixed, it has no random repeats", args.protocol)
    logging.info(
        "%s: %d folds of %d utterances by %d speakers, %s",
        args.outdir,
        len(card["folds"]),
        card["utterances"],
        card["speakers"],
        "speaker-disjoint" if card["speaker_disjoint"] else "NOT speaker-disjoint",
    )


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
