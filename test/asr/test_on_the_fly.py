"""Speech recognisers that are trained on recordings, against those trained on archives of the same spectrograms."""

import json
import math
from contextlib import nullcontext

import numpy as np
import pytest
import soundfile
import torch

from sertk.batches.normalise import Normaliser
from sertk.batches.streams import AHEAD, Dataset, UtteranceSampler, load_stream
from sertk.batches.waves import locate_waves
from sertk.bin import compute_feats, decode_asr, make_experiment, train_asr
from sertk.config.schema import Normalise
from sertk.core.errors import SertkError
from sertk.kaldi.datadir import write_data_dir
from sertk.text.tokens import ALPHABET, make_tokens
from sertk.training import loop

CPU = torch.device("cpu")
ONE_CPU = ["--device", "cpu", "--num_threads", "1"]
TYPE = "spectrogram161"
WORDS = ("ab", "ba", "cab")
CONFIG = """task: asr
features: [spectrogram161]
normalise: [{how: meanvar, scope: utterance}]
model: {name: deepspeech, gru_units: 4, gru_layers: 1, channels: 1}
optimiser: {name: sgd, lr: 0.001, momentum: 0.9, nesterov: true}
training: {batch_size: 2, batches: length, sortagrad: true, max_epochs: 2, select: valid_cer, precision: float32}
"""


def tones(text, seconds, rate, seed):
    """A tone for each letter in noise: (samples,)."""
    samples = 0.01 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    for part, letter in zip(np.array_split(samples, len(text) or 1), text):
        part += 0.3 * np.sin(2 * np.pi * 300 * (1 + ord(letter) % 9) * np.arange(len(part)) / rate)
    return samples


def write_folder(path, texts, seconds):
    """A data folder whose first utterance is a segment of a longer stereo recording, the second one at 22050 Hz."""
    tables = {"wav.scp": {}, "segments": {}, "utt2spk": dict.fromkeys(texts, "s"), "text": texts, "utt2dur": {}}
    path.mkdir()
    for number, (utterance, length) in enumerate(zip(texts, seconds)):
        rate = 22050 if number == 1 else 16000
        samples = tones(texts[utterance], length, rate, number)
        start = 0.0
        if number == 0:
            start = 0.5
            padded = np.pad(samples, (rate // 2, rate // 4))
            samples = np.stack([padded, padded / 2], 1)
        tables["wav.scp"][f"rec-{utterance}"] = str(path / f"{utterance}.flac")
        tables["segments"][utterance] = f"rec-{utterance} {start} {start + length:.4f}"
        tables["utt2dur"][utterance] = f"{length:.4f}"
        soundfile.write(path / f"{utterance}.flac", samples, rate)
    write_data_dir(path, tables)


def archive(path):
    (path / "feats").mkdir()
    assert 0 == compute_feats.main(
        [
            "--type",
            TYPE,
            "--segments",
            str(path / "segments"),
            f"scp:{path}/wav.scp",
            f"ark,scp:{path}/feats/{TYPE}.ark,{path}/feats/{TYPE}.scp",
        ]
    )


@pytest.fixture
def asr(tmp_path):
    """A folder with train, dev, config.yaml and the tokens of three experiments."""
    for part, count in (("train", 7), ("dev", 2)):
        texts = {f"{part}{number}": WORDS[number % 3] for number in range(count)}
        write_folder(tmp_path / part, texts, [0.6 + 0.0371 * number for number in range(count)])
    (tmp_path / "config.yaml").write_text(CONFIG)
    for exp in ("archived", "fly", "other"):
        make_tokens({}, ALPHABET, tmp_path / exp / "tokens.model")
    return tmp_path


def train(folder, exp, settings="on_the_fly=true"):
    data = ["--train", f"{folder}/train", "--dev", f"{folder}/dev"]
    return train_asr.main(["--config", f"{folder}/config.yaml", "--set", settings, *data, *ONE_CPU, f"{folder}/{exp}"])


def decode(folder, part, exp):
    return decode_asr.main(["--data", f"{folder}/{part}", *ONE_CPU, f"{folder}/{exp}"])


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def replace_line(path, key, line):
    """Puts another line in the place of the one that begins with a key."""
    path.write_text("".join(line if each.startswith(f"{key} ") else each for each in path.read_text().splitlines(True)))


@pytest.mark.parametrize("how", ["meanvar", "minmax"])
def test_batches_are_those_of_the_archives(asr, how):
    archive(asr / "train")
    utterances = ["train4", "train0", "train6", "train1"]  # not in the recordings' order
    batches = []
    streams = load_stream(asr / f"train/feats/{TYPE}.scp", utterances), locate_waves(TYPE, asr / "train", utterances)
    for stream in streams:
        normaliser = Normaliser([Normalise(how, "utterance")])
        normaliser.fit_apply_(stream, utterances)
        dataset = Dataset(utterances, {TYPE: stream}, {TYPE: normaliser})
        batches.append(UtteranceSampler(dataset).gather(torch.tensor([2, 1, 3, 1]), CPU).streams[TYPE])
    archived, computed = batches
    assert torch.equal(computed.lengths, archived.lengths) and len({*archived.lengths.tolist()}) == 3
    torch.testing.assert_close(computed.values, archived.values, atol=1e-4, rtol=1e-4)


def test_gains_are_those_of_the_selected_utterances(asr):
    names = [f"train{number}" for number in range(7)]
    plain, loud = (
        UtteranceSampler(
            Dataset(names, {TYPE: locate_waves("spectrogram400", asr / "train", names)}, {TYPE: Normaliser([])}).select(
                [5, 2, 6]
            )
        )
        for _ in range(2)
    )
    for each in (plain, loud):
        each.dataset.normalisers = {TYPE: Normaliser([])}
    loud.dataset.streams[TYPE].gains = torch.tensor([2.0, 3.0, 5.0])
    one, other = (each.gather(torch.tensor([2, 0, 1]), CPU).streams[TYPE].values for each in (plain, loud))
    torch.testing.assert_close(other, one * torch.tensor([5.0, 2.0, 3.0])[:, None, None], rtol=1e-4, atol=1e-5)


def test_the_batches_to_come_are_read_ahead(asr):
    utterances = [f"train{number}" for number in range(7)]
    stream = locate_waves(TYPE, asr / "train", utterances)
    sampler = UtteranceSampler(Dataset(utterances, {TYPE: stream}, {TYPE: Normaliser([])}))
    taken = []
    for batch in sampler.gather_all(torch.arange(7).split(1), CPU):
        taken += batch.items.tolist()
        assert set(stream.coming) == {*range(len(taken), min(7, len(taken) + AHEAD))}
    assert taken == [*range(7)]


def test_training_and_decoding_on_the_fly_give_what_archives_give(asr):
    for part in ("train", "dev"):
        archive(asr / part)
    assert train(asr, "archived", "") == 0 and decode(asr, "dev", "archived") == 0
    for part in ("train", "dev"):
        (asr / part / f"feats/{TYPE}.scp").unlink()
    assert train(asr, "fly") == 0 and decode(asr, "dev", "fly") == 0
    for line, other in zip(metrics(asr / "archived"), metrics(asr / "fly"), strict=True):
        assert line["updates"] == 4
        for name in ("train_loss", "valid_loss", "valid_cer"):
            assert other[name] == pytest.approx(line[name], rel=1e-4)
    texts = [(asr / exp / "decode_dev/text").read_text() for exp in ("archived", "fly")]
    assert texts[0] == texts[1] and texts[0].startswith("dev0")


def test_cut_off_in_an_epoch_it_ends_with_the_same_weights(asr, cut_off_at):
    assert train(asr, "fly") == 0
    cut_off_at(6)  # the second update of the second epoch
    often = "on_the_fly=true training.checkpoint_seconds=0.000001"
    with pytest.raises(RuntimeError, match="cut off"):
        train(asr, "other", often)
    latest = [asr / exp / "checkpoints/latest.pt" for exp in ("fly", "other")]
    assert torch.load(latest[1], weights_only=True)["progress"]["updates"] == 1
    assert train(asr, "other", often) == 0
    one, other = (torch.load(path, weights_only=True)["model"] for path in latest)
    assert all(torch.equal(one[name], other[name]) for name in one)


def spoil(asr, part):
    """Makes one utterance of a part useless in every way that there is; returns {utterance: why}."""
    texts = {f"{part}0": "", f"{part}1": "a1"}
    lines = (asr / part / "text").read_text().splitlines()
    texts = {**dict(line.split(" ", 1) for line in lines), **texts, f"{part}2": "aabb" * 9, f"{part}3": "ab"}
    write_folder(asr / "spoilt", texts, [0.6, 0.6, 0.6, 0.3, *[0.7] * (len(texts) - 4)])
    (asr / part).rename(asr / f"good_{part}")
    (asr / "spoilt").rename(asr / part)
    scp = (asr / part / "wav.scp").read_text().replace("/spoilt/", f"/{part}/")
    (asr / part / "wav.scp").write_text(scp)
    return {
        f"{part}0": "no text",
        f"{part}1": "characters that no token has",
        f"{part}2": "more text than CTC can align with its frames",
        f"{part}3": "fewer than 31 frames",
    }


def test_utterances_that_teach_nothing_are_named_counted_and_harmless(asr, caplog):
    with (asr / "dev/text").open("a") as lines:
        lines.write("dev2 ab\ndev3 ab\ndev4 cab\n")
    left_out = {part: spoil(asr, part) for part in ("train", "dev")}
    assert train(asr, "fly") == 0
    for part, total in (("train", 7), ("dev", 5)):
        written = (asr / f"fly/left_out_{part}").read_text().splitlines()
        assert dict(line.split(" ", 1) for line in written) == left_out[part]
        for utterance, why in left_out[part].items():
            assert f"{part}: 1 of {total} utterances are left out, with {why}: {utterance}" in caplog.text
    for line in metrics(asr / "fly"):
        assert all(math.isfinite(line[name]) for name in ("train_loss", "valid_loss", "valid_cer", "valid_wer"))
    card = (asr / "fly/card.yaml").read_text()
    assert "utterances: 3" in card and "utterances: 1" in card
    assert decode(asr, "dev", "fly") == 0  # every utterance of a test split counts
    results = json.loads((asr / "fly/decode_dev/results.json").read_text())
    assert results["utterances"] == 5 and math.isfinite(results["cer"])


def test_recordings_below_a_frame_are_left_out_of_training_and_refused_in_decoding(asr, capsys):
    write_folder(asr / "tiny", {"tiny0": "a", "tiny1": "b", "tiny2": "ab"}, [0.6, 0.6, 0.01])
    (asr / "dev").rename(asr / "good_dev")
    (asr / "tiny").rename(asr / "dev")
    (asr / "dev/wav.scp").write_text((asr / "dev/wav.scp").read_text().replace("/tiny/", "/dev/"))
    assert train(asr, "fly") == 0
    assert (asr / "fly/left_out_dev").read_text() == "tiny2 fewer than 31 frames\n"
    assert decode(asr, "dev", "fly") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "sertk-decode-asr: tiny2: too short: 0.0100 s, a frame of its features needs 0.0200 s"
    )


def remove(path):
    path.unlink()


def make_nan(path):
    samples, rate = soundfile.read(path)
    path.unlink()
    samples[len(samples) // 2] = np.nan
    soundfile.write(path, samples, rate, format="WAV", subtype="FLOAT")


def double(path):
    samples, rate = soundfile.read(path)
    soundfile.write(path, np.tile(samples, 3), rate)


@pytest.mark.parametrize(
    "damage, message",
    [
        (remove, "train5: {path}: no such file"),
        (make_nan, "train5: {path}: NaN or infinite samples, or some above 100000 where full scale is 1"),
        (double, "train5: 2.36 s long, 0.79 s in utt2dur: correct it there"),
    ],
)
def test_a_recording_that_breaks_in_the_middle_of_training_is_named_in_one_line(
    asr, monkeypatch, capsys, damage, message
):
    path = asr / "train/train5.flac"
    (asr / "train/segments").unlink()  # whole recordings
    write_data_dir(asr / "train", {"wav.scp": {f"train{n}": f"{asr}/train/train{n}.flac" for n in range(1, 7)}})
    for table in ("utt2spk", "text", "utt2dur"):
        replace_line(asr / "train" / table, "train0", "")
    train_epoch = loop.train_epoch

    def damage_then_train(trainer, stopped):
        if trainer.progress.epoch == 1:
            damage(path)
        train_epoch(trainer, stopped)

    monkeypatch.setattr(loop, "train_epoch", damage_then_train)
    assert train(asr, "fly") == 1
    assert [*metrics(asr / "fly")][-1]["epoch"] == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"sertk-train-asr: {message.format(path=path)}"


def test_durations_may_be_rounded_and_utterances_must_be_in_every_table(asr):
    utterances = ["train2", "train3"]
    exact = locate_waves(TYPE, asr / "train", utterances)
    replace_line(asr / "train/utt2dur", "train2", "train2 0.68\n")  # not 0.6742
    rounded = locate_waves(TYPE, asr / "train", utterances)
    assert rounded.lengths[0] - exact.lengths[0] == 1
    rows = [
        stream.take(torch.tensor([0]), torch.arange(stream.lengths[0])[None], CPU)[0] for stream in (exact, rounded)
    ]
    torch.testing.assert_close(rows[1][:-1], rows[0])
    for seconds, is_right in ((1.16, True), (1.19, False), (0.19, True), (0.16, False)):  # half a second is allowed
        replace_line(asr / "train/utt2dur", "train2", f"train2 {seconds}\n")
        stream = locate_waves(TYPE, asr / "train", utterances)
        with nullcontext() if is_right else pytest.raises(SertkError, match=f"0.67 s long, {seconds:.2f} s in utt2dur"):
            stream.take(torch.tensor([0]), torch.arange(stream.lengths[0])[None], CPU)
    replace_line(asr / "train/utt2dur", "train3", "")
    with pytest.raises(SertkError, match="utt2dur: lacks 1 of 2 utterances: train3; run fix_data_dir.sh"):
        locate_waves(TYPE, asr / "train", utterances)
    with pytest.raises(SertkError, match="segments: lacks 1 of 1 utterances: train9; run fix_data_dir.sh"):
        locate_waves(TYPE, asr / "train", ["train9"])


def test_the_recipe_makes_archives_for_the_small_network_alone(capsys, request):
    for model, printed in (("deepspeech", "tag \n"), ("small", f"tag \ndata feats/{TYPE}\n")):
        config = request.config.rootpath / f"egs/asr/conf/{model}.yaml"
        assert make_experiment.main(["--config", str(config), "--plan"]) == 0
        assert capsys.readouterr().out == printed
