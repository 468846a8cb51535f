"""Small IEMOCAP releases in the exact form of the real one, filled with noise."""

import numpy as np
import soundfile

WORDS = {
    "neu": "Neutral",
    "hap": "Happiness",
    "exc": "Excited",
    "sad": "Sadness",
    "ang": "Anger",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}
CODES = ("neu", "hap", "exc", "sad", "ang", "xxx")
# The phones of "Words of", as the aligner writes them: with both neighbours and the place in the word.
PHONES = ("SIL", "W SIL ER b", "ER W DD i", "DD ER Z i", "Z DD AX e", "AX Z V b", "V AX SIL e", "SIL")
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def dialogue_files(root, dialogue):
    """The evaluations, transcription and folder of recordings of a dialogue such as Ses01F_impro01."""
    session = root / f"Session{dialogue[4]}"
    return (
        session / "dialog/EmoEvaluation" / f"{dialogue}.txt",
        session / "dialog/transcriptions" / f"{dialogue}.txt",
        session / "sentences/wav" / dialogue,
    )


def block(turn, code, dims=(2.5, 2.5, 2.5), votes=None, start=6.2901):
    """The block of a turn; `votes` is what each evaluator said, by default three times the consensus."""
    votes = votes or ([f"{WORDS[code]};"] * 3 if code in WORDS else ["Neutral;", "Anger;", "Other;"])
    means = ", ".join(f"{value:.4f}" for value in dims)
    lines = [f"[{start:.4f} - {start + 1.5:.4f}]\t{turn}\t{code}\t[{means}]"]
    lines += [f"C-E{number}:\t{words}\t()" for number, words in enumerate(votes, 1)]
    lines += [f"C-{turn[-4]}1:\tNeutral; Other;\t(curious)"]
    lines += [f"A-E{number}:\tval 3; act 2; dom  2;\t(calm (so to speak), polite)" for number in (3, 4)]
    lines += [f"A-{turn[-4]}1:\tval 3; act 2; dom  1;\t()"]
    return "".join(f"{line}\n" for line in lines) + "\n"


def alignment_file(root, turn):
    return root / f"Session{turn[4]}/sentences/ForcedAlignment" / turn[:-5] / f"{turn}.phseg"


def alignment(phones=PHONES):
    """A phone segmentation in which every phone lasts eight frames."""
    lines = [f"\t{8 * i:5} {8 * i + 7:5} {-64725 - i:9} {phone}\n" for i, phone in enumerate(phones)]
    return f"\t{'SFrm':>5} {'EFrm':>5} {'SegAScr':>9} Phone\n{''.join(lines)} Total score: {-517800:11}\n"


def write_dialogue(root, dialogue, blocks, samples=160):
    """The parts of a dialogue from {turn: arguments of `block`}; recordings of no samples are empty files,
    and not aligned."""
    evaluation, transcription, recordings = dialogue_files(root, dialogue)
    for folder in (evaluation.parent, transcription.parent, recordings):
        folder.mkdir(parents=True, exist_ok=True)
    evaluation.write_text(HEADER + "".join(block(turn, *arguments) for turn, arguments in blocks.items()))
    lines = [f"{turn} [006.2901-008.2357]: Words of  {turn[-4:]}.\n" for turn in blocks]
    transcription.write_text("".join(lines) + "M: [LAUGHTER]\n")
    for turn in blocks:
        path = recordings / f"{turn}.wav"
        if samples:
            seed = list(turn.encode())
            soundfile.write(path, np.random.default_rng(seed).normal(scale=0.1, size=samples), 16000)
            alignment_file(root, turn).parent.mkdir(parents=True, exist_ok=True)
            alignment_file(root, turn).write_text(alignment())
        else:
            path.touch()


def write_release(root, sessions=range(1, 6), scenes=("impro01", "script01_1"), each=6, samples=160):
    """A dialogue of every scene in every session, in each `each` turns of the woman and of the man.

    The emotions take turns as in CODES, the ratings go through 2, 3 and 4. Returns {turn: code}.
    """
    codes = {}
    for session in sessions:
        for scene in scenes:
            dialogue = f"Ses0{session}F_{scene}"
            blocks = {
                f"{dialogue}_{letter}{i:03}": (CODES[i % 6], (2 + i % 3, 2 + (i + 1) % 3, 2 + (i + 2) % 3))
                for i in range(each)
                for letter in "FM"
            }
            write_dialogue(root, dialogue, blocks, samples)
            codes |= {turn: arguments[0] for turn, arguments in blocks.items()}
    return codes
