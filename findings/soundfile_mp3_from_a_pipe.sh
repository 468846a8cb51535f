#!/usr/bin/env bash
# Of an MP3 file with a variable bitrate that does not begin with a Xing frame, soundfile 0.14.0 (libsndfile 1.2.2) may
# give a third, without an error or a warning: its length is guessed from the bitrate of the first frame, and `read()`
# ends there. Such files come from encoders that write to a pipe, and cannot go back to fill in the number of frames
# (ffmpeg -f mp3 -, streaming recorders, parts of a stream); the format does not ask for that frame.
# All samples are there: with that frame, the same frames are decoded whole.
# It matters to every program that reads MP3 by soundfile: features, durations and predictions are those of a part.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import io

import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
rate = 16000
soft, noise = 0.01 * np.sin(np.arange(rate) / 12), 0.2 * np.random.default_rng(0).standard_normal(rate)
for what, wave in {"noise first": np.concatenate([noise, soft]), "soft first": np.concatenate([soft, noise])}.items():
    content = io.BytesIO()
    soundfile.write(content, wave, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    content = content.getvalue()
    # The first frame is there to say how many follow; as a player of a stream would, go on with the second one.
    second = content.index(content[:2], 4)
    assert b"Xing" in content[:second]
    pipe = content[second:]
    known, guessed = (len(soundfile.read(io.BytesIO(each))[0]) for each in (content, pipe))
    frames = soundfile.info(io.BytesIO(pipe)).frames
    print(f"{what}: {len(wave)} samples; read with a Xing frame {known}, without one {guessed} (frames {frames})")
    assert known == len(wave)
    assert guessed == frames < len(wave) / 2, (guessed, frames)
PYTHON
echo "as described"
