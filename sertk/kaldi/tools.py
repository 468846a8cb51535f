"""Data folders made from data folders: subset, split, combine, copy."""

import random
import shutil
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sertk.core.errors import SertkError
from sertk.core.files import PathLike, folder_aside, write_text
from sertk.core.locks import LEASE, locked_folder
from sertk.core.messages import say
from sertk.core.names import in_other_spelling
from sertk.kaldi.datadir import (
    DataDir,
    Tables,
    by_bytes,
    invert_utt2spk,
    read_lines,
    read_positive,
    split_line,
    table_kind,
    write_data_dir,
)

# Describe the matrices of one feats.scp, so that they mean nothing beside those of another.
FEATURE_TABLES = ("feats.scp", "cmvn.scp", "vad.scp", "utt2num_frames")
STAMP = ".source"  # in DIR/splitN: what it was made of

T = TypeVar("T")


def read_tables(folder: DataDir) -> dict[str, dict[str, str]]:
    """All tables of a DataDir but spk2utt, as a dict from name to dict."""
    require_utt2spk(folder)
    return {name: folder.table(name) for name in folder.table_names() if name != "spk2utt"}


def require_utt2spk(folder: DataDir) -> None:
    if not folder.has("utt2spk"):
        raise SertkError(f"{folder.path / 'utt2spk'}: no such file; make it with spk2utt_to_utt2spk.pl")


def restrict(tables: Mapping[str, Mapping[str, str]], utterances: Iterable[str]) -> dict[str, dict[str, str]]:
    """`tables` with only these utterances, their speakers and the recordings they are in.

    A table under labels/ or feats/ of which nothing is left is dropped.
    """
    utterances = set(utterances)
    kept = {
        "utterance": utterances,
        "speaker": {speaker for utt, speaker in tables["utt2spk"].items() if utt in utterances},
        "recording": used_recordings(tables, utterances),
    }
    result = {}
    for name, table in tables.items():
        keys = kept[table_kind(name)]
        rows = {key: value for key, value in table.items() if key in keys}
        if rows or "/" not in name:
            result[name] = rows
    return result


def used_recordings(tables: Mapping[str, Mapping[str, str]], utterances: Iterable[str]) -> set[str]:
    """The recordings that utterances are cut from: themselves where there is no `segments`."""
    if "segments" not in tables:
        return set(utterances)
    return {value.split()[0] for utt, value in tables["segments"].items() if utt in utterances}


def read_keys(path: PathLike) -> list[str]:
    """The first field of each line of a list."""
    keys = [split_line(line)[0] for line in read_lines(path) if line.strip()]
    if not keys:
        raise SertkError(f"{path}: the list is empty")
    return keys


def replace_data_dir(source_paths: Iterable[PathLike], destination: PathLike, tables: Tables) -> None:
    """Writes a derived folder; tables that an earlier one left in the same place go away."""
    destination = Path(destination)
    if any(destination.resolve() == Path(source).resolve() for source in source_paths):
        raise SertkError(f"{destination}: the destination is a source too; name another folder")
    write_data_dir(destination, tables)
    folder = DataDir(destination)
    for name in folder.table_names():
        if name not in tables and name != "spk2utt":
            (destination / name).unlink()


def subset(source: PathLike, destination: PathLike, utterances: Iterable[str]) -> int:
    """Writes the folder of a source's `utterances`; returns how many there are.

    Raises SertkError if there is none.
    """
    tables = read_tables(DataDir(source))
    chosen = restrict(tables, utterances)
    if not chosen["utt2spk"]:
        raise SertkError(f"{source}: none of its utterances is chosen")
    replace_data_dir([source], destination, chosen)
    return len(chosen["utt2spk"])


def choose_listed(source: PathLike, list_path: PathLike, speakers: bool = False) -> list[str]:
    """The utterances named in a list, or those of the speakers named in it; unknown names raise a warning."""
    utt2spk = DataDir(source).table("utt2spk")
    known = set(utt2spk.values()) if speakers else set(utt2spk)
    listed = set(read_keys(list_path))
    unknown = sorted(listed - known, key=by_bytes)
    if unknown:
        counts = f"{len(unknown)} of {len(listed)} names in {list_path}"
        first = f"'{unknown[0]}'{in_other_spelling(unknown[0], known)}"
        say(f"warning: {counts} are not in {source}, the first is {first}")
    return [utt for utt, speaker in utt2spk.items() if (speaker if speakers else utt) in listed]


def choose_number(source: PathLike, how: str, number: int, seed: int = 0) -> list[str]:
    """`number` utterances of a folder.

    `how` is "random", "first", "last", "shortest", "per-spk" (so many of each speaker) or "speakers" (all of
    as many random speakers as give at least so many utterances).
    """
    folder = DataDir(source)
    utt2spk = folder.table("utt2spk")
    utterances = list(utt2spk)
    if number < 1 or (number > len(utterances) and how != "per-spk"):
        raise SertkError(f"{source}: cannot choose {number} of its {len(utterances)} utterances")
    generator = random.Random(seed)
    if how == "first":
        return utterances[:number]
    if how == "last":
        return utterances[-number:]
    if how == "shortest":
        table = "utt2num_frames" if folder.has("utt2num_frames") else "utt2dur"
        lengths = read_positive(folder.path / table, utterances)
        return sorted(lengths, key=lambda utt: (lengths[utt], by_bytes(utt)))[:number]
    if how == "random":
        return generator.sample(utterances, number)
    groups = [group.split() for group in invert_utt2spk(utt2spk).values()]
    if how == "per-spk":
        return [utt for group in groups for utt in spread(group, number)]
    chosen = []
    generator.shuffle(groups)
    while len(chosen) < number:
        chosen += groups.pop()
    return chosen


def spread(items: Sequence[T], number: int) -> list[T]:
    """At most `number` of the items, evenly spaced over the list."""
    number = min(number, len(items))
    return [items[index * len(items) // number] for index in range(number)]


def partition(groups: Sequence[Sequence[T]], count: int) -> list[list[T]]:
    """Joins consecutive lists into `count` non-empty lists with about equally many items."""
    total = sum(map(len, groups))
    left, done, shares = deque(groups), 0, []
    for number in range(1, count + 1):
        share = list(left.popleft())
        target = total * number / count - done
        while len(left) > count - number and len(share) + len(left[0]) / 2 <= target:
            share += left.popleft()
        done += len(share)
        shares.append(share)
    return shares


def split(source: PathLike, count: int, per_utterance: bool = False) -> Path:
    """Makes SOURCE/splitN/1 ... N (SOURCE/splitNutt with `per_utterance`), N being `count`, and returns its path.

    Nothing is done if it is up to date. Speakers stay whole unless `per_utterance`.
    Raises SertkError if there are fewer than `count` speakers, or utterances.
    """
    folder = DataDir(source)
    target = folder.path / f"split{count}{'utt' if per_utterance else ''}"
    if _is_split(folder, target):  # others' folders that nobody may write can be used so
        return target
    with locked_folder(target, patience=LEASE):
        if _is_split(folder, target):
            return target
        fingerprint, tables = _fingerprint(folder), read_tables(folder)
        if per_utterance:
            groups = [[utt] for utt in tables["utt2spk"]]
        else:
            groups = [group.split() for group in invert_utt2spk(tables["utt2spk"]).values()]
        if not 1 <= count <= len(groups):
            unit = "utterances" if per_utterance else "speakers"
            raise SertkError(f"{source}: cannot split {len(groups)} {unit} into {count} parts")
        with folder_aside(target) as aside:
            for number, utterances in enumerate(partition(groups, count), start=1):
                write_data_dir(aside / str(number), restrict(tables, utterances))
            write_text(aside / STAMP, fingerprint)
    return target


def _is_split(folder, target):
    """Whether what is in `target` was made of the tables as they are."""
    try:
        return (target / STAMP).read_bytes() == _fingerprint(folder).encode()
    except FileNotFoundError:
        return False


def _fingerprint(folder):
    """A text that changes when a table of the folder is added, removed or written again."""
    stats = [(name, (folder.path / name).stat()) for name in folder.table_names()]
    return "".join(f"{name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}\n" for name, stat in stats)


def combine(destination: PathLike, sources: Collection[PathLike], extra_files: Sequence[str] = ()) -> int:
    """Joins data folders; returns the number of utterances.

    A table that a source lacks is dropped with a message, except under labels/ and feats/, which may cover a
    part of the utterances. Where only some sources have `segments`, the others' are made from utt2dur.
    Raises SertkError if two sources disagree on an utterance, a speaker or a recording.
    """
    loaded = {str(source): read_tables(DataDir(source)) for source in sources}
    for source, tables in loaded.items():
        for name in extra_files:
            if (Path(source) / name).is_file():
                tables[name] = DataDir(source).table(name)
    if any("segments" in tables for tables in loaded.values()):
        for source, tables in loaded.items():
            if "segments" not in tables:
                tables["segments"] = _whole_recordings(source, tables)
    combined = {}
    for name in sorted({name for tables in loaded.values() for name in tables}):
        lacking = [source for source, tables in loaded.items() if name not in tables]
        if lacking and "/" not in name:
            say(f"warning: {name} is not combined, {lacking[0]} does not have it")
        else:
            combined[name] = _join(name, {source: tables.get(name, {}) for source, tables in loaded.items()})
    replace_data_dir(sources, destination, combined)
    return len(combined["utt2spk"])


def _whole_recordings(source, tables):
    if "utt2dur" not in tables:
        raise SertkError(f"{source}: another source has segments; this has none, and no utt2dur for them")
    return {utt: f"{utt} 0 {duration}" for utt, duration in tables["utt2dur"].items()}


def _join(name, by_source):
    joined, origin = {}, {}
    for source, table in by_source.items():
        for key, value in table.items():
            same_is_fine = name != "utt2spk" and joined.get(key) == value
            if key in joined and not same_is_fine:
                other = f"{origin[key]}/{name}"
                raise SertkError(f"{source}/{name}: '{key}' is in {other} too; rename with copy_data_dir.sh")
            joined[key] = value
            origin[key] = source
    return joined


def copy(
    source: PathLike, destination: PathLike, utt_prefix: str = "", spk_prefix: str = "", feature_type: str | None = None
) -> int:
    """Copies a data folder, with prefixes to its names; returns the number of utterances.

    The fold lists come along as they are, but not with prefixes.
    With a feature type it is a plain Kaldi folder whose feats.scp is feats/TYPE.scp, with only the utterances
    that have these features. Raises SertkError if utterances would no longer begin with their speakers.
    """
    folder = DataDir(source)
    tables = read_tables(folder)
    if feature_type is not None:
        tables = _plain_kaldi(folder, tables, feature_type)
    prefixes = {
        "utterance": utt_prefix,
        "speaker": spk_prefix,
        "recording": "" if "segments" in tables else utt_prefix,
    }
    renamed = {
        name: {prefixes[table_kind(name)] + key: value for key, value in table.items()}
        for name, table in tables.items()
    }
    renamed["utt2spk"] = {utt: spk_prefix + speaker for utt, speaker in renamed["utt2spk"].items()}
    for utt, speaker in renamed["utt2spk"].items():
        if not utt.startswith(speaker):
            raise SertkError(
                f"{source}: the utterance '{utt}' would not begin with its speaker '{speaker}'; "
                "give --utt-prefix and --spk-prefix the same value"
            )
    replace_data_dir([source], destination, renamed)
    if feature_type is None and (utt_prefix or spk_prefix) and folder.split_lists():
        # Their cards hold digests and speakers of the old names.
        say(f"{destination}: without the fold lists; make them with sertk-make-splits")
    elif feature_type is None:
        _copy_splits(folder, Path(destination))
    return len(renamed["utt2spk"])


def _copy_splits(folder, destination):
    for protocol in {path.parents[1] for path in folder.split_lists()}:
        with folder_aside(destination / "splits" / protocol.name) as aside:
            shutil.copytree(protocol, aside, dirs_exist_ok=True)


def _plain_kaldi(folder, tables, feature_type):
    name = f"feats/{feature_type}.scp"
    if name not in tables:
        known = ", ".join(key[6:-4] for key in tables if key.startswith("feats/")) or "none"
        raise SertkError(f"{folder.path}: no features '{feature_type}'; there are: {known}")
    feats = tables[name]
    plain = {key: table for key, table in tables.items() if "/" not in key and key not in FEATURE_TABLES}
    total = len(plain["utt2spk"])
    if len(feats) < total:
        say(f"warning: only {len(feats)} of {total} utterances have {feature_type}")
    return restrict({**plain, "feats.scp": feats}, feats)
