"""Some signals stop the bot; the others are ignored, and said in the log."""

import subprocess
import sys

from roas.signals import IGNORED, name_of

LISTENING = """
import asyncio, logging, os, signal
from roas.signals import IGNORED, STOPPING, stop_signals

async def main():
    with stop_signals() as stop:
        for number in IGNORED:
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await stop.wait()

logging.basicConfig(level=logging.INFO, format="%(message)s")
asyncio.run(main())
usual = {signal.SIG_DFL, signal.default_int_handler}
assert {signal.getsignal(number) for number in IGNORED | STOPPING} <= usual
"""


def test_only_some_signals_stop() -> None:
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True, timeout=60)
    ignored = [line.split("signal=")[1].split()[0] for line in done.stderr.splitlines() if "signal ignored" in line]
    assert sorted(ignored) == sorted(name_of(number) for number in IGNORED)
    assert done.stderr.rstrip().endswith("stop requested signal=SIGTERM")
