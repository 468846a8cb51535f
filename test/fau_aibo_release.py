"""Small FAU-Aibo releases in the exact form of the real one, filled with noise."""

import numpy as np
import soundfile

LABELS = "labels/IS2009EmotionChallenge/chunk_labels_{}cl_corpus.txt"


def write_labels(root, classes, letters):
    """The label file of `classes` (2 or 5) with {chunk: letter}."""
    path = root / LABELS.format(classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{chunk} {letter} 0.87\n" for chunk, letter in letters.items()))
    return path


def write_release(root, children, each=10, samples=160):
    """`each` chunks of 16 kHz noise for each child, such as Ohm_01; returns the letters of both label files.

    The five classes take turns, and every third chunk of a child is NEG.
    """
    places = [(f"{child}_{i // 4:03}_{i % 4:02}", i) for child in children for i in range(each)]
    five = {chunk: "AENPR"[i % 5] for chunk, i in places}
    two = {chunk: "IDL" if i % 3 else "NEG" for chunk, i in places}
    write_labels(root, 5, five)
    write_labels(root, 2, two)
    (root / "wav").mkdir()
    for seed, chunk in enumerate(five):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=samples)
        soundfile.write(root / f"wav/{chunk}.wav", noise, 16000)
    return five, two
