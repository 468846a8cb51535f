import pytest
from protocol_corpora import actors, write_corpus


@pytest.fixture
def ravdess(tmp_path):
    return write_corpus(tmp_path / "ravdess", actors(24), 60)
