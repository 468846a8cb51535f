"""Locks against holders that live, that were killed, and that are said to be on another machine."""

import os
import platform
import re
import time

import pytest
from faults import kill_me, run_killed

from sertk.core import locks
from sertk.core.errors import SertkError
from sertk.core.locks import locked


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / ".lock"


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The seconds of all pauses, which are over at once; nothing else makes time pass."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(pauses))
    return pauses


def test_a_holder_is_named_and_others_are_refused(path, pauses):
    with locked(path), pytest.raises(SertkError) as error, locked(path):
        pass
    message = str(error.value)
    since = re.search(r"since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}) ", message)[1]
    holder = f"process {os.getpid()} on {platform.node()} since {since}"
    assert message == f"{path.parent}: in use by {holder} (.lock); let it end, or stop it"
    assert pauses == []
    assert path.read_text() == ""
    with locked(path):
        pass


def hold_and_die(path):
    with locked(path):
        kill_me()


def test_the_lock_of_a_killed_process_is_free_at_once(path):
    run_killed(hold_and_die, path)
    assert path.read_text() != ""  # as after a crash of the machine, it still names its holder
    with locked(path):
        assert f"\t{os.getpid()}\t" in path.read_text()


@pytest.mark.parametrize("here", [True, False])
def test_a_holder_on_another_machine_is_given_a_lease(path, pauses, monkeypatch, here):
    with locked(path):
        if not here:
            monkeypatch.setattr(platform, "node", lambda: "elsewhere")
        with pytest.raises(SertkError, match="in use by process"), locked(path):
            pass
    assert sum(pauses) == (0 if here else locks.LEASE)


def test_a_lock_that_is_let_go_within_the_patience_is_taken(path, pauses, monkeypatch, caplog):
    caplog.set_level("INFO")
    first = locked(path)
    first.__enter__()

    def let_go(seconds):
        pauses.append(seconds)
        first.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", let_go)
    with locked(path, patience=60):
        assert pauses == [locks.PAUSE]
    assert f"waiting for process {os.getpid()} on" in caplog.text


def test_a_file_system_without_locks_is_told_of(path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked(path):
        assert "no locks here (Operation not supported)" in caplog.text
