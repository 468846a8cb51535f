"""How long tests wait: no test depends on how fast the machine is, so all wait until what they wait for is there."""

import time

HOUR = 3600  # seconds; nothing takes so long unless it hangs


def wait_until(condition, process=None):
    """Returns as soon as `condition()` is true; fails after an hour, or when `process` ends before."""
    end = time.monotonic() + HOUR
    while not condition():
        assert time.monotonic() < end, "waited for an hour in vain"
        if process is not None and process.poll() is not None:
            assert condition(), f"it ended before: {process.stderr.read() if process.stderr else process.returncode}"
            return
        time.sleep(0.01)
