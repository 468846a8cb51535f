"""Evaluation protocols: which utterances are trained on, validated on and tested, fold by fold.

A protocol is data (conf/protocols.yaml): the name of a rule below and the rule's options.
"""

import inspect
import os
import random
import re
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import typeguard

from sertk.audio import read_utterances
from sertk.config import differing_keys, inherit
from sertk.corpora.base import audio_hash
from sertk.datadir import SPLIT_PARTS, DataDir, by_bytes, read_lines
from sertk.errors import SertkError
from sertk.files import file_digest, read_yaml, write_text, write_yaml


class Fold(NamedTuple):
    """The utterances of the three parts of a fold, sorted."""

    train: list[str]
    valid: list[str]
    test: list[str]


class Corpus:
    """What the rules know of a data folder."""

    def __init__(self, datadir):
        self.datadir = datadir
        self.utt2spk = datadir.table("utt2spk")
        self.utterances = sorted(self.utt2spk, key=by_bytes)
        self.speakers = sorted(set(self.utt2spk.values()), key=by_bytes)

    def genders(self):
        """spk2gender; raises SertkError for a speaker without one."""
        genders = self.datadir.table("spk2gender")
        for speaker in self.speakers:
            if speaker not in genders:
                raise SertkError(f"{self.datadir.path}/spk2gender: no line for the speaker {speaker}")
        return genders

    def fold_of_speakers(self, test, valid):
        """The Fold that tests and validates on whole speakers."""
        fold = Fold([], [], [])
        for utt in self.utterances:
            speaker = self.utt2spk[utt]
            part = fold.test if speaker in test else fold.valid if speaker in valid else fold.train
            part.append(utt)
        return fold


def listed_speakers(corpus, *, folds: list[list[str]], valid: Literal["one_male_one_female"]):
    """One fold for each list of test speakers.

    Validation: going up through the sorted speakers from the fold's first test speaker, wrapping, the
    first male and the first female that are not test speakers.
    """
    named = [speaker for fold in folds for speaker in fold]
    strangers = sorted(set(named) - set(corpus.speakers), key=by_bytes)
    if strangers:
        raise SertkError(
            f"{corpus.datadir.path} has no speaker {', '.join(strangers)}, which is to be tested"
        )
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
        yield corpus.fold_of_speakers(test, (chosen["m"], chosen["f"]))


def rotating_speakers(corpus, *, test_speakers: int, valid_speakers: int):
    """Blocks of consecutive sorted speakers are tested in turn, validation is on the next ones, wrapping.

    The last block is smaller where the number of speakers asks for it.
    """
    if test_speakers < 1 or valid_speakers < 1:
        raise SertkError("test_speakers and valid_speakers must be at least 1")
    speakers = corpus.speakers
    if len(speakers) < test_speakers + valid_speakers + 1:
        raise SertkError(
            f"{corpus.datadir.path} has {len(speakers)} speakers; {test_speakers} to test, "
            f"{valid_speakers} to validate on and at least one to train on are needed"
        )
    for first in range(0, len(speakers), test_speakers):
        test = speakers[first : first + test_speakers]
        ring = speakers[first + len(test) :] + speakers[:first]
        yield corpus.fold_of_speakers(test, ring[:valid_speakers])


def random_utterances(corpus, *, test_share: float, valid_share: float, repeats: int, seed: int):
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
        parts = drawn[tested + validated :], drawn[tested : tested + validated], drawn[:tested]
        yield Fold(*(sorted(part, key=by_bytes) for part in parts))


# name: (function, whether no speaker is on two sides)
RULES = {
    "listed_speakers": (listed_speakers, True),
    "rotating_speakers": (rotating_speakers, True),
    "random": (random_utterances, False),
}


def protocol_names(config):
    """The sorted names of the protocols in a protocols.yaml."""
    return sorted(read_protocols(config))


def read_protocols(config):
    """The mapping of a protocols.yaml; raises SertkError for a name that YAML does not take for text."""
    protocols = inherit(config)
    for name in protocols:
        if not isinstance(name, str):
            raise SertkError(f"{config}: the protocol name {name!r} is not text; put it in quotes")
    return protocols


def load_protocol(config, name, **overrides):
    """The (rule, options, source) of the protocol `name` in a protocols.yaml.

    `overrides` (repeats, seed) replace options that the rule has; the others are left out. Raises
    SertkError for an unknown protocol, rule or option and for options of a wrong type.
    """
    protocols = read_protocols(config)
    if name not in protocols:
        there = ", ".join(sorted(protocols)) or "none"
        raise SertkError(f"{config}: no protocol '{name}'; there are: {there}")
    options = protocols[name]
    if not isinstance(options, dict):
        raise SertkError(f"{config}: {name}: expected a rule and its options, got {options!r}")
    options = dict(options)
    rule, source = options.pop("rule", None), options.pop("source", None)
    if not isinstance(rule, str) or rule not in RULES:
        raise SertkError(f"{config}: {name}: no rule {rule!r}; there are: {', '.join(RULES)}")
    known = {
        key: item.annotation
        for key, item in inspect.signature(RULES[rule][0]).parameters.items()
        if item.kind is item.KEYWORD_ONLY
    }
    options.update({key: value for key, value in overrides.items() if key in known and value is not None})
    for key in [*options, *known]:
        if key not in known:
            raise SertkError(f"{config}: {name}: unknown option '{key}'; {rule} has: {', '.join(known)}")
        if key not in options:
            raise SertkError(f"{config}: {name}: the option '{key}' is missing")
        try:
            if isinstance(options[key], bool):  # which Python counts among the whole numbers
                raise typeguard.TypeCheckError("no rule takes a boolean")
            every_item = typeguard.CollectionCheckStrategy.ALL_ITEMS
            typeguard.check_type(options[key], known[key], collection_check_strategy=every_item)
        except typeguard.TypeCheckError as error:
            raise SertkError(f"{config}: {name}: {key} is {options[key]!r}: {error}") from error
    return rule, options, source


def make_splits(datadir, outdir, config, protocol, repeats=None, seed=0):
    """Writes OUTDIR/foldF/{train,valid,test} and OUTDIR/card.yaml, all or nothing; returns the card.

    The same arguments give the same lists. Raises SertkError if a part is empty, if the same audio is on
    two sides, or, for protocols by speaker, a speaker is.
    """
    rule, options, source = load_protocol(config, protocol, repeats=repeats, seed=seed)
    function, speaker_disjoint = RULES[rule]
    corpus = Corpus(DataDir(datadir))
    try:
        folds = list(function(corpus, **options))
    except SertkError as error:
        raise SertkError(f"protocol {protocol}: {error}") from error
    hashes = audio_hashes(corpus)
    for number, fold in enumerate(folds, 1):
        check_leakage(fold, corpus.utt2spk, hashes, speaker_disjoint, f"protocol {protocol}, fold {number}")
    card = {
        "protocol": protocol,
        "corpus": Path(datadir).absolute().name,
        "rule": rule,
        "options": {key: value for key, value in options.items() if key != "seed"},
        "source": source,
        "speaker_disjoint": speaker_disjoint,
        "seed": options.get("seed"),
        "utterances": len(corpus.utterances),
        "speakers": len(corpus.speakers),
        "leakage_checks": [
            "no utterance is in two parts of a fold",
            "no audio, by the sha1 of its samples, is in two parts of a fold",
            "no speaker is in two parts of a fold" if speaker_disjoint else "speakers are NOT kept apart",
        ],
    }
    write_splits(Path(outdir), folds, corpus, card)
    return read_card(outdir)


def audio_hashes(corpus):
    """{utterance: hash of its audio} from utt2hash, else from the audio itself."""
    datadir = corpus.datadir
    if datadir.has("utt2hash"):
        hashes = datadir.table("utt2hash")
    else:
        segments = datadir.path / "segments"
        audio = read_utterances(datadir.path / "wav.scp", segments if segments.exists() else None)
        hashes = {utt: audio_hash(samples, rate) for utt, samples, rate in audio}
    for utt in corpus.utterances:
        if utt not in hashes:
            table = "utt2hash" if datadir.has("utt2hash") else "wav.scp"
            raise SertkError(f"{datadir.path}/{table}: no line for the utterance {utt}")
    return hashes


def check_leakage(fold, utt2spk, hashes, speaker_disjoint, where):
    """Raises SertkError if a part is empty or shares utterances, audio or (if asked) speakers."""
    kinds = [("utterance", {}, lambda utt: utt), ("audio", {}, hashes.get)]
    if speaker_disjoint:
        kinds.insert(1, ("speaker", {}, utt2spk.get))
    for part, utterances in zip(SPLIT_PARTS, fold):
        if not utterances:
            raise SertkError(f"{where}: no utterances in the {part} part; use more data or other options")
        for utt in utterances:
            for kind, seen, key_of in kinds:
                other_part, other = seen.setdefault(key_of(utt), (part, utt))
                if other_part != part:
                    raise SertkError(
                        f"{where}: the same {kind} in {other_part} and {part}: {other} and {utt}; "
                        "correct the data folder, or remove one of them from it"
                    )


def write_splits(outdir, folds, corpus, card):
    """Writes lists and card to a folder aside that then takes the place of `outdir`.

    An `outdir` that holds these folds already (and perhaps further repeats) is left as it is, so that
    trainings that use it are not disturbed. Raises SertkError if it holds other lists, unless these are the
    same with further repeats.
    """
    if outdir.exists() and not (outdir / "card.yaml").exists() and any(outdir.iterdir()):
        raise SertkError(f"{outdir}: not a folder of fold lists (no card.yaml), name another one")
    aside, old = (outdir.with_name(f".{outdir.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old"))
    try:
        described = []
        for number, fold in enumerate(folds, 1):
            for part, utterances in zip(SPLIT_PARTS, fold):
                write_text(aside / f"fold{number}" / part, "".join(f"{utt}\n" for utt in utterances))
            described.append(describe_fold(aside, number, fold, corpus))
        write_yaml(aside / "card.yaml", {**card, "folds": described})
        if (outdir / "card.yaml").exists():
            there, new = read_card(outdir), read_card(aside)
            if holds_folds(there, new):
                return
            check_replaceable(outdir, there, new)
        if outdir.exists():
            os.replace(outdir, old)
        os.replace(aside, outdir)
    finally:
        if old.exists() and not outdir.exists():
            os.replace(old, outdir)
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_replaceable(outdir, there, new):
    """Raises SertkError if lists with the card `new` would take away those with the card `there`."""
    if there["folds"] == new["folds"] or holds_folds(new, there):
        return
    keys = differing_keys(there, new)
    causes = [key for key in keys if key != "folds"] or keys
    raise SertkError(
        f"{outdir}: holds other fold lists (differs in: {', '.join(causes)}); models trained on them would "
        "be tested wrongly: remove the folder, and the experiments that used it, to make them anew"
    )


def holds_folds(there, card):
    """Whether the card `there` differs from `card` at most by further repeats of a random protocol."""
    more = there["folds"][: len(card["folds"])] == card["folds"]
    return more and without_repeats(there) == without_repeats(card)


def without_repeats(card):
    """A card without what grows with the repeats of a random protocol."""
    options = {key: value for key, value in card["options"].items() if key != "repeats"}
    return {**card, "options": options, "folds": None}


def describe_fold(folder, number, fold, corpus):
    """The card's entry of a fold whose lists are in `folder`."""

    def speakers(part):
        return sorted({corpus.utt2spk[utt] for utt in getattr(fold, part)}, key=by_bytes)

    return {
        "fold": number,
        "test_speakers": speakers("test"),
        "valid_speakers": speakers("valid"),
        "utterances": {part: len(utterances) for part, utterances in zip(SPLIT_PARTS, fold)},
        "sha256": list_digests(folder, number),
    }


def list_digests(splits_dir, fold):
    """The sha256 of each list of a fold."""
    return {part: file_digest(Path(splits_dir) / f"fold{fold}" / part, "sha256") for part in SPLIT_PARTS}


def list_folds(splits_dir):
    """The numbers of the folds in a folder of fold lists; raises SertkError if there are none."""
    names = [path.name for path in Path(splits_dir).glob("fold*")]
    folds = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"fold(\d+)", name)))
    if not folds:
        raise SertkError(f"{splits_dir}: no fold lists; stage 1 makes them (sertk-make-splits)")
    return folds


def read_fold(splits_dir, fold):
    """The Fold with the utterances of fold number `fold`; raises SertkError if it is not there."""
    folder = Path(splits_dir) / f"fold{fold}"
    if not folder.is_dir():
        there = ", ".join(map(str, list_folds(splits_dir)))
        raise SertkError(f"{folder}: no such fold; there are: {there} (stage 1, sertk-make-splits)")
    return Fold(*(read_lines(folder / part) for part in SPLIT_PARTS))


def read_card(splits_dir):
    """The protocol card of a folder of fold lists; raises SertkError if it is not there."""
    path = Path(splits_dir) / "card.yaml"
    if not path.is_file():
        raise SertkError(f"{path}: no protocol card; stage 1 makes it (sertk-make-splits)")
    card = read_yaml(path)
    if not (
        isinstance(card, dict)
        and isinstance(card.get("folds"), list)
        and isinstance(card.get("options"), dict)
    ):
        raise SertkError(f"{path}: no protocol card as sertk-make-splits writes it (no folds, no options)")
    return card
