"""The corpora: one file each, from a release on disk to a data folder; commands alone import them.

What comes after preparation knows data folders, and no corpus.
"""

from collections.abc import Callable

from sertk.corpora import fau_aibo, iemocap, librispeech, mini, own, ravdess, tedlium, voxforge

# Each function is called as prepare(root, datadir, partial=False, threads=None, and options of its own).
CORPORA: dict[str, Callable[..., None]] = {
    "csv": own.prepare,
    "fau_aibo": fau_aibo.prepare,
    "iemocap": iemocap.prepare,
    "librispeech": librispeech.prepare,
    "mini": mini.prepare,
    "ravdess": ravdess.prepare,
    "tedlium": tedlium.prepare,
    "voxforge": voxforge.prepare,
}
