"""A bot without Discord: the same parts, schedule and control socket; with `rounds`, what a leader does, too."""

import asyncio
import os
import signal
import sys

from roas.api.control_socket import serve_control_socket
from roas.app.application import open_application
from roas.configuration.loading import load_settings


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_application(load_settings(needs_discord=False)) as parts:
        await parts.orchestrator.resume()
        await parts.schedule.start()
        if "rounds" in sys.argv:
            await parts.maintenance.start()
        async with serve_control_socket(parts.control_api, parts.state.folder):
            os.write(1, b"READY\n")
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
