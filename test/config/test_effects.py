"""Settings that change nothing are refused by name where they are given, and left alone in what is stored."""

import pytest

from sertk.config.loading import load_parts, parts_mapping
from sertk.core.errors import SertkError
from sertk.core.files import write_yaml

MODELS = {
    "blstm": "features: [toy]\nmodel: {name: blstm}\n",
    "svm": "features: [toy]\nmodel: {name: svm}\n",
    "gmm": "features: [toy]\nmodel: {name: class_gmms}\n",
    "linear": "features: [toy]\nmodel: {name: linear}\n",
    "chance": "features: [toy]\nmodel: {name: most_frequent}\n",
    "draw": "features: [toy]\nmodel: {name: random}\n",
    "layer": "features: [encoder]\nencoder: {layer: 2}\nmodel: {name: mean_pool}\n",
    "asr": "features: [toy]\ntask: asr\nmodel: {name: deepspeech}\ntraining: {select: valid_cer}\n",
    "ctc": "features: [toy]\nnumbers: utt2num_phones\nmodel: {name: blstm_ctc}\n",
    "cvae": "features: [toy]\ntask: autoencoder\nsegment: {frames: 9}\nmodel: {name: cvae}\n"
    "training: {select: valid_loss}\n",
}
PARTS = """features: [toy]
steps:
  gmm: {model: {name: class_gmms}, extract: supervector}
  net: {features: [supervector], model: {name: vector_cnn}}
"""


@pytest.fixture
def config(tmp_path):
    """Writes one of MODELS, or a text, to a file and returns its path."""

    def write(name, text=""):
        path = tmp_path / "model.yaml"
        path.write_text(MODELS.get(name, name) + text)
        return path

    return write


def refused(path, *settings, overlay=None):
    with pytest.raises(SertkError) as error:
        load_parts(path, settings, overlay)
    return str(error.value)


FITTED = "which makes no use of it"
IDLE = [
    ("blstm", ["optimiser.momentum=0.9"], "optimiser.momentum is 0.9, expected 0 for adam: only sgd has it"),
    (
        "blstm",
        ["optimiser.name=rmsprop", "optimiser.betas=[0.5, 0.9]"],
        "optimiser.betas is [0.5, 0.9], expected [0.9, 0.999] for rmsprop: only adam has it",
    ),
    (
        "blstm",
        ["optimiser={name: rmsprop, nesterov: true, momentum: 0.5}"],
        "optimiser.momentum is 0.5, expected 0 for rmsprop: only sgd has it",
    ),
    (
        "blstm",
        ["training.select=last", "training.patience=9"],
        "training.patience is 9, expected nothing, where training.select is last",
    ),
    (
        "blstm",
        ["training.select=last", "training.plateau=2"],
        "training.plateau is 2, expected nothing, where training.select is last",
    ),
    (
        "blstm",
        ["training.least_lr=1e-5"],
        "training.least_lr is 1e-05, expected 0, where none of training.drops, training.anneal, training.plateau "
        "lowers the learning rate",
    ),
    ("blstm", ["numbers=utt2num_phones"], f"numbers is 'utt2num_phones', expected nothing for blstm, {FITTED}"),
    ("blstm", ["conditions=posteriors"], f"conditions is 'posteriors', expected nothing for blstm, {FITTED}"),
    (
        "cvae",
        ["conditions=posteriors"],
        "conditions is 'posteriors', expected nothing, where model.condition is uniform",
    ),
    (
        "blstm",
        ["normalise=[{how: mean, range: [0, 2]}]"],
        "normalise is [{how: 'mean', scope: 'global', range: [0.0, 2.0]}], expected range [0.0, 1.0] for mean: "
        "only minmax has it",
    ),
    ("svm", ["training.max_epochs=3"], f"training.max_epochs is 3, expected nothing for svm, {FITTED}"),
    ("svm", ["training.precision=float32"], f"training.precision is 'float32', expected nothing for svm, {FITTED}"),
    ("svm", ["optimiser.lr=0.1"], f"optimiser.lr is 0.1, expected nothing for svm, {FITTED}"),
    ("svm", ["optimiser.name=sgd"], f"optimiser.name is 'sgd', expected nothing for svm, {FITTED}"),
    ("svm", ["segment={frames: 1, jitter: false}"], f"segment.jitter is false, expected nothing for svm, {FITTED}"),
    (
        "svm",
        ["training.imbalance=upsample"],
        "training.imbalance is 'upsample', expected none or weights for svm, which has no epochs",
    ),
    ("gmm", ["training.batch_size=3"], f"training.batch_size is 3, expected nothing for class_gmms, {FITTED}"),
    (
        "gmm",
        ["training.imbalance=weights"],
        f"training.imbalance is 'weights', expected nothing for class_gmms, {FITTED}",
    ),
    ("draw", ["training.tempo=[0.9, 1.1]"], f"training.tempo is [0.9, 1.1], expected nothing for random, {FITTED}"),
    ("chance", ["training.patience=9"], f"training.patience is 9, expected nothing for most_frequent, {FITTED}"),
    (
        "chance",
        ["normalise=speaker"],
        "normalise is [{how: 'meanvar', scope: 'speaker', range: [0.0, 1.0]}], expected nothing for most_frequent, "
        + FITTED,
    ),
    ("chance", ["segment.frames=9"], f"segment.frames is 9, expected nothing for most_frequent, {FITTED}"),
    (
        "layer",
        ["normalise=speaker"],
        "normalise is [{how: 'meanvar', scope: 'speaker', range: [0.0, 1.0]}], expected nothing, as "
        "encoder.normalise is for an encoder's layers",
    ),
    (
        "layer",
        ["normalise=[]", "on_the_fly=true"],
        "on_the_fly is true, expected false, as encoder.in_loop=true computes an encoder's layers",
    ),
    ("asr", ["training.imbalance=weights"], "training.imbalance is 'weights', expected nothing for speech recognition"),
    ("asr", ["extract=output"], "extract is 'output', expected nothing for speech recognition"),
    (
        "linear",
        ["model.classifier=svm", "model.shrinkage=0.5"],
        "model.shrinkage is 0.5, expected nothing, where model.classifier is svm",
    ),
    ("linear", ["model.C=2"], "model.C is 2.0, expected nothing, where model.classifier is lda"),
    ("ctc", ["model.scope=5"], "model.scope is 5, expected nothing, where model.attention is none"),
    (
        "ctc",
        ["model.attention=quantum", "model.energy=frame"],
        "model.energy is 'frame', expected nothing, where model.attention is quantum",
    ),
]


@pytest.mark.parametrize("name, settings, message", IDLE)
def test_what_changes_nothing_is_refused(config, name, settings, message):
    said = refused(config(name), *settings)
    assert said == f"--set {settings[-1]}: {message}"


@pytest.mark.parametrize(
    "name, settings",
    [
        ("blstm", ["optimiser.name=sgd", "optimiser.momentum=0.9", "optimiser.nesterov=true"]),
        ("blstm", ["optimiser.betas=[0.5, 0.9]"]),
        ("blstm", ["optimiser.momentum=0", "optimiser.weight_decay=0.1"]),  # its default
        ("blstm", ["training.least_lr=1e-5", "training.anneal=1.1"]),
        ("blstm", ["training.patience=9", "training.plateau=2", "training.imbalance=upsample"]),
        ("blstm", ["normalise=[{how: minmax, range: [0, 2]}]"]),
        ("svm", ["training.imbalance=weights", "normalise=speaker", "training.max_epochs=30"]),
        ("linear", ["model.classifier=logistic", "model.C=2"]),
        ("ctc", ["model.attention=local", "model.scope=5"]),
        ("gmm", ["normalise=speaker", "segment={frames: 9, train_hop: 3}"]),
        ("chance", ["normalise=[]"]),
        ("layer", ["normalise=[]", "training.tempo=[0.9, 1.1]"]),
        ("ctc", ["numbers=utt2num_words", "training.imbalance=weights"]),
        ("cvae", ["conditions=posteriors", "model.condition=predicted"]),
    ],
)
def test_what_changes_something_is_not(config, name, settings):
    assert list(load_parts(config(name), settings)) == ["train"]


def test_a_file_is_refused_as_a_setting_is_and_what_its_base_says_is_not(config, tmp_path):
    path, heir = config("blstm", "training: {patience: 9}\n"), tmp_path / "heir.yaml"
    heir.write_text("base: model.yaml\ntraining:\n  select: last\n")
    assert load_parts(heir)["train"].training.patience == 9
    assert load_parts(path, ["training.select=last"])["train"].training.select == "last"
    assert load_parts(path, ["model.name=svm"])["train"].training.patience == 9
    heir.write_text("base: model.yaml\ntraining:\n  select: last\n  patience: 8\n")
    wrong = "training.patience is {}, expected nothing, where training.select is last"
    assert refused(heir) == f"{heir}:4: {wrong.format(8)}"
    config("blstm", "training: {select: last}\n")
    heir.write_text("training: {patience: 7}\n")
    assert refused(path, overlay=heir) == f"{heir}:1: {wrong.format(7)}"


def test_what_parts_share_must_be_of_use_to_one_of_them(config):
    path = config(PARTS)
    assert load_parts(path, ["training.batch_size=32"])["net"].training.batch_size == 32
    wrong = f"training.batch_size is 32, expected nothing for class_gmms, {FITTED}"
    own = "steps.gmm.training.batch_size=32"
    assert refused(path, own) == f"--set {own}: steps.gmm.{wrong}"
    shared = ["training.batch_size=32", "steps.net.training.batch_size=9"]
    assert refused(path, *shared) == f"--set training.batch_size=32: {wrong}"
    svm = ["steps.net.model.name=svm", "training.batch_size=32"]
    assert refused(path, *svm) == f"--set training.batch_size=32: {wrong}"


def test_what_every_part_has_itself_is_to_be_said_of_one(config):
    parts = PARTS.replace("class_gmms}", "lstm}, training: {max_epochs: 3}").replace("supervector", "last")
    path = config(parts.replace("vector_cnn}", "lstm}, training: {max_epochs: 30}"))
    assert refused(path, "training.max_epochs=30") == (
        "--set training.max_epochs=30: training.max_epochs changes nothing, as every part has its own: say of which "
        "part: steps.gmm.training.max_epochs or steps.net.training.max_epochs"
    )
    settings = ["training.max_epochs=9", "steps.gmm.training.max_epochs=8"]
    assert refused(path, *settings).startswith("--set training.max_epochs=9: training.max_epochs changes nothing")
    assert load_parts(path, settings[1:])["gmm"].training.max_epochs == 8


def test_what_an_experiment_has_stored_is_read_as_it_is(config, tmp_path):
    parts = load_parts(config(PARTS), ["training.batch_size=32"])
    stored = tmp_path / "exp" / "config.yaml"
    write_yaml(stored, parts_mapping(parts))  # all of both parts, of use to them or not
    assert "steps.gmm.training.batch_size is 32, expected nothing" in refused(stored)
    write_yaml(stored.with_name("card.yaml"), {"corpus": "toy"})
    assert load_parts(stored) == parts
    setting = "steps.gmm.training.patience=9"
    assert refused(stored, setting).startswith(f"--set {setting}: steps.gmm.training.patience is 9, expected nothing")
