"""Report each step to the campaign, through a socket in the state folder; wait for its answer if it is there."""

import asyncio
import json
import socket
from contextlib import suppress
from pathlib import Path

GATE_VARIABLE = "CAMPAIGN_GATE"
PLANT_VARIABLE = "CAMPAIGN_PLANT"
PLANTS = ("no-fence", "no-intent", "no-sweep", "no-watchdog")
HOLD_SECONDS = 120.0


class Gate:
    """Report steps and be held; a campaign that has gone holds nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A container's host name is the beginning of its id.
        self._container = socket.gethostname()

    async def hold(self, step: str, when: str, *, service: str = "") -> None:
        """Wait at a step without holding anything else up."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
                try:
                    writer.write(self._line(step, when, service))
                    await reader.read(1)
                finally:
                    writer.close()

    def hold_thread(self, step: str, when: str) -> None:
        """Wait at a step in a thread that may be blocked."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(HOLD_SECONDS)
            connection.connect(str(self._path))
            connection.sendall(self._line(step, when, ""))
            connection.recv(1)

    def _line(self, step: str, when: str, service: str) -> bytes:
        report = {"container": self._container, "step": step, "when": when, "service": service}
        return json.dumps(report).encode() + b"\n"
