"""Data folders of tables of one's own."""

from sertk.corpora import CORPORA
from sertk.kaldi.checks import validate
from sertk.kaldi.datadir import DataDir

RATE = 8000


def prepare(folder, table, **options):
    path = folder / "my.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    CORPORA["csv"](path, folder / "data", threads=1, **options)
    validate(folder / "data", feats=False, text=False)
    return DataDir(folder / "data")
