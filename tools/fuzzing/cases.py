"""What is damaged, and which commands then read it."""

from dataclasses import dataclass
from pathlib import Path

from fuzzing.valid import CPU, MODELS, PROTOCOLS, UNDAMAGED

DRAWS = ["--draws", "100"]
EXP, OTHER = "exp/blstm", "exp/svm"
DECODE, TRAIN = ["decode", *CPU], ["train", "--fold", "1", *CPU]
MAKE = ["make_experiment", "--data", "data", "--splits", "data/splits/listed", "--labels", "3"]
SETTINGS = (
    *("model.name=gru", "model.lstm_units=4", "training.max_epochs=2", "training.drops=[2]", "features=[own]"),
    *(
        "segment.frames=20",
        "normalise=speaker",
        "optimiser.betas=[0.9,0.99]",
        "training.gain=[0,0]",
        "model={name: svm}",
    ),
    *("encoder={name: tiny, layer: 1}", "steps={a: {model: {name: svm}}}", "conditions=own", "task=emotion"),
)


@dataclass(frozen=True)
class Case:
    """Files of which one is damaged, as glob patterns, and the commands that follow, each with its arguments.

    In an argument, {file} stands for the file that was damaged and {setting} for a damaged text of --set.
    """

    files: tuple[str, ...]
    commands: tuple[list[str], ...]
    without: tuple[str, ...] = ()  # files that are taken away before

    def found(self):
        """The files that are there, sorted."""
        return sorted(str(path) for pattern in self.files for path in Path().glob(pattern) if path.is_file())


def case(files, *commands, without=()):
    return Case((files,) if isinstance(files, str) else files, commands, without)


def audio_cases():
    files = ("wav/s1-sad.wav", "more/*")
    yield case(files, ["predict", "--format", "tsv", "--segments", *CPU, "blstm.zip", "{file}"])
    feats = ["compute_feats", "--type", "mfcc_pitch"]
    yield case("wav/s1-sad.wav", [*feats, "scp:data/wav.scp", "ark:out.ark"])
    yield case("arks/wave.ark", [*feats, "ark:arks/wave.ark", "ark:out.ark"])
    yield case("wav/s1-sad.wav", ["prepare_corpus", "csv", "table.csv", "made"])


def archive_cases():
    for name in ("plain", "text", "small", "double"):
        yield case(
            (f"arks/{name}.ark", f"arks/{name}.scp"),
            ["compute_cmvn", f"scp:arks/{name}.scp", "global.stats"],
            ["compute_cmvn", f"ark:arks/{name}.ark", "ark,t:out.ark"],
        )
    decode = [*DECODE, "--utt2spk", "data/utt2spk", f"{EXP}/fold1/seed1", "--feats", "own=ark:arks/plain.ark"]
    yield case("arks/plain.ark", [*decode, "ark,t:out.ark"])
    yield case("arks/cmvn.ark", [*decode, "--cmvn", "own=ark:arks/cmvn.ark", "ark,t:out.ark"])
    yield case(("data/feats/own.ark", "data/feats/own.scp"), [*DECODE, "--fold", "1", OTHER])


def yaml_cases():
    plan, new = ["make_experiment", "--plan", "--config"], ["--config", "{file}", "exp/new"]
    for name in MODELS:
        yield case(f"{name}.yaml", [*plan, "{file}"], [*MAKE, *new], [*TRAIN, "exp/new"])
        yield case((), [*plan, f"{name}.yaml", "--set", "{setting}"])
    yield case("over.yaml", [*plan, "blstm.yaml", "--overlay", "over.yaml"])
    yield case("protocols.yaml", *(splits(name) for name in PROTOCOLS), ["make_splits", "--config", "{file}", "--list"])
    yield case("own.yaml", ["compute_feats", "--config", "own.yaml", "scp:data/wav.scp", "ark:out.ark"])
    other = ["--data", "other", "--labels", "3"]
    yield case("map.yaml", [*DECODE, "--label_map", "map.yaml", *other, f"{OTHER}/fold1/seed1"])
    yield case("data/splits/listed/card.yaml", [*MAKE, "--config", "svm.yaml", "exp/new"], ["jobs", EXP])


def splits(name):
    return ["make_splits", "--config", "protocols.yaml", "--protocol", name, "data", f"made/{name}"]


def folder_cases():
    tables = ("data/[!fs]*", "data/labels/*", "data/spk2*")
    validate = ["data_dir", "validate", "data"]
    yield case(tables, validate, ["data_dir", "fix", "data"], validate)
    yield case(
        tables,
        ["data_dir", "subset", "--shortest", "data", "4", "part"],
        ["data_dir", "subset", "--per-spk", "data", "1", "part2"],
        ["data_dir", "split", "data", "2"],
        ["data_dir", "copy", "--utt-prefix", "x-", "--spk-prefix", "x-", "data", "copied"],
        ["data_dir", "combine", "both", "data", "copied"],
    )
    yield case(tables, *(splits(name) for name in PROTOCOLS))
    lists = (*tables, "data/splits/*/fold1/*")
    yield case(lists, [*MAKE, "--config", "ctc.yaml", "exp/new"], [*TRAIN, "exp/new"])
    yield case(lists, [*DECODE, "--fold", "1", EXP])
    feats = ["compute_feats", "--type", "fbank40", "--segments", "segments"]
    yield case(("data/wav.scp", "segments"), [*feats, "scp:data/wav.scp", "ark:out.ark"])
    speakers = ["compute_cmvn", "--spk2utt", "data/spk2utt"]
    yield case("data/spk2utt", [*speakers, "scp:arks/plain.scp", "ark:out.ark"])
    yield case("data/text", ["make_tokens", "data", "tokens.model"])


def table_cases():
    prepare = ["prepare_corpus", "csv", "table.csv", "made"]
    yield case("table.csv", prepare, ["data_dir", "validate", "--no-feats", "made"])
    yield case("people.tsv", ["predict", "--format", "tsv", "--spk", "people.tsv", *CPU, "blstm.zip", "wav"])


def package_cases():
    for name in ("blstm.zip", "svm.zip"):
        yield case(name, ["predict", "--card", *CPU, name], ["predict", "--format", "json", *CPU, name, UNDAMAGED])


def checkpoint_cases():
    checkpoints, fold = f"{EXP}/fold1/seed1/checkpoints", ["--fold", "1"]
    yield case(f"{checkpoints}/best.pt", [*DECODE, *fold, EXP], ["pack", *fold, EXP, "new.zip"])
    yield case(
        f"{OTHER}/fold1/seed1/steps/gmm/checkpoints/best.pt",
        ["extract", "--part", "gmm", "--layer", "supervector", *fold, OTHER, "ark:out.ark"],
        ["pack", *fold, OTHER, "new.zip"],
    )
    yield case(f"{OTHER}/fold1/seed1/checkpoints/best.pt", [*DECODE, *fold, OTHER])
    ended = f"{EXP}/fold1/seed1/trained.json"
    yield case(f"{checkpoints}/latest.pt", ["train", *fold, *CPU, EXP], without=(ended,))


def result_cases():
    run = f"{EXP}/fold1/seed1"
    inside = ("*.yaml", "*.jsonl", "*.txt", "*.json", "decode_test/*.tsv")
    own = (f"{EXP}/*.yaml", *(f"{run}/{name}" for name in inside))
    yield case(own, ["score", *DRAWS, EXP])
    yield case(own, ["score", *DRAWS, "--compare", EXP, OTHER])
    yield case(own, ["jobs", EXP], [*TRAIN, EXP], [*DECODE, "--fold", "1", EXP])
    yield case(own, ["pack", run, "new.zip"])
    yield case(own, ["plot", "curves", "--out", "a.svg", EXP])
    yield case(own, ["plot", "sweep", "--key", "model.lstm_units", "--out", "a.svg", EXP, "exp/wide"])
    report = ["report", "--published", "published.yaml", "--against", OTHER]
    scored = (f"{EXP}/results.json", f"{EXP}/card.yaml")
    yield case("published.yaml", [*report, EXP, OTHER])
    yield case(scored, [*report, EXP, OTHER], ["pack", run, "new.zip"])
    yield case(scored, [*report, "--html", "page.html", EXP, OTHER])
    yield case(scored, ["plot", "confusion", "--out", "a.svg", EXP])
    yield case(scored, ["plot", "recall", "--out", "a.svg", EXP, OTHER])


CATEGORIES = {
    "audio": audio_cases,
    "archives": archive_cases,
    "yaml": yaml_cases,
    "folders": folder_cases,
    "tables": table_cases,
    "packages": package_cases,
    "checkpoints": checkpoint_cases,
    "results": result_cases,
}
