"""A bot without Discord: the same parts, the schedule, and the control socket."""

import asyncio
import os
import signal

from roas.api.control_socket import serve_control_socket
from roas.app.application import open_application
from roas.configuration.loading import load_settings
from roas.leadership.leader_tasks import control_api


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_application(load_settings(needs_discord=False)) as parts:
        await parts.orchestrator.resume()
        await parts.schedule.start()
        async with serve_control_socket(control_api(parts), parts.state.folder):
            os.write(1, b"READY\n")
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
