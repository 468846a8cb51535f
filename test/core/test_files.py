"""Folders that are written aside, and what is left of them when that is cut off at any place."""

import os
import platform

import pytest
from faults import die_at, kill_me, run_killed

from sertk.core.errors import SertkError
from sertk.core.files import folder_aside, read_json, read_text, read_yaml, replace_folder, scratch_folder
from sertk.core.locks import locked_folder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "folder"


def fill(path, content):
    with folder_aside(path) as aside:
        (aside / "file").write_text(content)
        (aside / content).mkdir()


def below(path):
    return sorted(str(each.relative_to(path.parent)) for each in path.parent.rglob("*"))


def test_a_folder_appears_and_is_replaced_whole(path):
    with folder_aside(path) as aside:
        (aside / "file").write_text("one")
        assert not path.exists() and aside.parent == path.parent
    assert below(path) == ["folder", "folder/file"]
    fill(path, "two")
    assert below(path) == ["folder", "folder/file", "folder/two"]
    assert (path / "file").read_text() == "two"


def test_an_error_leaves_what_was_there(path, monkeypatch):
    with pytest.raises(ZeroDivisionError), folder_aside(path) as aside:
        (aside / "file").write_text("half")
        raise ZeroDivisionError
    assert below(path) == []
    fill(path, "one")
    with pytest.raises(ZeroDivisionError), folder_aside(path) as aside:
        raise ZeroDivisionError
    original, calls = os.replace, []

    def fail_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError("no more")
        original(*args)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(OSError, match="no more"):
        fill(path, "two")
    assert below(path) == ["folder", "folder/file", "folder/one"]


def test_a_file_is_no_folder_to_replace(path):
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(NotADirectoryError):
        fill(path, "one")
    assert below(path) == ["folder"] and path.read_text() == "mine"


def test_a_scratch_folder_goes_unless_it_is_renamed(path):
    with scratch_folder(path) as aside:
        (aside / "file").write_text("x")
    assert below(path) == []
    with scratch_folder(path) as aside:
        replace_folder(aside, path)
    assert below(path) == ["folder"]


def fill_and_die(path, when):
    if when:
        die_at("replace", when)
    with folder_aside(path) as aside:
        (aside / "file").write_text("half")
        if not when:
            kill_me()


@pytest.mark.parametrize("when", [0, 1])
def test_a_killed_process_leaves_the_old_folder_and_the_next_holder_of_its_lock_tidies_up(path, when):
    fill(path, "one")
    (path.parent / ".folder2.host.1.tmp").mkdir()  # of another folder
    run_killed(fill_and_die, path, when)
    assert (path / "file").read_text() == "one"
    assert len(below(path)) == 6
    with locked_folder(path):
        assert below(path) == [".folder.lock", ".folder2.host.1.tmp", "folder", "folder/file", "folder/one"]


def test_the_next_writer_removes_what_a_killed_one_left(path):
    fill(path, "one")
    run_killed(fill_and_die, path, 0)
    alive = path.with_name(f".folder.{platform.node()}.{os.getppid()}.tmp")
    alive.mkdir()
    assert len([left for left in path.parent.glob(".folder.*.tmp") if left != alive]) == 1
    fill(path, "two")
    assert below(path) == [alive.name, "folder", "folder/file", "folder/two"]


@pytest.mark.parametrize("read", [read_text, read_yaml, read_json])
def test_text_that_is_not_utf8_is_named_with_its_line(path, read):
    path.parent.mkdir()
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(SertkError) as refused:
        read(path)
    assert str(refused.value) == f"{path}:2: not UTF-8 text; convert the file with iconv"
