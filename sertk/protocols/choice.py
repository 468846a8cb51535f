"""Which protocol of egs/own/conf/protocols.yaml suits a data folder."""

from sertk.kaldi.datadir import DataDir
from sertk.protocols.rules import Corpus


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
