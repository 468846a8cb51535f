"""What recipes do, done from Python."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import torch
from small_experiments import decode_run, train_run
from torch import nn

from sertk import Experiment, load_recognizer
from sertk.core.errors import SertkError
from sertk.core.files import read_yaml
from sertk.experiments import experiment as stored
from sertk.models.base import EmotionModel, Output
from sertk.models.registry import MODELS, Entry, ModelConfig


@pytest.fixture
def experiment(small_corpus, toy_config, tmp_path):
    return Experiment.create(
        tmp_path / "exp/toy",
        toy_config,
        small_corpus,
        small_corpus / "splits/toy",
        "3",
        settings=["training.max_epochs=2"],
    )


def test_an_experiment_from_its_config_to_results(experiment, small_corpus, toy_config, tmp_path):
    (run,) = experiment.jobs()
    assert (run.fold, run.seed, run.state) == (1, 1, "new")
    run.train("cpu")
    assert run.state == "trained"
    assert "training ended after epoch 2" in (run.path / "train.log").read_text()
    folder = run.decode(device="cpu")
    assert folder == run.path / "decode_test" and run.state == "decoded"
    with pytest.raises(SertkError, match="0 draws: a bootstrap has at least one"):
        experiment.score(draws=0)
    results = experiment.score(draws=100)
    assert results == json.loads((experiment.path / "results.json").read_text())
    assert [run.path for run in Experiment(experiment.path).runs()] == [run.path]
    shutil.copytree(run.path, run.path.with_name("seed2"))
    with pytest.raises(SertkError, match="fold1/seed2: what was trained in it is fold 1, seed 1; rename the folder"):
        experiment.score(draws=100)
    shutil.rmtree(run.path.with_name("seed2"))
    assert experiment.classes == ["angry", "calm", "sad"] and experiment.card["corpus"] == "data"

    by_commands = train_run(small_corpus, toy_config, tmp_path / "other", "training.max_epochs=2")
    predictions = [(each / "predictions.tsv").read_text() for each in (folder, decode_run(by_commands))]
    assert predictions[0] == predictions[1]


def test_what_is_trained_is_not_trained_again_and_other_splits_decode(experiment):
    run = experiment.run(1)
    run.train("cpu")
    best = run.path / "checkpoints/best.pt"
    before = best.stat().st_mtime_ns
    run.train("cpu")
    assert best.stat().st_mtime_ns == before
    valid = (run.decode("valid", "cpu") / "predictions.tsv").read_text().splitlines()
    assert {line.split("\t")[1] for line in valid[1:]} == {"s3"}
    with pytest.raises(SertkError, match="no split 'tset': expected one of train, valid, test"):
        run.decode("tset", "cpu")


def test_a_run_is_trained_in_a_thread(experiment):
    with ThreadPoolExecutor() as pool:
        pool.submit(experiment.run(1).train, "cpu").result()
    assert experiment.run(1).state == "trained"


def test_a_run_is_found_by_its_folder_and_stands_for_nothing_else(experiment, tmp_path):
    run = experiment.run(1)
    with pytest.raises(SertkError, match="fold1/seed1: not trained yet; stage 3 trains it"):
        run.decode(device="cpu")
    with pytest.raises(SertkError, match="fold1/seed1: not trained yet; stage 3 trains it"):
        run.recognizer("cpu")
    run.train("cpu")
    assert type(run).of(run.path).path.resolve() == run.path
    assert type(run).of(experiment.path).path.resolve() == run.path  # it has one alone
    with pytest.raises(SertkError, match="no fold 2 .there are 1."):
        experiment.run(2)
    with pytest.raises(SertkError, match="no experiment there"):
        Experiment(tmp_path)


def test_the_stored_experiment_is_the_same_without_torch(experiment):
    plain = stored.Experiment(experiment.path)
    assert plain.inputs == experiment.inputs and plain.parts == experiment.parts
    assert not hasattr(plain.run(1), "train")
    assert read_yaml(experiment.path / "data.yaml")["label_set"] == "3"


def test_settings_and_label_sets_are_taken_as_people_write_them(small_corpus, toy_config, tmp_path):
    data = (toy_config, small_corpus, small_corpus / "splits/toy", 3)
    experiment = Experiment.create(tmp_path / "exp", *data, settings="training.max_epochs=2 'normalise=[]'")
    assert experiment.inputs.label_set == experiment.card["label_set"] == "3"
    assert experiment.parts["train"].training.max_epochs == 2 and experiment.parts["train"].normalise == ()
    with pytest.raises(SertkError, match="--set training.max_epochs='2: No closing quotation"):
        Experiment.create(tmp_path / "exp", *data, settings="training.max_epochs='2")


def test_names_that_are_not_there_are_no_attributes():
    import sertk

    assert sertk.load_recognizer is load_recognizer
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sertk.nothing  # noqa: B018


@dataclass(frozen=True)
class LastFrameConfig(ModelConfig):
    units: int = 4


class LastFrame(EmotionModel):
    """The last frame, one hidden layer, softmax."""

    def __init__(self, config, shape):
        super().__init__(config, shape)
        self.network = nn.Sequential(
            nn.Linear(shape.only_dims(), config.units), nn.ReLU(), nn.Linear(config.units, shape.classes)
        )

    def forward(self, batch):
        stream = batch.only_stream()
        return Output(self.network(stream.values[torch.arange(len(stream.values)), stream.lengths - 1]))


def test_a_model_of_a_notebook_is_trained_and_decoded(small_corpus, toy_config, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "mine", Entry(LastFrameConfig, LastFrame))
    settings = ["model={name: mine, units: 8}", "training.max_epochs=2"]
    splits = small_corpus / "splits/toy"
    experiment = Experiment.create(tmp_path / "exp/mine", toy_config, small_corpus, splits, "3", settings=settings)
    run = experiment.run(1)
    run.train("cpu")
    run.decode(device="cpu")
    assert experiment.score(draws=100)["folds"][0]["utterances"] == 6
    weights = torch.load(run.path / "checkpoints/best.pt", weights_only=True)["model"]
    assert weights["network.0.weight"].shape == (8, 6)
