"""What holds for every emotion model."""

import dataclasses

import pytest
import torch

from sertk.batches.streams import Dataset, Stream
from sertk.config.schema import build_model_config
from sertk.core.errors import SertkError
from sertk.models.base import Batch, FittedModel, Padded, Shape, WindowModel
from sertk.models.build import build_network
from sertk.models.pooled import MeanBlstm
from sertk.models.registry import MODELS, BlstmConfig, Entry

TINY_CNN = {"heights": [3, 2], "widths": [2, 3], "filters": [2, 2], "channels": [4, 4]}
SMALL = {
    "ae": {"hidden": [8, 6], "latent": 4},
    "blstm": {"lstm_units": 5},
    "blstm_capsule": {"lstm_units": 5, "filters": 3, "capsules": 4, "kernel": 5},
    "blstm_cnn": {"lstm_units": 5, "filters": 3, "capsules": 4, "kernel": 5},
    "blstm_ctc": {"lstm_units": 5, "attention": "component", "scope": 3},
    "capsule": {"filters": 3, "capsules": 4, "kernel": 5},
    "capsule_blstm": {"lstm_units": 5, "filters": 3, "capsules": 4, "kernel": 5},
    "class_gmms": {"components": 2},
    "cnn_attpool": TINY_CNN,
    "cnn_bilinear": TINY_CNN,
    "cnn_gap": TINY_CNN,
    "cvae": {"hidden": [8, 6], "latent": 4},
    "gru": {"gru_units": 5},
    "linear": {"classifier": "svm", "C": 100.0},
    "lstm": {"lstm_units": 5},
    "mean_pool": {"dropout": 0.0},
    "most_frequent": {},
    "progressive": {"gru_units": 5},
    "progressive_lateral": {"gru_units": 5},
    "random": {},
    "svm": {},
    "vae": {"hidden": [8, 6], "latent": 4},
    "vector_cnn": {"filters": [4, 4], "units": 8, "dropout": 0.0},
}
FITTED = sorted(name for name in SMALL if MODELS[name].fitted)
BY_GRADIENT = sorted(set(SMALL) - set(FITTED))
CLASSIFIERS = [name for name in SMALL if MODELS[name].task == "emotion"]
DEAF = ("most_frequent", "random")  # what they say has nothing to do with what was said
ONE_FRAME = ("linear", "svm", "vector_cnn")
LAYERS = {"progressive": ("encoder:2",), "progressive_lateral": ("encoder:1", "encoder:4")}  # of an encoder
FRAMES = 15
# Frames per window; None: whole utterances
SEGMENTS = {name: None if MODELS[name].takes == "utterances" else FRAMES for name in SMALL}
DIMS = {name: {"toy": 6, **dict.fromkeys(LAYERS.get(name, ()), 4)} for name in SMALL}


def make_model(name, **options):
    torch.manual_seed(0)
    frames = options.pop("frames", SEGMENTS[name])
    config = build_model_config({"name": name, **SMALL[name], **options}, "test", "model.")
    return build_network(config, Shape(DIMS[name], 3, frames)).eval()


def window_batch(windows, frames=FRAMES):
    values = torch.randn(windows, frames, 6, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(windows) % 3
    values[torch.arange(windows), :, labels] += 1.5  # so that there is something to learn
    stream = Padded(values, torch.full((windows,), frames))
    return Batch(torch.arange(windows), {"toy": stream}, labels, numbers=torch.arange(windows) % 2 + 1)


def batch_for(name, windows):
    batch = window_batch(windows, 1 if name in ONE_FRAME else FRAMES)
    for number, layer in enumerate(LAYERS.get(name, ())):  # half as many frames
        values = batch.streams["toy"].values[:, number::2, :4][:, :7]
        batch.streams[layer] = Padded(values, torch.full((windows,), values.shape[1]))
    return batch


def trained_model(name):
    """A model of random weights, or one fitted to 30 windows."""
    model = make_model(name)
    if name in FITTED:
        fit(model, batch_for(name, 30))
    return model


def fit(model, batch, weights=None):
    matrices = [matrix.numpy() for matrix in batch.only_stream().values]
    speakers = [f"speaker{int(item) // 3 % 4}" for item in batch.items]
    streams, names = {"toy": Stream(matrices)}, list(map(str, batch.items))
    model.fit(Dataset(names, streams, {}, batch.labels, weights, speakers=speakers), None, 1)


def part_of(batch, rows):
    streams = {name: Padded(stream.values[rows], stream.lengths[rows]) for name, stream in batch.streams.items()}
    return Batch(batch.items[rows], streams, batch.labels[rows], numbers=batch.numbers[rows])


def test_every_model_is_tested_here():
    assert set(SMALL) == {name for name, model in MODELS.items() if model.task != "asr"}  # which has tests of its own


@pytest.mark.parametrize("name", SMALL)
def test_networks_are_what_the_registry_says(name):
    model = make_model(name)
    assert isinstance(model, FittedModel) == MODELS[name].fitted
    assert isinstance(model, WindowModel) == (MODELS[name].takes == "windows")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_posteriors_are_probabilities_and_do_not_depend_on_the_batch(name):
    model = trained_model(name)
    batch = batch_for(name, 7)
    with torch.no_grad():
        together = model.posteriors(batch)
        alone = torch.cat([model.posteriors(part_of(batch, slice(row, row + 1))) for row in range(7)])
    assert together.shape == (7, 3)
    torch.testing.assert_close(together.sum(1), torch.ones(7, dtype=together.dtype))
    assert (together >= 0).all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_gives_rows_of_vectors(name):
    model = trained_model(name)
    with torch.no_grad():
        batch = batch_for(name, 4)
        for layer in MODELS[name].layers:
            vectors = model.vectors(batch, layer)
            assert vectors.ndim == 3 and len(vectors) == 4
        if name not in CLASSIFIERS:
            return
        scores = model(batch).scores
        expected = scores if scores.ndim == 2 else scores.mean(1)
        torch.testing.assert_close(model.vectors(batch, "output")[:, 0], expected)


@pytest.mark.parametrize("name", BY_GRADIENT)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_training_lowers_the_loss_and_moves_every_weight(name, precision):
    model = make_model(name).train()
    batch = batch_for(name, 12)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            loss, _ = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < (0.7 if name in CLASSIFIERS else 0.95) * losses[0]  # noise leaves much to reconstruct
    unmoved = [key for key, value in model.state_dict().items() if torch.equal(value, before[key])]
    assert not unmoved


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_weights_of_items_stand_for_repetitions(name):
    model = make_model(name)
    batch = batch_for(name, 5)
    weighted = dataclasses.replace(batch, weights=torch.tensor([3.0, 1.0, 1.0, 0.0, 1.0]))
    repeated = part_of(batch, torch.tensor([0, 0, 0, 1, 2, 4]))
    with torch.no_grad():
        torch.testing.assert_close(model.loss(weighted)[0], model.loss(repeated)[0])


@pytest.mark.parametrize("name", FITTED)
def test_fitted_models_learn_and_are_the_same_when_loaded(name):
    model, batch = trained_model(name), batch_for(name, 30)
    posteriors = model.posteriors(batch)
    if name not in DEAF:
        assert (posteriors.argmax(1) == batch.labels).float().mean() > 0.9
    other = make_model(name)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.posteriors(batch), posteriors)


def test_blstm_takes_whole_utterances_and_ignores_their_padding():
    model = make_model("blstm", frames=None)
    lengths = torch.tensor([9, 15, 3])
    values = torch.randn(3, FRAMES, 6)
    with torch.no_grad():
        together = model.posteriors(Batch(torch.arange(3), {"toy": Padded(values, lengths)}))
        for row, length in enumerate(lengths.tolist()):
            stream = Padded(values[row : row + 1, :length], lengths[row : row + 1])
            alone = model.posteriors(Batch(torch.arange(1), {"toy": stream}))
            torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("layout", ["flattened", "position", "grid"])
@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_blstm_capsule_learns_in_every_layout_with_either_loss(layout, loss):
    model = make_model("blstm_capsule", layout=layout, loss=loss).train()
    batch = window_batch(12)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        value, _ = model.loss(batch)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        assert (model.posteriors(batch).argmax(1) == batch.labels).float().mean() > 0.9


def test_the_papers_number_of_capsule_units_follows_the_classes():
    def units(classes):
        config = build_model_config({"name": "blstm_capsule", "lstm_units": 2, "filters": 2}, "test", "model.")
        return build_network(config, Shape({"toy": 6}, classes, FRAMES)).lower.units

    assert (units(2), units(5), units(8)) == (4, 10, 10)


@pytest.mark.parametrize("name", ["blstm_capsule", "blstm_cnn", "capsule", "capsule_blstm"])
def test_models_of_windows_refuse_what_is_none(name):
    with pytest.raises(SertkError, match=f"{name} classifies windows.*segment.frames"):
        make_model(name, frames=None)
    with pytest.raises(SertkError, match=f"segment.frames is 4, below the 5 that {name} needs"):
        make_model(name, frames=4)


@pytest.mark.parametrize("name", sorted(set(SMALL) - set(FITTED) - set(LAYERS)))
def test_models_of_one_stream_refuse_two(name):
    config = build_model_config({"name": name, **SMALL[name]}, "test", "model.")
    with pytest.raises(SertkError, match="one feature type, not 2: toy, other"):
        build_network(config, Shape({"toy": 6, "other": 6}, 3, SEGMENTS[name]))


@pytest.mark.parametrize("name", ONE_FRAME)
def test_models_of_vectors_refuse_sequences(name):
    with pytest.raises(SertkError, match="15 frames; this model takes one vector"):
        trained_model(name)(window_batch(2))


def test_maps_that_would_vanish_are_refused():
    config = build_model_config({"name": "cnn_gap", "heights": [2], "widths": [2], "filters": [2]}, "test", "model.")
    with pytest.raises(SertkError, match="cnn_gap: nothing would be left of 4 bins x 9 frames"):
        build_network(config, Shape({"toy": 4}, 3, 9))
    assert build_network(config, Shape({"toy": 5}, 3, 9))


def test_a_model_of_a_notebook_needs_no_module(monkeypatch):
    monkeypatch.setitem(MODELS, "mine", Entry(BlstmConfig, MeanBlstm))
    config = build_model_config({"name": "mine", "lstm_units": 4}, "test", "model.")
    model = build_network(config, Shape({"toy": 6}, 3))
    assert type(model) is MeanBlstm and model.output.in_features == 8


def test_what_a_loss_needs_and_lacks_is_named():
    batch = dataclasses.replace(batch_for("blstm", 2), labels=None)
    with pytest.raises(ValueError, match="labels are needed here, and not given"):
        make_model("blstm").loss(batch)
