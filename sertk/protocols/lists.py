"""Folders of fold lists, foldF/{train,valid,test}, and the card beside them."""

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from sertk.config.schema import differing_keys
from sertk.core.errors import SertkError
from sertk.core.files import PathLike, file_digest, read_yaml, replace_folder, scratch_folder, write_text, write_yaml
from sertk.core.names import in_other_spelling
from sertk.kaldi.datadir import SPLITS, by_bytes, read_lines
from sertk.protocols.rules import Corpus, Fold

PROTOCOL_KEYS = ("protocol", "rule", "options", "source", "seed")  # of a card, which no data folder changes

log = logging.getLogger(__name__)


def write_splits(outdir: Path, folds: Iterable[Fold], corpus: Corpus, card: Mapping[str, Any]) -> None:
    """Writes lists and card to a folder aside that then takes the place of `outdir`.

    An `outdir` that holds these very folds already (and perhaps further repeats) is left as it is, so that
    trainings that use it are not disturbed. Raises SertkError if it holds other lists, unless these are the
    same with further repeats.
    """
    if outdir.exists() and not (outdir / "card.yaml").exists() and any(outdir.iterdir()):
        raise SertkError(f"{outdir}: not a folder of fold lists (no card.yaml), name another one")
    with scratch_folder(outdir) as aside:
        described = []
        for number, fold in enumerate(folds, 1):
            for split, utterances in zip(SPLITS, fold):
                write_text(aside / f"fold{number}" / split, "".join(f"{utt}\n" for utt in utterances))
            described.append(describe_fold(aside, number, fold, corpus))
        write_yaml(aside / "card.yaml", {**card, "folds": described})
        if (outdir / "card.yaml").exists():
            there, new = read_card(outdir), read_card(aside)
            if holds_folds(there, new) and not any(changed_lists(outdir, fold) for fold in list_folds(outdir)):
                return
            check_replaceable(outdir, there, new)
        replace_folder(aside, outdir)


def check_replaceable(outdir: Path, there: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raises SertkError if lists with the card `new` would take away those of another protocol with the card `there`.

    Lists of the same protocol for other utterances may go: each run knows those that it was trained on.
    """
    if there["folds"] == new["folds"] or holds_folds(new, there):
        return
    if keys := [key for key in differing_keys(there, new) if key.partition(".")[0] in PROTOCOL_KEYS]:
        raise SertkError(
            f"{outdir}: holds other fold lists (differs in: {', '.join(keys)}); models trained on them would "
            "be tested wrongly: remove the folder, and the experiments that used it, to make them anew"
        )
    log.warning("%s: warning: made anew for other utterances, speakers or labels than before", outdir)


def holds_folds(there: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    """Whether the card `there` differs from `card` at most by further repeats of a random protocol."""
    more = there["folds"][: len(card["folds"])] == card["folds"]
    return more and without_repeats(there) == without_repeats(card)


def without_repeats(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card without what grows with the repeats of a random protocol."""
    options = {key: value for key, value in card.get("options", {}).items() if key != "repeats"}
    return {**card, "options": options, "folds": None}


def describe_fold(folder: Path, number: int, fold: Fold, corpus: Corpus) -> dict[str, Any]:
    """The card's entry of a fold whose lists are in `folder`."""

    def speakers(split):
        return sorted({corpus.utt2spk[utt] for utt in getattr(fold, split)}, key=by_bytes)

    return {
        "fold": number,
        "test_speakers": speakers("test"),
        "valid_speakers": speakers("valid"),
        "utterances": {split: len(utterances) for split, utterances in zip(SPLITS, fold)},
        "sha256": list_digests(folder, number),
    }


def list_digests(splits_dir: PathLike, fold: int) -> dict[str, str]:
    """The sha256 of each list of a fold."""
    return {split: file_digest(Path(splits_dir) / f"fold{fold}" / split, "sha256") for split in SPLITS}


def list_folds(splits_dir: PathLike) -> list[int]:
    """The numbers of the folds in a folder of fold lists; raises SertkError if there are none."""
    names = [path.name for path in Path(splits_dir).glob("fold*")]
    folds = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"fold(\d+)", name)))
    if not folds:
        raise SertkError(f"{splits_dir}: no fold lists; stage 1 makes them (sertk-make-splits)")
    return folds


def choose_folds(splits_dir: PathLike, folds: Iterable[int] = (), repeats: int | None = None) -> list[int]:
    """`folds`, each once, or all that there are without any; of a random protocol the first `repeats`.

    Raises SertkError for a fold that is not there.
    """
    known = list_folds(splits_dir)
    if read_card(splits_dir).get("rule") == "random":
        known = known[:repeats]
    for fold in folds:
        if fold not in known:
            raise SertkError(f"{splits_dir}: no fold {fold} (there are {', '.join(map(str, known))})")
    return list(dict.fromkeys(folds)) or known


def read_fold(splits_dir: PathLike, fold: int, known: Collection[str] | None = None) -> Fold:
    """The Fold with the utterances of fold number `fold`.

    With the `known` utterances of the data folder raises SertkError where a list is not the one that the card beside
    it names, lists something else, or an utterance that another list has. It always does where the fold is not there.
    """
    folder = Path(splits_dir) / f"fold{fold}"
    if not folder.is_dir():
        there = ", ".join(map(str, list_folds(splits_dir)))
        raise SertkError(f"{folder}: no such fold; there are: {there} (stage 1, sertk-make-splits)")
    lists = Fold(*(read_list(folder / split) for split in SPLITS))
    if known is not None:
        for split, utterances in zip(SPLITS, lists):
            require_known(folder / split, utterances, known)
        require_as_made(Path(splits_dir), fold, lists)
    return lists


def check_lists(splits_dir: PathLike, known: Collection[str]) -> None:
    """Raises SertkError where read_fold does so for any fold in a folder of fold lists."""
    for fold in list_folds(splits_dir):
        read_fold(splits_dir, fold, known)


def read_list(path: PathLike) -> list[str]:
    """The utterances of a fold list; raises SertkError for one that is there twice."""
    utterances = read_lines(path)
    for utterance, count in Counter(utterances).items():
        if count > 1:
            raise SertkError(f"{path}: {utterance!r} is there twice; stage 1 makes the lists (sertk-make-splits)")
    return utterances


def require_known(path: Path, utterances: Iterable[str], known: Collection[str]) -> None:
    """Raises SertkError for an utterance of the list `path` that is none of the `known` ones."""
    for number, utterance in enumerate(utterances, 1):
        if utterance not in known:
            problem = f"'{utterance}' is not in the data folder{in_other_spelling(utterance, known)}"
            raise SertkError(f"{path}:{number}: {problem}; make the lists anew (sertk-make-splits)")


def require_as_made(splits_dir: Path, fold: int, lists: Fold) -> None:
    """Raises SertkError where the lists of a fold share utterances, or are not those whose digests the card has."""
    remedy = "make the lists anew (sertk-make-splits)"
    first: dict[str, str] = {}
    for split, utterances in lists._asdict().items():
        for utterance in utterances:
            if first.setdefault(utterance, split) != split:
                where = splits_dir / f"fold{fold}" / split
                raise SertkError(f"{where}: '{utterance}' is in {first[utterance]} too; {remedy}")
    if changed := changed_lists(splits_dir, fold):
        where = splits_dir / f"fold{fold}" / changed[0]
        raise SertkError(f"{where}: not the list that {splits_dir / 'card.yaml'} tells; {remedy}")


def changed_lists(splits_dir: Path, fold: int) -> list[str]:
    """The splits of a fold whose lists have other digests than the card, where that has some."""
    described = [each for each in read_card(splits_dir)["folds"] if isinstance(each, dict) and each.get("fold") == fold]
    told = described[0].get("sha256") if described else None
    found = list_digests(splits_dir, fold)
    return [split for split in SPLITS if isinstance(told, dict) and told.get(split, found[split]) != found[split]]


def read_card(splits_dir: PathLike) -> dict[str, Any]:
    """The protocol card of a folder of fold lists; raises SertkError if it is not there."""
    path = Path(splits_dir) / "card.yaml"
    if not path.is_file():
        raise SertkError(f"{path}: no protocol card; stage 1 makes it (sertk-make-splits)")
    card = read_yaml(path)
    kinds = {"rule": str, "folds": list, "options": dict}
    if not isinstance(card, dict) or not all(isinstance(card.get(key), kind) for key, kind in kinds.items()):
        raise SertkError(f"{path}: no protocol card as sertk-make-splits writes it ({', '.join(kinds)})")
    return card
