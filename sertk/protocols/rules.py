"""The rules that divide a data folder's utterances into folds, each one entry of RULES."""

import random
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, TypedDict, TypeVar

from sertk.core.errors import SertkError
from sertk.core.messages import counted
from sertk.core.names import in_other_spelling, require_names
from sertk.kaldi.datadir import DataDir, by_bytes, named_speakers, require_all

T = TypeVar("T")
Label = str | tuple[str, str]  # "all", or the label set's table and the label


class Fold(NamedTuple):
    """The utterances of the three splits of a fold, sorted."""

    train: list[str]
    valid: list[str]
    test: list[str]


class GroupFold(TypedDict):
    """The groups of utt2group that a fold trains and validates on, and those that it tests."""

    train: list[str]
    test: list[str]


class Corpus:
    """What the rules know of a data folder; raises SertkError for a speaker in two spellings, who would count as two.

    So do `groups` for a group.
    """

    def __init__(self, datadir: DataDir):
        self.datadir = datadir
        self.utt2spk = datadir.table("utt2spk")
        self.utterances = sorted(self.utt2spk, key=by_bytes)
        self.speakers = sorted(set(self.utt2spk.values()), key=by_bytes)
        self.named_speakers = named_speakers(self.utt2spk, datadir.table("segments") if datadir.has("segments") else {})
        names = sorted(set(self.named_speakers.values()), key=by_bytes)
        require_names(names, datadir.path / "utt2spk", "speakers")

    def genders(self) -> dict[str, str]:
        """spk2gender in small letters; raises SertkError for a speaker without one."""
        genders = self.complete("spk2gender", self.datadir.table("spk2gender"), self.speakers, "speakers")
        return {speaker: gender.lower() for speaker, gender in genders.items()}

    def groups(self) -> dict[str, str]:
        """utt2group; raises SertkError for an utterance without one."""
        groups = self.complete("utt2group", self.datadir.table("utt2group"), self.utterances)
        require_names(sorted(set(groups.values()), key=by_bytes), self.datadir.path / "utt2group", "groups")
        return groups

    def knows_speakers(self) -> bool:
        """Whether utt2spk says more than which recording an utterance is of, as where speakers are not known."""
        return bool(self.named_speakers)

    def complete(
        self, name: str, table: dict[str, str], keys: Collection[str], kind: str = "utterances"
    ) -> dict[str, str]:
        """`table`, which the file `name` gave; raises SertkError where it lacks some of `keys`."""
        require_all(self.datadir.path / name, table, keys, "add them", kind)
        return table

    def divide(self, split_of: Callable[[str], str | None]) -> Fold:
        """The Fold that puts each utterance into its `split_of(utterance)`; None leaves it out."""
        splits: dict[str, list[str]] = {split: [] for split in Fold._fields}
        for utt in self.utterances:
            if split := split_of(utt):
                splits[split].append(utt)
        return Fold(**splits)

    def fold_of(
        self, keys: Mapping[str, str | None], test: Container[str | None], valid: Container[str | None]
    ) -> Fold:
        """The Fold that tests and validates on whole speakers or groups; `keys` has each utterance's."""

        def split_of(utt):
            return "test" if keys[utt] in test else "valid" if keys[utt] in valid else "train"

        return self.divide(split_of)


def listed_speakers(corpus: Corpus, *, folds: list[list[str]], valid: Literal["one_male_one_female"]) -> Iterator[Fold]:
    """One fold for each list of test speakers.

    Validation: going up through the sorted speakers from the fold's first test speaker, wrapping, the
    first male and the first female that are not test speakers.
    """
    named = [speaker for fold in folds for speaker in fold]
    strangers = sorted(set(named) - set(corpus.speakers), key=by_bytes)
    if strangers:
        known = in_other_spelling(strangers[0], corpus.speakers)
        raise SertkError(f"{corpus.datadir.path} has no speaker {', '.join(strangers)}{known}, which is to be tested")
    if len(named) != len(set(named)) or not all(folds):
        raise SertkError("folds: every fold needs a test speaker, and a speaker is tested in one fold only")
    genders = corpus.genders()
    for test in folds:
        first = corpus.speakers.index(min(test, key=by_bytes))
        ring = corpus.speakers[first:] + corpus.speakers[:first]
        chosen = {}
        for speaker in ring:
            if speaker not in test:
                chosen.setdefault(genders[speaker], speaker)
        if not {"m", "f"} <= chosen.keys():
            raise SertkError(f"testing {' '.join(test)} leaves no male and female (m, f) to validate on")
        yield corpus.fold_of(corpus.utt2spk, test, (chosen["m"], chosen["f"]))


def rotating_speakers(corpus: Corpus, *, test_speakers: int, valid_speakers: int) -> Iterator[Fold]:
    """Blocks of consecutive sorted speakers are tested in turn, validation is on the next ones, wrapping.

    The last block is smaller where the number of speakers asks for it.
    """
    yield from rotations(corpus, corpus.utt2spk, "speakers", test_speakers, valid_speakers)


def rotating_groups(corpus: Corpus, *, test_groups: int, valid_groups: int) -> Iterator[Fold]:
    """Blocks of consecutive sorted groups are tested in turn, validation is on the next ones, wrapping.

    The last block is smaller where the number of groups asks for it.
    """
    yield from rotations(corpus, corpus.groups(), "groups", test_groups, valid_groups)


def rotations(corpus: Corpus, keys: Mapping[str, str], kind: str, tested: int, validated: int) -> Iterator[Fold]:
    """The Folds of rotating speakers or groups, the `kind`; `keys` has that of each utterance."""
    if tested < 1 or validated < 1:
        raise SertkError(f"test_{kind} and valid_{kind} must be at least 1")
    names = sorted(set(keys.values()), key=by_bytes)
    if len(names) < tested + validated + 1:
        raise SertkError(
            f"{corpus.datadir.path} has {len(names)} {kind}; {tested} to test, "
            f"{validated} to validate on and at least one to train on are needed"
        )
    for first in range(0, len(names), tested):
        test = names[first : first + tested]
        ring = names[first + len(test) :] + names[:first]
        yield corpus.fold_of(keys, test, ring[:validated])


def balanced(corpus: Corpus, *, by: Literal["speaker", "group"], folds: int) -> Iterator[Fold]:
    """At most `folds` folds of whole speakers or groups, with like shares of every label and of all utterances.

    The largest come first, each into the fold where the sum of the squared shares grows least. Validation is on
    the next fold, wrapping.
    """
    keys = corpus.utt2spk if by == "speaker" else corpus.groups()
    names = sorted(set(keys.values()), key=by_bytes)
    if min(folds, len(names)) < 3:
        there = f"{corpus.datadir.path}: {len(names)} {by}s and {folds} folds"
        raise SertkError(f"{there}; at least 3 of both are needed")
    shares = label_shares(corpus, keys)
    held = [({}, []) for _ in range(min(folds, len(names)))]
    for name in sorted(names, key=lambda name: (-shares[name]["all"], by_bytes(name))):
        own = shares[name]
        growths = [sum(share * (share + 2 * total.get(key, 0)) for key, share in own.items()) for total, _ in held]
        total, members = held[growths.index(min(growths))]
        members.append(name)
        for key, share in own.items():
            total[key] = total.get(key, 0) + share
    blocks = [sorted(members, key=by_bytes) for _, members in held]
    blocks.sort(key=lambda members: by_bytes(members[0]))
    for number, test in enumerate(blocks):
        yield corpus.fold_of(keys, test, blocks[(number + 1) % len(blocks)])


def label_shares(corpus: Corpus, keys: Mapping[str, str]) -> dict[str, dict[Label, Fraction]]:
    """{speaker or group: {("all" or (label set, label)): its share of these utterances}}."""
    kinds: dict[Label, list[str]] = {"all": corpus.utterances}
    for name in corpus.datadir.table_names("labels/"):
        labels = corpus.datadir.table(name)
        remedy = f"add their speakers, or take them out of {name}"
        require_all(corpus.datadir.path / "utt2spk", corpus.utt2spk, labels, remedy)
        for utt, label in labels.items():
            kinds.setdefault((name, label), []).append(utt)
    shares: dict[str, dict[Label, Fraction]] = {name: {} for name in keys.values()}
    for kind, utterances in kinds.items():
        for utt in utterances:
            own = shares[keys[utt]]
            own[kind] = own.get(kind, 0) + Fraction(1, len(utterances))
    return shares


def listed_groups(corpus: Corpus, *, folds: list[GroupFold], valid_speakers: int) -> Iterator[Fold]:
    """One fold for each pair of lists of groups: trained on the ones, tested on the others.

    Validation: `valid_speakers` of the training groups' speakers, evenly spread over these when sorted.
    Utterances of other groups are left out.
    """
    if valid_speakers < 1:
        raise SertkError("valid_speakers must be at least 1")
    groups = corpus.groups()
    for fold in folds:
        check_groups(fold, corpus, set(groups.values()))
        yield fold_of_groups(fold, corpus, groups, valid_speakers)


def fold_of_groups(fold: GroupFold, corpus: Corpus, groups: Mapping[str, str], valid_speakers: int) -> Fold:
    """The Fold of a GroupFold; raises SertkError if no speaker is left to train on."""
    speakers = {corpus.utt2spk[utt] for utt in corpus.utterances if groups[utt] in fold["train"]}
    if len(speakers) <= valid_speakers:
        raise SertkError(
            f"{', '.join(fold['train'])} has {counted(len(speakers), 'speaker')}; {valid_speakers} to validate on "
            "and at least one to train on are needed"
        )
    valid = evenly_spread(sorted(speakers, key=by_bytes), valid_speakers)

    def split_of(utt):
        if groups[utt] in fold["train"]:
            return "valid" if corpus.utt2spk[utt] in valid else "train"
        return "test" if groups[utt] in fold["test"] else None

    return corpus.divide(split_of)


def check_groups(fold: GroupFold, corpus: Corpus, there: set[str]) -> None:
    """Raises SertkError for groups that are not `there`, a list without any and a group named twice."""
    named = fold["train"] + fold["test"]
    strangers = sorted(set(named) - there, key=by_bytes)
    if strangers:
        raise SertkError(
            f"{corpus.datadir.path}/utt2group has no group {', '.join(strangers)}; "
            f"there are: {', '.join(sorted(there, key=by_bytes))}"
        )
    if not (fold["train"] and fold["test"]) or len(named) != len(set(named)):
        raise SertkError("folds: every fold needs groups to train on and to test, and a group is named once in a fold")


def evenly_spread(items: Sequence[T], number: int) -> list[T]:
    """`number` of a list's items, the middle ones of as many equal stretches of it."""
    return [items[(2 * place + 1) * len(items) // (2 * number)] for place in range(number)]


def speakers_of_groups(corpus: Corpus) -> Iterator[Fold]:
    """Each group is held out in turn: each of its speakers is tested once, validation is on its others."""
    groups = corpus.groups()
    for group in sorted(set(groups.values()), key=by_bytes):
        held_out = {utt: corpus.utt2spk[utt] for utt in corpus.utterances if groups[utt] == group}
        speakers = set(held_out.values())
        if len(speakers) < 2:
            raise SertkError(f"the group {group} has one speaker; one to test and one to validate are needed")
        keys = dict.fromkeys(corpus.utterances) | held_out
        for speaker in sorted(speakers, key=by_bytes):
            yield corpus.fold_of(keys, {speaker}, speakers - {speaker})


def leave_one_out(corpus: Corpus, *, test: Literal["speaker", "group"], valid_share: float) -> Iterator[Fold]:
    """Each speaker or group is tested in turn; `valid_share` of the other utterances validate.

    These are evenly spread over the others, sorted; their speakers are trained on too.
    """
    if not 0 < valid_share < 1:
        raise SertkError("valid_share must lie between 0 and 1")
    keys = corpus.utt2spk if test == "speaker" else corpus.groups()
    for name in sorted(set(keys.values()), key=by_bytes):
        others = [utt for utt in corpus.utterances if keys[utt] != name]
        valid = set(evenly_spread(others, int(len(others) * valid_share + 0.5)))
        splits = {utt: "valid" if utt in valid else "train" for utt in others}
        yield corpus.divide((dict.fromkeys(corpus.utterances, "test") | splits).get)


def stratified(corpus: Corpus, *, label_set: str, folds: int) -> Iterator[Fold]:
    """Each label's utterances, sorted, are cut into `folds` stretches; a fold tests one of each label.

    Validation is on the next stretches, wrapping. Utterances without a label are left out.
    """
    if folds < 3:
        raise SertkError("folds must be at least 3")
    by_label = {}
    for utt, label in corpus.datadir.labels(label_set).items():
        by_label.setdefault(label, []).append(utt)
    stretches = {}
    for label, utterances in by_label.items():
        if len(utterances) < folds:
            there = f"{counted(len(utterances), 'utterance')} of {label}"
            raise SertkError(f"labels/{label_set}: {there} cannot be in {folds} folds")
        stretches |= {utt: place * folds // len(utterances) for place, utt in enumerate(utterances)}
    for tested in range(folds):
        splits = {tested: "test", (tested + 1) % folds: "valid"}
        yield corpus.divide({utt: splits.get(place, "train") for utt, place in stretches.items()}.get)


def random_utterances(
    corpus: Corpus, *, test_share: float, valid_share: float, repeats: int, seed: int
) -> Iterator[Fold]:
    """One fold per repeat: utterances drawn at random, whoever speaks them.

    `test_share` is of all utterances, `valid_share` of the others. A repeat is the same however many follow.
    """
    if not (0 < test_share < 1 and 0 < valid_share < 1 and repeats >= 1):
        raise SertkError("test_share and valid_share must lie between 0 and 1, repeats be at least 1")
    number = len(corpus.utterances)
    tested = int(number * test_share + 0.5)
    validated = int((number - tested) * valid_share + 0.5)
    for repeat in range(1, repeats + 1):
        drawn = list(corpus.utterances)
        random.Random(f"{seed}/{repeat}").shuffle(drawn)
        splits = drawn[tested + validated :], drawn[tested : tested + validated], drawn[:tested]
        yield Fold(*(sorted(split, key=by_bytes) for split in splits))


# As cards say it; those of fold lists that are there are compared with it
TEST_ONLY = "test part only (validation speakers are trained on too)"

# name: (function, whether no speaker is on two sides: of all splits, of none, or TEST_ONLY)
RULES: dict[str, tuple[Callable[..., Iterator[Fold]], bool | str]] = {
    "listed_speakers": (listed_speakers, True),
    "rotating_speakers": (rotating_speakers, True),
    "rotating_groups": (rotating_groups, True),
    "speakers_of_groups": (speakers_of_groups, True),
    "listed_groups": (listed_groups, True),
    "balanced": (balanced, True),
    "leave_one_out": (leave_one_out, TEST_ONLY),
    "stratified": (stratified, False),
    "random": (random_utterances, False),
}
