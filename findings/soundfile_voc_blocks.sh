#!/usr/bin/env bash
# Of a VOC file whose samples lie in several blocks, as the format allows and ffmpeg writes it, soundfile 0.14.0
# (libsndfile 1.2.2) takes all that follows the first block's head for samples, the heads of the other blocks too: each
# is two samples of noise at 16 bits, and `frames` is too large by them. Nothing is said.
# It matters where old recordings in this format, or what ffmpeg makes of others, are read by soundfile.
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
rate = 16000
wave = (3000 * np.sin(np.arange(1000) / 7)).astype("<i2")


def block(kind, content):
    return bytes([kind]) + len(content).to_bytes(3, "little") + content


def voc(*parts):
    """A VOC file, version 1.20: a block with the format and the first part, then blocks that continue it, an end."""
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x0114, ~0x0114 + 0x1234 & 0xFFFF)
    form = struct.pack("<IBBHI", rate, 16, 1, 4, 0)
    blocks = [block(9, form + parts[0].tobytes()), *(block(2, part.tobytes()) for part in parts[1:])]
    return io.BytesIO(head + b"".join(blocks) + b"\0")


for parts in ([wave], np.split(wave, 4)):
    read, _ = soundfile.read(voc(*parts), dtype="int16")
    same = len(read) == len(wave) and bool((read == wave).all())
    print(f"{len(wave)} samples in blocks of {[len(part) for part in parts]}: {len(read)} read, the same: {same}")
    assert same == (len(parts) == 1)
assert len(read) == len(wave) + 2 * 3
assert (read[:250] == wave[:250]).all() and (read[252:502] == wave[250:500]).all()
assert read[250:252].tolist() == list(struct.unpack("<2h", block(2, parts[1].tobytes())[:4]))
PYTHON
echo "as described"
