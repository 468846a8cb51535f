"""The comparisons of filter shapes and latent sizes, with a run.sh that only notes how it was called."""

import shlex
import shutil
import subprocess

import pytest
import yaml
from decoded_experiments import make_experiment
from recipes import ROOT, environment_of_recipes

from sertk.config.loading import load_parts
from sertk.core.files import write_json
from sertk.evaluation.results import score

RUN = """#!/usr/bin/env bash
case " $* " in
  *" --model cnn_gap "*" --print_exp true "*) echo exp/mini_4_mini/cnn_gap_conv1; exit ;;
  *" --print_exp true "*) echo exp/mini_4_mini/vae_lstm_latent; exit ;;
esac
printf '%q ' "$@" >> calls
echo >> calls
"""


@pytest.fixture
def recipe(tmp_path):
    """The folder of a recipe whose run.sh writes its arguments to `calls`."""
    recipe = tmp_path / "egs" / "mini"
    shutil.copytree(ROOT / "egs/common", tmp_path / "egs/common")
    shutil.copytree(ROOT / "egs/mini/local", recipe / "local", symlinks=True)
    (recipe / "path.sh").symlink_to("../common/path.sh")
    (recipe / "utils").symlink_to(ROOT / "utils")
    (recipe / "run.sh").write_text(RUN)
    (recipe / "run.sh").chmod(0o755)
    return recipe


def call(recipe, *options, script="filter_shapes"):
    return subprocess.run(
        [f"local/{script}.sh", *options],
        cwd=recipe,
        env=environment_of_recipes(),
        capture_output=True,
        text=True,
        check=False,
    )


def make_scored(recipe, *shapes):
    for number, (height, width) in enumerate(shapes):
        folder = recipe / f"exp/mini_4_mini/cnn_gap_conv1_{height}x{width}"
        make_experiment(folder, done=(1,), number=number)
        write_json(folder / "results.json", score(folder, draws=100))
        config = {"model": {"name": "cnn_gap", "heights": [height], "widths": [width]}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))


def test_each_shape_is_trained_once_and_both_sweeps_are_drawn(recipe):
    make_scored(recipe, (2, 2), (10, 2), (2, 8))
    own = ["--heights", "2 10", "--set", "optimiser.lr=0.01", "--widths", "2 8"]
    done = call(recipe, "--folds", "1 3", *own, "--protocol=si")
    assert done.returncode == 0, done.stderr
    calls = [shlex.split(line) for line in (recipe / "calls").read_text().splitlines()]
    assert [words[words.index("--tag") + 1] for words in calls] == ["conv1_2x2", "conv1_2x8", "conv1_10x2"]
    for words, (height, width) in zip(calls, ((2, 2), (2, 8), (10, 2))):
        assert words[:7] == ["--stage", "3", "--model", "cnn_gap", "--folds", "1 3", "--protocol=si"]
        settings = shlex.split(words[words.index("--set") + 1])
        (config,) = load_parts(ROOT / "egs/common/conf/cnn_gap.yaml", settings).values()
        model = config.model
        assert (model.heights, model.widths) == ((height,), (width,))
        assert (model.filters, model.channels) == ((16,), ())
        assert config.optimiser.lr == 0.01
    for name in ("heights", "widths"):
        picture = f"exp/mini_4_mini_cnn_gap_conv1_{name}"
        assert f"{picture}.png, {picture}.svg" in done.stdout
        assert (recipe / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
        assert f"model.{name}" in (recipe / f"{picture}.svg").read_text()


def test_one_sweep_alone_with_the_last_of_equal_options(recipe):
    make_scored(recipe, (2, 4), (2, 16))
    done = call(recipe, "--heights", "", "--widths", "16 4", "--stage", "5", "--metric", "accuracy")
    assert done.returncode == 0, done.stderr
    (picture,) = recipe.glob("exp/*.svg")
    assert picture.name == "mini_4_mini_cnn_gap_conv1_widths.svg"
    assert "accuracy and recall" in picture.read_text()
    for line in (recipe / "calls").read_text().splitlines():
        assert line.startswith("--stage 3 --model cnn_gap --stage 5 ")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--heights", "2"], '--heights 2: expected two whole numbers or more, such as "2 10", or none'),
        (["--widths", "2 x"], "--widths 2 x: expected two whole numbers"),
        (["--widths", "0 2"], "--widths 0 2: expected two whole numbers"),
        (["2 10"], "2 10: expected options alone"),
    ],
)
def test_wrong_calls_say_what_is_wrong(recipe, options, message):
    done = call(recipe, *options)
    assert done.returncode == 1 and message in done.stderr
    assert not (recipe / "calls").exists()


def test_what_stops_a_training_stops_the_comparison(recipe):
    (recipe / "run.sh").write_text(f"{RUN}exit 3\n")
    assert call(recipe).returncode == 3
    assert len((recipe / "calls").read_text().splitlines()) == 1


@pytest.mark.parametrize("corpus", ["iemocap", "ravdess", "mini"])
def test_recipes_have_it(corpus):
    assert (ROOT / f"egs/{corpus}/local/filter_shapes.sh").resolve() == ROOT / "egs/common/filter_shapes.sh"


def test_each_latent_size_is_trained_and_drawn(recipe):
    for number, size in enumerate((32, 64)):
        folder = recipe / f"exp/mini_4_mini/vae_lstm_latent{size}"
        make_experiment(folder, done=(1,), number=number)
        write_json(folder / "results.json", score(folder, draws=100))
        config = {"steps": {"vae": {"model": {"name": "vae", "latent": size}}}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = call(recipe, "--folds", "1", "--sizes", "32 64", "--set", "steps.vae.model.beta=0.5", script="latent_sizes")
    assert done.returncode == 0, done.stderr
    calls = [shlex.split(line) for line in (recipe / "calls").read_text().splitlines()]
    assert [words[words.index("--tag") + 1] for words in calls] == ["latent32", "latent64"]
    for words, size in zip(calls, (32, 64)):
        assert words[:6] == ["--stage", "3", "--folds", "1", "--model", "vae_lstm"]
        settings = shlex.split(words[words.index("--set") + 1])
        model = load_parts(ROOT / "egs/common/conf/vae_lstm.yaml", settings)["vae"].model
        assert (model.latent, model.beta) == (size, 0.5)
    assert (recipe / "exp/mini_4_mini_vae_lstm_latent_sizes.png").exists()


def test_latent_sizes_of_models_without_latents_are_refused(recipe):
    done = call(recipe, "--model", "blstm", script="latent_sizes")
    assert done.returncode == 1 and "--model blstm: expected ae_lstm" in done.stderr
