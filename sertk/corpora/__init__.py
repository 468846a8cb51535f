"""The corpora: one file each, from a release on disk to a data folder."""

from sertk.corpora import mini, ravdess

# Each function is called as prepare(root, datadir, partial=False, jobs=None).
CORPORA = {
    "mini": mini.prepare,
    "ravdess": ravdess.prepare,
}
