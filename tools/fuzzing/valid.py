"""Small inputs of every kind that are right, in the working folder; all paths in them are relative."""

from pathlib import Path

import numpy as np
import soundfile

from sertk.core.files import write_text, write_yaml
from sertk.kaldi.archives import MatrixWriter, open_matrices
from sertk.kaldi.datadir import write_data_dir

RATE = 16000
UNDAMAGED = "wav/s1-sad.wav"
CLASSES, SPEAKERS = ("angry", "calm", "sad"), ("s1", "s2", "s3", "s4")
CPU = ["--device", "cpu", "--num_threads", "1"]
QUICK = {"max_epochs": 1, "batch_size": 16, "precision": "float32"}
MODELS = {
    "blstm": {
        "features": ["own"],
        "normalise": [{"how": "meanvar", "scope": "speaker"}],
        "segment": {"frames": 11, "train_hop": 5, "decode_hop": 5},
        "model": {"name": "blstm", "lstm_units": 3, "dropout": 0.1},
        "optimiser": {"name": "adam", "lr": 0.001, "betas": [0.9, 0.99]},
        "training": {**QUICK, "drops": [2], "imbalance": "weights", "tempo": [1.0, 1.0]},
    },
    "svm": {
        "features": ["own"],
        "steps": {
            "gmm": {"model": {"name": "class_gmms", "components": 2}, "extract": "supervector"},
            "svm": {"features": ["supervector"], "model": {"name": "svm", "cost": 1.0}},
        },
    },
    "ctc": {
        "features": ["own"],
        "normalise": "utterance",
        "numbers": "utt2num_words",
        "model": {"name": "blstm_ctc", "lstm_units": 3, "attention": "local", "scope": 3},
        "training": {**QUICK, "average": 0.5},
    },
}
EXTRACTOR = {"extractor": "fbank", "num_mel_bins": 8, "window_type": "hamming"}
PROTOCOLS = {
    "listed": {"rule": "balanced", "by": "speaker", "folds": 4, "source": "Four speakers."},
    "drawn": {"rule": "random", "test_share": 0.25, "valid_share": 0.25, "repeats": 2, "seed": 1},
}
PUBLISHED = [
    {
        "source": "A table",
        "corpus": "data",
        "label_set": "3",
        "protocol": "listed",
        "metric": "UA",
        "taken_for": "uar",
        "rows": [{"system": "BLSTM", "model": "blstm", "features": ["own"], "value": 50.5, "sd": 1.0}],
    }
]


def succeed(call, command):
    """Runs a command by `call(words) -> (status, out, err)`; raises RuntimeError where it fails."""
    status, _, err = call([str(word) for word in command])
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {status}: {err}")


def make_valid(call):
    """Recordings, data folder, archives, tables, YAML files, experiments and packed models; `call` as of `succeed`."""

    def command(*words):
        succeed(call, words)

    make_recordings()
    make_data()
    make_archives(command)
    command("data_dir", "copy", "data", "other")
    for name, config in MODELS.items():
        write_yaml(f"{name}.yaml", config)
    write_yaml("over.yaml", {"training": {"patience": 2}})
    write_yaml("protocols.yaml", PROTOCOLS)
    write_yaml("published.yaml", PUBLISHED)
    write_yaml("map.yaml", {"angry": ["angry"], "sad": ["sad", "calm"]})
    command("make_splits", "--config", "protocols.yaml", "--protocol", "listed", "data", "data/splits/listed")
    for name in ("blstm", "svm"):
        make_experiment(command, name, f"exp/{name}")
    make_experiment(command, "blstm", "exp/wide", "--set", "model.lstm_units=4")
    command("pack", "exp/blstm/fold1/seed1", "blstm.zip")
    command("pack", "exp/svm/fold1/seed1", "svm.zip")


def make_recordings():
    random = np.random.default_rng(0)
    for speaker in SPEAKERS:
        for number, label in enumerate(CLASSES):
            time = np.arange(int(RATE * (0.3 + 0.02 * number))) / RATE
            wave = 0.2 * np.sin(2 * np.pi * 150 * (number + 1) * time) + 0.01 * random.normal(size=len(time))
            write_wave(f"wav/{speaker}-{label}.wav", wave)
    stereo = np.stack([wave, -0.5 * wave], 1)
    write_wave("more/stereo.flac", stereo)
    write_wave("more/small.ogg", wave)
    write_wave("more/float.wav", stereo, subtype="FLOAT")
    write_wave("more/law.au", wave, subtype="ULAW")
    write_wave("more/old.sph", wave, format="NIST")
    write_wave("more/coded.mp3", wave)


def write_wave(path, wave, **how):
    Path(path).parent.mkdir(exist_ok=True)
    soundfile.write(path, wave, RATE, **how)


def make_data():
    names = {f"{speaker}-{label}": (speaker, label) for speaker in SPEAKERS for label in CLASSES}
    write_data_dir(
        "data",
        {
            "wav.scp": {name: f"wav/{name}.wav" for name in names},
            "utt2spk": {name: speaker for name, (speaker, _) in names.items()},
            "utt2dur": dict.fromkeys(names, "0.32"),
            "utt2num_words": dict.fromkeys(names, "2"),
            "utt2group": {name: "g" + speaker[1:] for name, (speaker, _) in names.items()},
            "spk2gender": dict.fromkeys(SPEAKERS, "f"),
            "text": dict.fromkeys(names, "two words"),
            "labels/3": {name: label for name, (_, label) in names.items()},
        },
    )
    write_text("segments", "".join(f"{name}-1 {name} 0.05 0.25\n" for name in names))
    rows = [f"wav/{name}.wav,{label},{speaker},{speaker}g,two words" for name, (speaker, label) in names.items()]
    write_text("table.csv", "\n".join(["path,label,speaker,group,text", *rows, ""]))
    write_text("people.tsv", "".join(f"wav/{name}.wav {speaker}\n" for name, (speaker, _) in names.items()))


def make_archives(command):
    write_yaml("own.yaml", EXTRACTOR)
    Path("data/feats").mkdir()
    own = ["compute_feats", "--config", "own.yaml", "scp:data/wav.scp"]
    command(*own, "ark,scp:data/feats/own.ark,data/feats/own.scp")
    Path("arks").mkdir()
    command(*own, "ark,scp:arks/plain.ark,arks/plain.scp")
    command(*own, "ark,t,scp:arks/text.ark,arks/text.scp")
    command(*own, "--compress", "ark,scp:arks/small.ark,arks/small.scp")
    with MatrixWriter("ark,scp:arks/double.ark,arks/double.scp") as writer:
        for name, matrix in open_matrices("ark:arks/plain.ark"):
            writer.write(name, matrix.astype(np.float64))
    waves = (f"{path.stem} ".encode() + path.read_bytes() for path in sorted(Path("wav").glob("*.wav")))
    Path("arks/wave.ark").write_bytes(b"".join(waves))
    command("compute_cmvn", "--spk2utt", "data/spk2utt", "ark:arks/plain.ark", "ark:arks/cmvn.ark")


def make_experiment(command, model, exp, *options):
    data = ["--data", "data", "--splits", "data/splits/listed", "--labels", "3"]
    command("make_experiment", "--config", f"{model}.yaml", *options, *data, exp)
    for fold in (1, 2):
        command("train", "--fold", fold, *CPU, exp)
        command("decode", "--fold", fold, *CPU, exp)
    command("score", "--draws", 100, exp)
