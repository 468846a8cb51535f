import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "egs/ravdess/local/get_data.sh"
URL = "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1"
MD5 = "bc696df654c87fed845eb13823edef8a"


@pytest.fixture
def get_data(tmp_path, monkeypatch):
    """Runs the script in a recipe folder whose sertk-download only writes down its arguments."""
    monkeypatch.delenv("RAVDESS_URL", raising=False)
    recipe = tmp_path / "recipe"
    (recipe / "bin").mkdir(parents=True)
    (recipe / "path.sh").write_text("export PATH=$PWD/bin:$PATH\n")
    stub = recipe / "bin/sertk-download"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > arguments\n')
    stub.chmod(0o755)

    def run(*arguments, **environment):
        settings = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", *settings, "bash", SCRIPT, *arguments]
        done = subprocess.run(command, cwd=recipe, check=False, capture_output=True, text=True)
        called = recipe / "arguments"
        return done, called.read_text().split("\n")[:-1] if called.exists() else None

    return run


def test_downloads_the_published_file(get_data):
    done, arguments = get_data("downloads")
    assert done.returncode == 0, done.stderr
    assert arguments == ["--extract", "downloads/ravdess", URL, MD5, "downloads/Audio_Speech_Actors_01-24.zip"]
    assert "CC BY-NC-SA 4.0" in done.stdout


def test_a_mirror_keeps_the_checksum(get_data):
    _, arguments = get_data("downloads", RAVDESS_URL="https://mirror.example/a.zip")
    assert arguments[2:4] == ["https://mirror.example/a.zip", MD5]


def test_a_copy_is_used(get_data, tmp_path):
    (tmp_path / "copy/x/Actor_01").mkdir(parents=True)
    (tmp_path / "copy/x/Actor_01/03-01-01-01-01-01-01.flac").touch()
    (tmp_path / "link").symlink_to(tmp_path / "copy")
    for folder in ("copy", "link"):
        done, arguments = get_data(tmp_path / folder)
        assert (done.returncode, arguments) == (0, None)
        assert "RAVDESS is in" in done.stdout


def test_what_a_killed_download_left_is_no_copy(get_data, tmp_path):
    (tmp_path / "downloads/.ravdess.tmp/Actor_01").mkdir(parents=True)
    (tmp_path / "downloads/.ravdess.tmp/Actor_01/03-01-01-01-01-01-01.wav").touch()
    done, arguments = get_data("../downloads")
    assert done.returncode == 0
    assert arguments[1] == "../downloads/ravdess"


def test_usage(get_data):
    done, arguments = get_data()
    assert (done.returncode, arguments) == (1, None)
    assert "Usage:" in done.stderr
