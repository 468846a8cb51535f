"""Emotion as it is spoken: posteriors of a microphone's samples, twice a second."""

import queue
import sys
import time
from collections.abc import Sequence

import numpy as np

from sertk.core.errors import SertkError
from sertk.core.messages import shown
from sertk.predicting.recognizer import Recognizer

PERIOD = 0.5  # seconds between two lines
WINDOW = 3.0  # seconds that a model without windows of its own listens to
BAR = 20  # characters


def listen_to_microphone(recognizer: Recognizer) -> None:
    """Prints bars of the posteriors until Ctrl-C; raises SertkError without the package or a microphone."""
    sounddevice = load_sounddevice()
    heard = queue.Queue()
    try:
        rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
        stream = sounddevice.InputStream(
            samplerate=rate,
            channels=1,
            dtype="float32",
            blocksize=int(PERIOD * rate),
            callback=lambda samples, *_: heard.put((time.monotonic(), samples[:, 0].copy())),
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise SertkError(f"no microphone that can be used: {error}") from error
    windows = {} if recognizer.chain.slides else {"window": WINDOW, "hop": PERIOD}
    listener = recognizer.listen(rate, **windows)
    print(f"listening, Ctrl-C ends; posteriors lag {listener.delay:.2f} s and what computing takes", file=sys.stderr)
    with stream:
        try:
            while True:
                came, samples = heard.get()
                _, rows = listener.push(samples)
                if len(rows):
                    print(bars(recognizer.classes, rows.mean(0), time.monotonic() - came), flush=True)
        except KeyboardInterrupt:
            return


def load_sounddevice():
    try:
        import sounddevice  # pyright: ignore[reportMissingImports] - of the extra mic, which need not be there
    except (ImportError, OSError) as error:  # OSError: the package without PortAudio
        raise SertkError(f"--mic needs sounddevice ({error}): pip install 'sertk[mic]'") from error
    return sounddevice


def bars(classes: Sequence[str], row: np.ndarray, seconds: float) -> str:
    """One line: a bar for each class, the best one marked, and how long computing took."""
    best = int(np.argmax(row))
    cells = (
        f"{'>' if place == best else ' '}{shown(name)} {'#' * round(BAR * value):{BAR}} {value:.2f}"
        for place, (name, value) in enumerate(zip(classes, row))
    )
    return "  ".join([*cells, f"({1000 * seconds:.0f} ms)"])
