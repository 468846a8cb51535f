"""sertk-make-splits: an evaluation protocol -> the fold lists of a data folder."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sertk.bin._options import add_folds_option
from sertk.core.command import make_parser, run_command
from sertk.core.errors import UsageError
from sertk.core.messages import counted
from sertk.protocols import check_classes, choose_folds, make_splits, protocol_names

log = logging.getLogger(__name__)


def build_parser() -> ArgumentParser:
    parser = make_parser(
        "sertk-make-splits",
        "Writes OUTDIR/foldF/{train,valid,test} and OUTDIR/card.yaml, and checks that nothing leaks.",
        "sertk-make-splits --protocol si data/ravdess data/ravdess/splits/si",
    )
    parser.add_argument("--protocol", metavar="NAME", help="a protocol of the --config file")
    parser.add_argument(
        "--config", default="conf/protocols.yaml", metavar="FILE", help="protocols (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help="folds of a random protocol; others have theirs")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of a random protocol (default: 0)")
    parser.add_argument("--labels", metavar="SET", help="also check that the splits have all classes of a label set")
    add_folds_option(parser)
    parser.add_argument("--list", action="store_true", help="print the names of the protocols, and no more")
    parser.add_argument("datadir", nargs="?", metavar="DATADIR", help="the data folder")
    parser.add_argument(
        "outdir", nargs="?", metavar="OUTDIR", help="where the lists go; other lists there are never replaced"
    )
    return parser


def execute(args: Namespace) -> None:
    if args.list:
        print("\n".join(protocol_names(args.config)))
        return
    if not (args.protocol and args.datadir and args.outdir):
        raise UsageError("--protocol NAME DATADIR OUTDIR are needed (or --list)")
    card = make_splits(args.datadir, args.outdir, args.config, args.protocol, args.repeats, args.seed)
    apart = card["speaker_disjoint"]
    log.info(
        "%s: %s of %s by %s, %s",
        args.outdir,
        counted(len(card["folds"]), "fold"),
        counted(card["utterances"], "utterance"),
        counted(card["speakers"], "speaker"),
        {True: "speaker-disjoint", False: "NOT speaker-disjoint"}.get(apart, f"speaker-disjoint: {apart}"),
    )
    if "warning" in card:
        log.warning("%s: WARNING: %s", args.outdir, card["warning"])
    folds = choose_folds(args.outdir, args.folds, args.repeats)
    if args.labels:
        check_classes(args.datadir, args.outdir, args.labels, folds)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(build_parser(), execute, argv)


if __name__ == "__main__":
    sys.exit(main())
