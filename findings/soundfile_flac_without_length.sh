#!/usr/bin/env bash
# A FLAC file whose header leaves the number of samples open, which the format allows (0 means unknown, RFC 9639,
# section 8.2) and encoders do that write to a pipe, cannot be read as a whole by soundfile 0.14.0 (libsndfile 1.2.2):
# `frames` is 2^63 - 1, the duration 18 million years, and `read()` asks for an array of that size. Piece by piece it
# goes well up to the last one, which is shorter than what is asked for: it ends in an error, and its samples are lost.
# They are all there: with the number written into the header, the same bytes are decoded whole.
# It matters wherever recordings come through a pipe (ffmpeg, sox, streaming recorders), and to every program that takes
# the number of frames of a header for the length of a recording.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
rate, samples = 16000, 16000
wave = (3000 * np.sin(np.arange(samples) / 7)).astype(np.int16)
soundfile.write("known.flac", wave, rate)
content = bytearray(open("known.flac", "rb").read())
# After "fLaC" and the block's header of 4 bytes, STREAMINFO: 10 bytes of sizes, then 20 bits of rate, 3 of channels,
# 5 of depth, and 36 of the number of samples.
field = int.from_bytes(content[18:26], "big")
assert field & (2**36 - 1) == samples
content[18:26] = (field & ~(2**36 - 1)).to_bytes(8, "big")
open("unknown.flac", "wb").write(content)


frames = soundfile.info("unknown.flac").frames
try:
    whole = f"{len(soundfile.read('unknown.flac')[0])} samples"
except ValueError as error:
    whole = f"ValueError: {error}"
pieces = []
with soundfile.SoundFile("unknown.flac") as recording:
    try:
        while len(piece := recording.read(4096)):
            pieces.append(len(piece))
        end = "the end"
    except soundfile.LibsndfileError as error:
        end = f"LibsndfileError: {error}"
known = len(soundfile.read("known.flac")[0])
print(f"length unknown: frames {frames}; read(): {whole}")
print(f"read(4096), again and again: {pieces}, then {end}")
print(f"length in the header: {known} samples")
assert frames == 2**63 - 1 and known == samples
assert whole.startswith("ValueError"), whole
assert pieces == [4096] * 3 and end.startswith("LibsndfileError"), (pieces, end)
PYTHON
echo "as described"
