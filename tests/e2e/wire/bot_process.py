"""Run `roas` as a process of its own, as it would be in real life, and end it as a test wants."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from sandbox.server import Sandbox
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
STOP_SECONDS = 60.0


class BotProcess:
    """Start, kill and stop a bot; `log` has what it printed."""

    def __init__(self, environment: dict[str, str], log: Path, module: str = "roas") -> None:
        self._environment = environment
        self._module = module
        self.log = log
        self._child: subprocess.Popen[Any] | None = None
        self._end: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int:
        """Return the number of the process, which must have been started."""
        assert self._child is not None
        return self._child.pid

    async def start(self, *arguments: str, **more: str) -> None:
        """Start the process; who wants it connected asks the sandbox."""
        environment = {**inherited(), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **self._environment, **more}
        with self.log.open("ab") as output:
            self._child = PreloadedPopen(
                [self._module, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.log.parent,
            )
        # Begun at once: whoever looks for a process that has ended must not find it because nobody asked how.
        self._end = asyncio.create_task(wait_for(self._child))

    async def kill(self) -> None:
        """End it as an accident would."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code."""
        self.signal(number)
        return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._child is not None:
            self._child.send_signal(number)

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return its exit code."""
        if self._end is None:
            return 0
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._end)


async def wait_for(child: subprocess.Popen[Any]) -> int:
    """Wait for the end of a process, and return its exit code."""
    if child.poll() is not None:
        return child.returncode
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(child.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return child.wait()


def settings_for(sandbox: Sandbox, docker_host: str, stack: Path, state: Path, base_name: str) -> dict[str, str]:
    """Return the environment of a bot that deploys a stack and is connected to a sandbox."""
    return {
        "DISCORD_TOKEN": sandbox.bot_token,
        "DISCORD_GUILD_ID": str(sandbox.guild_id),
        "DISCORD_OPS_CHANNEL_ID": str(sandbox.ops_channel_id),
        "DISCORD_DEPLOYER_ROLE_IDS": str(sandbox.roles["deployer"]),
        "DISCORD_APPROVER_ROLE_IDS": str(sandbox.roles["approver"]),
        "DISCORD_HOTFIX_ROLE_IDS": str(sandbox.roles["hotfix"]),
        "DISCORD_ALERT_ROLE_ID": str(sandbox.roles["alert"]),
        "DISCORD_API_URL": sandbox.api_url,
        "DISCORD_GATEWAY_URL": sandbox.gateway_url,
        "DOCKER_HOST": docker_host,
        "STACK_DIR": str(stack),
        "STATE_DIR": str(state),
        "COMPOSE_PROJECT_NAME": base_name,
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.5",
        "ENVIRONMENTS__PROD__OBSERVATION_SECONDS": "0.5",
        "HTTP_PORT": "0",
    }
