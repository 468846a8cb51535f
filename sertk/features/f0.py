"""The fundamental frequency of voices, without torch, which takes a second to load."""

import numpy as np
import pyworld

LOVETRAIN_RATE = 2 * 7900  # Hz, the least


def track_f0(samples: np.ndarray, rate: int, floor: float, ceil: float, period: float) -> np.ndarray:
    """F0 in Hz at 0, period, 2 * period... milliseconds, (frames,) float64, 0 where it is unvoiced.

    Samples (samples,) in [-1, 1] at `rate` Hz; floor and ceil in Hz. DIO and StoneMask (Morise et al. 2009, 2010).
    """
    samples = samples.astype(np.float64)
    f0, times = pyworld.dio(samples, rate, floor, ceil, frame_period=period)
    return pyworld.stonemask(samples, f0, times, rate)


def find_voiced(samples: np.ndarray, rate: int, floor: float, ceil: float, period: float) -> np.ndarray:
    """Which frames of `track_f0` are voiced, (frames,) bool.

    DIO finds an F0 in noise now and then; D4C's LoveTrain (Morise 2016) tells these frames from voice by
    their power up to 7.9 kHz. At lower rates it would call every frame noise, and DIO alone decides.
    """
    f0 = track_f0(samples, rate, floor, ceil, period)
    if rate < LOVETRAIN_RATE:
        return f0 > 0
    times = np.arange(len(f0)) * period / 1000
    aperiodicity = pyworld.d4c(samples.astype(np.float64), f0, times, rate)
    return aperiodicity[:, 0] < 0.5  # all bins are 1 where it is no voice, the lowest is 0.001 elsewhere
