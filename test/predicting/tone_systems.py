"""Tiny systems of each kind, trained on tones, with what sertk-decode makes of the tones."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from small_experiments import CPU, decode_run, make_experiment_of, train_run

from sertk.bin import compute_feats, extract, train_asr
from sertk.config.loading import load_parts
from sertk.kaldi.archives import open_matrices
from sertk.kaldi.datadir import write_table
from sertk.text.tokens import ALPHABET, make_tokens

RATE = 16000
OWN_TYPE = "extractor: fbank\nnum_mel_bins: 12\nwindow_type: hamming\n"
QUICK = "training: {max_epochs: 1, precision: float32}\n"
CONFIGS = {
    "windows": "features: [own]\nsegment: {frames: 31, train_hop: 15, decode_hop: 10}\n"
    "model: {name: blstm, lstm_units: 4}\n" + QUICK,
    "inside": "features: [own]\nnormalise: [{how: minmax, scope: window}]\n"
    "segment: {frames: 40, train_hop: 20, decode_hop: 15, pad: zero}\nmodel: {name: blstm, lstm_units: 4}\n" + QUICK,
    "pitch": "features: [mfcc_pitch]\nsegment: {frames: 31, train_hop: 15, decode_hop: 10}\n"
    "model: {name: blstm, lstm_units: 4}\n" + QUICK,
    "ctc": "features: [own]\nnormalise: utterance\nnumbers: utt2num_words\n"
    "model: {name: blstm_ctc, lstm_units: 4}\n" + QUICK,
    "likelihood": "features: [own]\nnumbers: utt2num_words\n"
    "model: {name: blstm_ctc, lstm_units: 4, decision: likelihood}\n" + QUICK,
    "speaker": "features: [own]\nnormalise: speaker\nmodel: {name: blstm, lstm_units: 4}\n" + QUICK,
    "svm": "features: [own]\nsteps:\n  gmm: {model: {name: class_gmms, components: 2}, extract: supervector}\n"
    "  classifier: {features: [supervector], model: {name: svm}}\n",
    "latents": QUICK + "steps:\n"
    "  vae: {task: autoencoder, features: [own], segment: {frames: 10, pad: zero}, extract: vae_latents,\n"
    "    model: {name: vae, hidden: [8], latent: 3}, training: {select: last}}\n"
    "  lstm: {features: [vae_latents], model: {name: lstm, lstm_units: 4}}\n",
}
MEAN_POOL = "model: {name: mean_pool}\n" + QUICK
PROGRESSIVE = "features: [own, encoder]\nnormalise: utterance\nmodel: {name: progressive, gru_units: 3}\n" + QUICK
LATERAL = PROGRESSIVE.replace("progressive", "progressive_lateral")
OF_RECOGNISER = {  # systems on layers of a speech recogniser
    "mean_pool": "features: [encoder]\nencoder: {layer: 1}\n" + MEAN_POOL,
    "progressive": "encoder: {layer: 2, normalise: []}\n" + PROGRESSIVE,
    "in_loop": "encoder: {layer: 2, in_loop: true, unfreeze: [2]}\n" + PROGRESSIVE,
}
OF_WHISPER = {  # and on those of a tiny Whisper
    "whisper_linear": "features: [encoder]\nencoder: {name: tiny, layer: auto, pool: meanstd}\nmodel: {name: linear}\n",
    "whisper_speaker": "features: [encoder]\nencoder: {name: tiny, layer: [1, 3], pool: meanstd, normalise: speaker}\n"
    "model: {name: linear, classifier: svm, C: 1.0}\n",
    "whisper_weighted": "features: [encoder]\nencoder: {name: tiny, layer: all}\n" + MEAN_POOL,
    "whisper_lateral": "encoder: {name: tiny, layer: [1, 3]}\n" + LATERAL,
    "whisper_in_loop": "features: [encoder]\nencoder: {name: tiny, layer: 2, in_loop: true, unfreeze: [2]}\n"
    + MEAN_POOL,
}
CONFIGS |= OF_RECOGNISER | OF_WHISPER
RECOGNISER = (
    "task: asr\nfeatures: [spectrogram161]\nnormalise: utterance\n"
    "model: {name: deepspeech, gru_units: 5, gru_layers: 2, channels: 2}\n"
    "training: {max_epochs: 1, select: valid_cer, precision: float32}\n"
)
CONFIGS["oracle"] = CONFIGS["latents"].replace("vae", "cvae").replace("latent: 3", "latent: 3, condition: oracle")


def tone(number, seconds, rate=RATE):
    """A voice-like buzz, (samples,) float32, other for each number."""
    random = np.random.default_rng(number)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 100 + 15 * number + 20 * np.sin(2 * np.pi * 3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(order * phase) / order for order in range(1, 9))
    return (0.1 * voice + 0.003 * random.standard_normal(len(time))).astype(np.float32)


@dataclass
class Systems:
    """Run folders of the systems of CONFIGS, each trained when it is asked for, and the recordings."""

    folder: Path
    runs: dict = field(default_factory=dict)

    @property
    def data(self):
        return self.folder / "data"

    @property
    def wavs(self):
        return {path.stem: path for path in sorted((self.folder / "wav").glob("*.wav"))}

    def make_feats(self, name, *options):
        """Archives the features of a type, which the options of sertk-compute-feats say, of all recordings."""
        archives = f"ark,scp:{self.data}/feats/{name}.ark,{self.data}/feats/{name}.scp"
        assert compute_feats.main([*options, f"scp:{self.data}/wav.scp", archives]) == 0

    def run(self, name, content=None):
        """The run folder of a system of CONFIGS, or of the config that is the text `content`."""
        content = content or CONFIGS[name]
        if name not in self.runs:
            config, exp = self.folder / f"{name}.yaml", self.folder / "exp" / name
            config.write_text(content)
            reused = self.make_with_encoder(config, exp) if "encoder:" in content else ()
            self.runs[name] = train_run(self.data, config, exp, options=reused)
            decode_run(self.runs[name])
        return self.runs[name]

    def make_with_encoder(self, config, exp):
        """The options that name the recogniser; of layers there are archives then, unless they run in the loop."""
        ours = "name: tiny" not in config.read_text()
        options = ["--asr_exp", str(self.recogniser())] if ours else []
        assert make_experiment_of(self.data, config, exp, options=options) == 0
        encoder = load_parts(exp / "config.yaml")["train"].encoder
        if not encoder.in_loop:
            self.extract(options[1] if ours else "tiny", encoder)
        return options

    def extract(self, source, encoder):
        """Archives the layers that an EncoderLayers names of all recordings."""
        archives = "ark,scp:{0}.ark,{0}.scp".format(self.data / "feats" / encoder.archive_name("{layer}"))
        layers = ",".join(map(str, encoder.layers))
        own = ["--encoder", source, "--layer", layers, "--pool", encoder.pool, "--uncompressed", *CPU]
        assert extract.main([*own, f"scp:{self.data}/wav.scp", archives]) == 0

    def recogniser(self):
        """The experiment folder of a speech recogniser that was trained on the tones."""
        exp, config, data = self.folder / "recogniser", self.folder / "recogniser.yaml", str(self.data)
        if not exp.exists():
            config.write_text(RECOGNISER)
            write_table(self.data / "text", dict.fromkeys(self.wavs, "a b"))
            make_tokens({}, ALPHABET, exp / "tokens.model")
            assert train_asr.main(["--config", str(config), "--train", data, "--dev", data, *CPU, str(exp)]) == 0
        return exp

    def decoded(self, name):
        """{utterance: posteriors} of the test split."""
        return dict(open_matrices(f"scp:{self.run(name)}/decode_test/posteriors.scp"))
