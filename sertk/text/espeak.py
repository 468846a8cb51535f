"""Speech and phonemes from espeak-ng's shared library, as the espeakng-loader wheel brings it."""

import ctypes
import functools
import tempfile
from pathlib import Path

import numpy as np

from sertk.core.errors import SertkError

SYNCHRONOUS, DONT_EXIT = 2, 0x8000  # espeak_AUDIO_OUTPUT, option of espeak_Initialize
UTF8 = 1
IPA = 2  # of espeak_TextToPhonemes; its bits from 8 on are the character between phonemes
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}  # espeak_PARAMETER
LONGEST_PATH = 159  # bytes; espeak-ng has no room for more

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """espeak-ng, of which a process can hold only one; `load_espeak()` gives it."""

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError as error:
            raise SertkError("espeak-ng is missing: pip install 'sertk[phones]'") from error
        data = self.short_path(espeakng_loader.get_data_path())
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DONT_EXIT)  # Hz
        if self.rate <= 0:
            raise SertkError(f"{data}: espeak-ng cannot use this data folder")
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.blocks: list[bytes] = []
        self.callback = CALLBACK(self.receive)  # kept: the library goes on using it
        self.library.espeak_SetSynthCallback(self.callback)

    def short_path(self, data: str) -> str:
        """`data`, or a link to it for as long as the process runs."""
        if len(data.encode()) <= LONGEST_PATH:
            return data
        self.folder = tempfile.TemporaryDirectory()
        link = Path(self.folder.name) / "espeak-ng-data"
        link.symlink_to(data)
        return str(link)

    def receive(self, samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            self.blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def select(self, voice: str) -> None:
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise SertkError(f"espeak-ng has no voice '{voice}'")

    def transcribe(self, text: str, voice: str) -> str:
        """A text in IPA, with `|` between the phonemes of a word and spaces between words."""
        self.select(voice)
        encoded = text.encode()
        rest, clauses = ctypes.c_char_p(encoded), []
        while rest:  # each call takes a clause off its front
            ipa = self.library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA | ord("|") << 8)
            clauses.append(ipa.decode())
        return " ".join(clauses)

    def say(self, text: str, voice: str, seed: int = 0, **parameters: float) -> np.ndarray:
        """The samples (samples,) float32 in [-1, 1] at `self.rate` Hz of a text spoken by a voice.

        Parameters: rate (words a minute), volume (0 to 200), pitch and range (0 to 100).
        """
        self.select(voice)
        for name, value in parameters.items():
            self.library.espeak_SetParameter(PARAMETERS[name], round(value), 0)
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self.blocks.clear()
        encoded = text.encode() + b"\0"
        failed = self.library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, UTF8, None, None)
        if failed or self.library.espeak_Synchronize() or not self.blocks:
            raise SertkError(f"espeak-ng could not say '{text}' with the voice '{voice}'")
        return np.frombuffer(b"".join(self.blocks), "<i2").astype(np.float32) / 32768


@functools.cache
def load_espeak() -> Espeak:
    """The process's one Espeak; raises SertkError if espeak-ng is not installed."""
    return Espeak()
