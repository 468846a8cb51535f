import pytest
import soundfile
from tiny_encoders import add_encoder
from tone_systems import OWN_TYPE, RATE, Systems, tone
from toy_corpus import CLASSES, SPEAKERS, write_splits

from sertk.kaldi.datadir import write_data_dir


@pytest.fixture(scope="session")
def systems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SERTK_ENCODERS", str(folder / "encoders"))
        add_encoder()
        yield make_systems(folder)


def make_systems(folder):
    (folder / "wav").mkdir()
    utterances = {f"{speaker}-{label}": (speaker, label) for speaker in SPEAKERS for label in CLASSES}
    for number, utterance in enumerate(utterances):
        soundfile.write(folder / "wav" / f"{utterance}.wav", tone(number, 0.5 + 0.04 * number), RATE)
    data = folder / "data"
    write_data_dir(
        data,
        {
            "wav.scp": {utterance: f"{folder}/wav/{utterance}.wav" for utterance in utterances},
            "utt2spk": {utterance: speaker for utterance, (speaker, _) in utterances.items()},
            "utt2dur": {name: str(soundfile.info(f"{folder}/wav/{name}.wav").duration) for name in utterances},
            "utt2num_words": dict.fromkeys(utterances, "2"),
            "labels/3": {utterance: label for utterance, (_, label) in utterances.items()},
        },
    )
    write_splits(data, {utterance: speaker for utterance, (speaker, _) in utterances.items()})
    (folder / "own_type.yaml").write_text(OWN_TYPE)
    (data / "feats").mkdir()
    systems = Systems(folder)
    systems.make_feats("own", "--config", f"{folder}/own_type.yaml")
    for name in ("mfcc_pitch", "spectrogram161"):
        systems.make_feats(name, "--type", name)
    return systems
