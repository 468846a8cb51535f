#!/usr/bin/env python3
"""Prints which protocol of conf/protocols.yaml suits a data folder, and why."""

import logging
import sys

from sertk.core.command import make_parser, run_command
from sertk.kaldi.datadir import DataDir
from sertk.protocols import Corpus

logger = logging.getLogger(__name__)


def choose_protocol(datadir):
    """The name of the protocol that says most about new speakers, given what a data folder knows, and why."""
    corpus = Corpus(DataDir(datadir))
    known, number = corpus.knows_speakers(), len(corpus.speakers)
    groups = corpus.groups() if corpus.datadir.has("utt2group") else {}
    count = len(set(groups.values()))
    shared = len({(corpus.utt2spk[utt], group) for utt, group in groups.items()}) > number
    if count > 1 and not shared:
        return ("groups" if count > 2 else "one_group"), f"there are {count} groups, and no speaker is in two of them"
    aside = "the groups share speakers, and " if shared else ""
    if not known and not corpus.datadir.has("segments"):
        return "random75", f"{aside}the speakers are not known, so that they cannot be kept apart"
    what = "speakers" if known else "recordings, whose speakers are not known"
    if number > 1:
        return ("speakers" if number > 2 else "one_speaker"), f"{aside}there are {number} {what}"
    return "random75", f"{aside}there is one speaker alone"


def build_parser():
    parser = make_parser(
        "local/choose_protocol.py",
        "Prints the name of the protocol of conf/protocols.yaml that suits a data folder, and says why.",
        "python3 local/choose_protocol.py data/my",
    )
    parser.add_argument("datadir", metavar="DATADIR", help="the data folder")
    return parser


def run(args):
    name, reason = choose_protocol(args.datadir)
    logger.info("protocol %s: %s", name, reason)
    print(name)


def main(argv=None):
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
