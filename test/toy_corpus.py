"""A corpus of four speakers and three classes, and its one fold."""

from sertk.core.files import write_text

CLASSES = ("angry", "calm", "sad")
SPEAKERS = ("s1", "s2", "s3", "s4")
PARTS = {"train": SPEAKERS[:2], "valid": SPEAKERS[2:3], "test": SPEAKERS[3:]}

CARD = """protocol: toy
rule: listed_speakers
options: {}
speaker_disjoint: true
folds:
- fold: 1
"""


def write_splits(data, utt2spk):
    """Writes data/splits/toy: the first two speakers train, the third validates, the fourth is tested."""
    for part, speakers in PARTS.items():
        own = (utterance for utterance, speaker in utt2spk.items() if speaker in speakers)
        write_text(data / "splits" / "toy" / "fold1" / part, "".join(f"{utterance}\n" for utterance in own))
    write_text(data / "splits" / "toy" / "card.yaml", CARD)
