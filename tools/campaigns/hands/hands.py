"""Do what people type and what hosts do; each returns when it is over, with whatever a person would undo undone."""

import asyncio
import errno
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from testbed.compose_labels import SERVICE_LABEL
from testbed.home_stack import BOT_SERVICE, PROJECT, HomeStackError
from tools.campaigns.crash.images import GOOD
from tools.campaigns.crash.lane import ENVIRONMENT
from tools.campaigns.hands.ground import Ground
from tools.campaigns.hands.images import REDIS
from tools.campaigns.hands.library import set_clock, set_disk_delay
from tools.campaigns.hands.rounds import Hand

AWAY_SECONDS = 5.0
PAUSED_SECONDS = 3.0
# Until Docker shows that a check fails which runs every five seconds.
SHOWN_SECONDS = 30.0
LOOK_SECONDS = 0.2
# How often somebody types a command that fails.
TYPED = 3
DAY_SECONDS = 86_400
FSYNC_MILLISECONDS = 500
FAULTS = 30
BLOCK = b"\0" * (1 << 20)
Act = Callable[[Ground], Awaitable[None]]


async def lay(ground: Ground, hand: Hand) -> None:
    """Do one of them."""
    await ACTS[hand](ground)


def _compose(*commands: tuple[str, ...]) -> Act:
    """Type Compose commands, one after the other."""

    async def act(ground: Ground) -> None:
        for command in commands:
            await _type(ground, command)

    return act


async def _type(ground: Ground, command: tuple[str, ...]) -> None:
    """Type a Compose command, and again where it breaks off, as anyone would: it may have removed the bot by then.

    Compose gives up in the middle where the bot's own one wants the same container.
    """
    for _ in range(TYPED):
        try:
            await asyncio.to_thread(ground.lane.home.compose, *command)
        except HomeStackError:
            continue
        except subprocess.TimeoutExpired:
            return
        return


def _docker(*commands: tuple[str, ...], pause_seconds: float = 0.0) -> Act:
    """Type Docker commands about a container, named `{bot}` or `{web}`."""

    async def act(ground: Ground) -> None:
        names = {"bot": _newest_bot(ground), "web": f"{PROJECT}-web-1"}
        for number, command in enumerate(commands):
            if number:
                await asyncio.sleep(pause_seconds)
            await asyncio.to_thread(ground.docker, *(part.format(**names) for part in command), check=False)

    return act


def _newest_bot(ground: Ground) -> str:
    bots = ground.lane.home.bots()
    return str(bots[0].name) if bots else f"{PROJECT}-{BOT_SERVICE}-1"


def _roas(*commands: tuple[str, ...]) -> Act:
    async def act(ground: Ground) -> None:
        await asyncio.gather(*(asyncio.to_thread(ground.roas, *command) for command in commands))

    return act


async def _down_and_up(ground: Ground) -> None:
    """Take everything away, and bring back what ran, as a person would who knows which version that was."""
    version = await asyncio.to_thread(_version_that_runs, ground)
    await _compose(("down", "--timeout", "5"))(ground)
    await _up(ground, version)


async def _remove_bot_and_up(ground: Ground) -> None:
    """Remove the bot, and bring it back in the same way."""
    version = await asyncio.to_thread(_version_that_runs, ground)
    await _docker(("rm", "--force", "{bot}"))(ground)
    await _up(ground, version)


async def _up(ground: Ground, version: str) -> None:
    settings = ground.lane.home.folder / ".env"
    written = settings.read_text()
    lines = [line for line in written.splitlines() if not line.startswith("VERSION=")]
    settings.write_text("\n".join([f"VERSION={version}", *lines]) + "\n")
    await _compose(("up", "-d"))(ground)


def _version_that_runs(ground: Ground) -> str:
    """Return the good version of most containers: nobody brings back one whose bot never starts."""
    versions = (
        ground.versions.get(container.image)
        for container in ground.lane.finder.containers()
        if container.state == "running"
    )
    found = [version for version in versions if version in GOOD]
    return max(found, key=found.count, default=GOOD[0])


async def _remove_web(ground: Ground) -> None:
    await _compose(("rm", "--force", "--stop", "web"))(ground)
    await _roas(("compose", ENVIRONMENT, "--", "up", "-d", "--no-deps", "--no-recreate", "web"))(ground)


async def _prune(ground: Ground) -> None:
    await asyncio.to_thread(ground.docker, "system", "prune", "--all", "--force", check=False)
    await asyncio.to_thread(ground.load_images)


async def _deploy_again(ground: Ground) -> None:
    await ground.lane.deploy("v2")


async def _lock(ground: Ground) -> None:
    await _roas(("lock", ENVIRONMENT, "--reason", "hands"))(ground)
    await _roas(("unlock", ENVIRONMENT))(ground)


def _engine(*, kill: bool, keeps: bool) -> Act:
    async def act(ground: Ground) -> None:
        daemon = ground.lane.daemon
        await asyncio.to_thread(daemon.keep_containers, wanted=keeps)
        await asyncio.to_thread(daemon.restart, kill=kill)
        await asyncio.to_thread(daemon.keep_containers, wanted=False)

    return act


async def _kill_engine(ground: Ground) -> None:
    """Kill the engine alone: containers go on without one, and an engine that starts without live-restore ends them.

    A private engine always starts with live-restore, so that it leaves other engines' bridges alone. So they are
    ended just before.
    """
    daemon = ground.lane.daemon
    if daemon.pid is not None:
        os.kill(daemon.pid, signal.SIGKILL)
    await asyncio.sleep(PAUSED_SECONDS)
    await asyncio.to_thread(daemon.restart, kill=True)


async def _stall(ground: Ground) -> None:
    ground.lane.daemon.pause()
    await asyncio.sleep(AWAY_SECONDS)
    ground.lane.daemon.resume()


async def _unreadable(ground: Ground) -> None:
    ground.lane.state_dir.chmod(0)
    await asyncio.sleep(AWAY_SECONDS)
    ground.lane.state_dir.chmod(0o700)


async def _read_only(ground: Ground) -> None:
    await asyncio.to_thread(_remount, ground.lane.state_dir, "ro")
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(_remount, ground.lane.state_dir, "rw")


def _remount(folder: Path, mode: str) -> None:
    """Change the file system itself, and so every place where it is mounted; files that are open do not matter."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=False, timeout=30, capture_output=True)


async def _fill(ground: Ground) -> None:
    filler = ground.lane.state_dir / "filler"
    await asyncio.to_thread(_write_until_full, filler)
    await asyncio.sleep(AWAY_SECONDS)
    filler.unlink(missing_ok=True)


def _write_until_full(path: Path) -> None:
    try:
        with path.open("wb", buffering=0) as file:
            while file.write(BLOCK) == len(BLOCK):
                pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _clock(seconds: int) -> Act:
    async def act(ground: Ground) -> None:
        set_clock(ground.lane.home.folder, seconds)
        await asyncio.sleep(AWAY_SECONDS)
        set_clock(ground.lane.home.folder, 0)

    return act


async def _slow_disk(ground: Ground) -> None:
    set_disk_delay(ground.lane.home.folder, FSYNC_MILLISECONDS)
    await asyncio.sleep(AWAY_SECONDS)
    set_disk_delay(ground.lane.home.folder, 0)


async def _fail_web(ground: Ground) -> None:
    """Let web's health check fail, and wait until Docker shows that, or somebody has made web again meanwhile."""
    before = await asyncio.to_thread(_web, ground)
    await _docker(("exec", "{web}", "busybox", "rm", "-f", "/www/health"))(ground)
    deadline = time.monotonic() + SHOWN_SECONDS
    while await asyncio.to_thread(_web, ground) == before:
        if time.monotonic() > deadline:
            raise RuntimeError("web's health check goes on well")
        await asyncio.sleep(LOOK_SECONDS)


def _web(ground: Ground) -> list[tuple[str, str, str]]:
    found = (container for container in ground.lane.finder.containers() if container.labels.get(SERVICE_LABEL) == "web")
    return [(container.id, container.started_at, container.health) for container in found]


async def _kill_redis(ground: Ground) -> None:
    """Kill its process as the kernel does for want of memory; its restart policy starts it again."""
    for item in await asyncio.to_thread(ground.lane.finder.containers):
        if item.labels.get(SERVICE_LABEL) == REDIS and item.pid:
            with suppress(ProcessLookupError):
                os.kill(item.pid, signal.SIGKILL)


async def _discord_errors(ground: Ground) -> None:
    async with ground.people() as people:
        await people.add_fault(path="*/messages*", status=500, times=FAULTS)
        await asyncio.sleep(AWAY_SECONDS)
        await people.clear_faults()


async def _discord_away(ground: Ground) -> None:
    async with ground.people() as people:
        await people.take_gateway_away()
        await asyncio.sleep(AWAY_SECONDS)
        await people.bring_gateway_back()


ACTS: Mapping[Hand, Act] = {
    Hand.COMPOSE_RESTART: _compose(("restart", BOT_SERVICE)),
    Hand.COMPOSE_RESTART_ALL: _compose(("restart",)),
    Hand.COMPOSE_STOP: _compose(("stop", "--timeout", "5"), ("start",)),
    Hand.COMPOSE_DOWN: _down_and_up,
    Hand.COMPOSE_UP: _compose(("up", "-d")),
    Hand.COMPOSE_RECREATE: _compose(("up", "-d", "--force-recreate")),
    Hand.COMPOSE_BUILD: _compose(("up", "-d", "--build")),
    Hand.COMPOSE_PULL: _compose(("pull", "--ignore-pull-failures")),
    Hand.COMPOSE_KILL_WEB: _compose(("kill", "web"), ("start", "web")),
    Hand.COMPOSE_RM_WEB: _remove_web,
    Hand.DOCKER_KILL_BOT: _docker(("kill", "{bot}"), ("start", "{bot}"), pause_seconds=1.0),
    Hand.DOCKER_RM_BOT: _remove_bot_and_up,
    Hand.DOCKER_PAUSE_BOT: _docker(("pause", "{bot}"), ("unpause", "{bot}"), pause_seconds=PAUSED_SECONDS),
    Hand.DOCKER_PAUSE_WEB: _docker(("pause", "{web}"), ("unpause", "{web}"), pause_seconds=PAUSED_SECONDS),
    Hand.DOCKER_UPDATE: _docker(("update", "--cpu-shares", "512", "{bot}")),
    Hand.DOCKER_RENAME_WEB: _docker(("rename", "{web}", "by-hand"), ("rename", "by-hand", "{web}"), pause_seconds=2.0),
    Hand.SYSTEM_PRUNE: _prune,
    Hand.ROAS_STATUS: _roas(
        ("status",), ("history",), ("doctor", ENVIRONMENT), ("releases", ENVIRONMENT), ("config", "show")
    ),
    Hand.ROAS_CANCEL: _roas(("cancel", ENVIRONMENT)),
    Hand.ROAS_DEPLOY_AGAIN: _deploy_again,
    Hand.ROAS_LOCK: _lock,
    Hand.REBOOT: _engine(kill=False, keeps=False),
    Hand.POWER_CUT: _engine(kill=True, keeps=False),
    Hand.ENGINE_KILLED: _kill_engine,
    Hand.ENGINE_RESTART: _engine(kill=False, keeps=True),
    Hand.ENGINE_STALLS: _stall,
    Hand.STATE_UNREADABLE: _unreadable,
    Hand.STATE_READ_ONLY: _read_only,
    Hand.DISK_FULL: _fill,
    Hand.DISK_SLOW: _slow_disk,
    Hand.CLOCK_AHEAD: _clock(DAY_SECONDS),
    Hand.CLOCK_BEHIND: _clock(-DAY_SECONDS),
    Hand.DISCORD_ERRORS: _discord_errors,
    Hand.DISCORD_AWAY: _discord_away,
    Hand.REDIS_DIES: _kill_redis,
    Hand.WEB_FAILS: _fail_web,
}
