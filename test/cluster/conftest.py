"""Fixtures of the tests on real schedulers, which are skipped where there are none."""

import pytest
from clusters import ENGINES, Cluster


@pytest.fixture(params=ENGINES)
def cluster(request, tmp_path):
    return Cluster(request.param, tmp_path)


@pytest.fixture
def slurm(tmp_path):
    return Cluster("slurm", tmp_path)
