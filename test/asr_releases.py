"""Small releases in the exact form of LibriSpeech, TED-LIUM 2 and VoxForge."""

import tarfile

import numpy as np
import soundfile

RATE = 16000


def noise(seconds, seed):
    """Samples (samples,) int16 that no other seed gives."""
    return np.random.default_rng(seed).integers(-3000, 3000, round(seconds * RATE), dtype=np.int16)


def write_librispeech(root, part, texts, seconds=1.5, seed=0):
    """`texts`: {"SPEAKER-CHAPTER-NUMBER": text}; odd speakers are women."""
    for number, (name, text) in enumerate(texts.items()):
        speaker, chapter, _ = name.split("-")
        folder = root / part / speaker / chapter
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.flac", noise(seconds, [seed, number]), RATE)
        with open(folder / f"{speaker}-{chapter}.trans.txt", "a", encoding="utf-8") as lines:
            lines.write(f"{name} {text}\n")
    speakers = sorted({name.split("-")[0] for name in texts}, key=int)
    rows = [f"{s:<6}| {'MF'[int(s) % 2]} | {part:<16} | 25.10 | A. | B. Name" for s in speakers]
    (root / "SPEAKERS.TXT").write_text("\n".join([";ID  |SEX| SUBSET           |MINUTES| NAME", *rows, ""]))


def sphere(samples):
    """The bytes of a NIST SPHERE file as TED-LIUM's are: a header of 1024 bytes, 16 bit little-endian PCM."""
    fields = {
        "sample_count": f"-i {len(samples)}",
        "sample_n_bytes": "-i 2",
        "channel_count": "-i 1",
        "sample_byte_format": "-s2 01",
        "sample_rate": f"-i {RATE}",
        "sample_coding": "-s3 pcm",
    }
    header = "NIST_1A\n   1024\n" + "".join(f"{name} {value}\n" for name, value in fields.items()) + "end_head\n"
    return header.encode().ljust(1024) + samples.astype("<i2").tobytes()


def write_tedlium(root, part, talks, seconds=10, seed=0):
    """`talks`: {talk: lines of its stm file}."""
    for folder in ("sph", "stm"):
        (root / part / folder).mkdir(parents=True, exist_ok=True)
    for number, (talk, lines) in enumerate(talks.items()):
        (root / part / f"sph/{talk}.sph").write_bytes(sphere(noise(seconds, [seed, number])))
        (root / part / f"stm/{talk}.stm").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_submission(root, name, texts, prompts="PROMPTS", kind="wav", gender="Male", seconds=1.5, seed=0):
    """A folder of VoxForge; `texts`: {name of the recording: text}."""
    folder = root / name
    for part in ("etc", kind):
        (folder / part).mkdir(parents=True)
    for number, recording in enumerate(texts):
        soundfile.write(folder / kind / f"{recording}.{kind}", noise(seconds, [seed, number]), RATE, subtype="PCM_16")
    path = "" if prompts == "prompts-original" else f"{name}/mfc/"
    lines = [f"{path}{recording} {text}\n" for recording, text in texts.items()]
    (folder / "etc" / prompts).write_text("".join(lines), encoding="utf-8")
    readme = f"User Name:{name.split('-')[0]}\n\nSpeaker Characteristics:\n\nGender: {gender}\nAge Range: Adult\n"
    (folder / "etc/README").write_text(readme)
    return folder


def pack(folder, archive):
    """A .tgz of a folder, as VoxForge's."""
    with tarfile.open(archive, "w:gz") as members:
        members.add(folder, arcname=folder.name)
    return archive
