"""What else a data folder holds when its utterances are prepared anew and are no longer the same."""

import logging
import shutil
from collections.abc import Collection, Mapping

from sertk.core.files import PathLike
from sertk.core.messages import counted
from sertk.kaldi.datadir import DataDir, Kind, Tables, first_of, read_lines, table_kind, write_table
from sertk.kaldi.tools import FEATURE_TABLES

log = logging.getLogger(__name__)


def drop_stale(path: PathLike, tables: Tables) -> None:
    """Takes out of a data folder what will no longer fit when `tables`, with wav.scp and utt2hash, are written there.

    Tables of features lose the utterances that go or get other recordings, all other tables those that go. What the
    recipes make themselves goes whole, to be made anew: features, and fold lists that name utterances that go.
    """
    folder = DataDir(path)
    if not (folder.has("utt2spk") and folder.has("wav.scp")):
        return
    before, hashes = folder.table("utt2spk"), folder.table("utt2hash") if folder.has("utt2hash") else {}
    gone = before.keys() - tables["utt2spk"].keys()
    replaced = {utt for utt, digest in tables["utt2hash"].items() if hashes.get(utt, digest) != digest}
    stale: dict[Kind, set[str]] = {
        "utterance": gone,
        "speaker": {*before.values()} - {*tables["utt2spk"].values()},
        "recording": folder.table("wav.scp").keys() - tables["wav.scp"].keys(),
    }
    changed = gone | replaced
    stale_features: dict[Kind, set[str]] = {
        **stale,
        "utterance": changed,
        "speaker": {before[utt] for utt in changed if utt in before},
    }
    others = [name for name in folder.table_names() if name not in tables and name != "spk2utt"]
    dropped = [name for name in others if drop_lines(folder, name, stale_features if is_features(name) else stale)]
    dropped += drop_lists(folder, gone)
    if dropped:
        what = f"{counted(len(gone), 'utterance is', 'utterances are')} gone, {len(replaced)} with other recordings"
        log.warning("%s: warning: %s: taken out of %s", path, what, first_of(dropped, ", "))


def is_features(name: str) -> bool:
    return name.startswith("feats/") or name in FEATURE_TABLES


def drop_lines(folder: DataDir, name: str, stale: Mapping[Kind, Collection[str]]) -> bool:
    """Takes the lines of stale keys out of a table, or the table away; whether there were any."""
    path, table = folder.path / name, folder.table(name)
    left = {key: value for key, value in table.items() if key not in stale[table_kind(name)]}
    if len(left) == len(table):
        return False
    source = path.with_name(f".{path.stem}.source")  # of what is made by make_feats.sh or make_layers.sh
    if left and not source.is_file():
        write_table(path, left)
    else:
        path.unlink()
        source.unlink(missing_ok=True)
    return True


def drop_lists(folder: DataDir, gone: Collection[str]) -> list[str]:
    """Removes the fold lists of the protocols that name utterances which go; returns their names."""
    protocols = {path.parents[1] for path in folder.split_lists() if not set(read_lines(path)).isdisjoint(gone)}
    for protocol in protocols:
        shutil.rmtree(protocol)
    return sorted(str(protocol.relative_to(folder.path)) for protocol in protocols)
