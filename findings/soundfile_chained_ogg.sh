#!/usr/bin/env bash
# Of an Ogg file with several recordings one after the other (a chained stream, RFC 3533, section 4: what
# `cat a.ogg b.ogg` makes, and what radio streams and recorders that are paused write) soundfile 0.14.0
# (libsndfile 1.2.2) reads the first one alone: `frames` and `read()` know of no other, and nothing is said.
# It matters wherever such files are taken for one recording: players play all of it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6
cd "$dir"
venv/bin/python - <<'PYTHON'
import io
import struct

import numpy as np
import soundfile

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__)
rate, random = 16000, np.random.default_rng(0)


def one(subtype, seconds, serial):
    """An Ogg file whose stream has a number of its own, as those of a chain have to."""
    content = io.BytesIO()
    soundfile.write(content, 0.2 * random.standard_normal(seconds * rate), rate, format="OGG", subtype=subtype)
    content = bytearray(content.getvalue())
    place = 0
    while place < len(content):
        lengths = content[place + 27 : place + 27 + content[place + 26]]
        end = place + 27 + len(lengths) + sum(lengths)
        content[place + 14 : place + 18] = struct.pack("<I", serial)
        content[place + 22 : place + 26] = bytes(4)
        content[place + 22 : place + 26] = struct.pack("<I", checksum(content[place:end]))
        place = end
    return bytes(content)


def checksum(page):
    """The checksum of RFC 3533: polynomial 0x04c11db7, from 0, most significant bit first."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


for subtype in ("VORBIS", "OPUS"):
    first, second = one(subtype, 1, 1), one(subtype, 2, 2)
    alone = [len(soundfile.read(io.BytesIO(each))[0]) for each in (first, second)]
    chain = io.BytesIO(first + second)
    frames = soundfile.info(chain).frames
    chain.seek(0)
    read = len(soundfile.read(chain)[0])
    print(f"{subtype}: {alone[0]} and {alone[1]} samples; of both one after the other frames {frames}, read {read}")
    assert alone == [rate, 2 * rate] and frames == read == rate, (alone, frames, read)
PYTHON
echo "as described"
