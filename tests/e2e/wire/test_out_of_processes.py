"""A bot that may start no process and no thread for a while says so, and goes on by itself once it may again."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.client import SandboxClient
from testbed.compose_labels import SERVICE_LABEL
from tests.e2e.acceptance.stack import CHECK, patiently
from tests.e2e.wire.shop import Shop
from tests.integration.sandbox.channel import ask, live, outcome, start
from tests.unit.ui.story import until

pytestmark = pytest.mark.wire

ROOTS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
TOLD = "Out of processes or threads"
WAIT_SECONDS = 60.0


class Limit:
    """Limit how many processes and threads others may have: those of a control group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, pid: int) -> None:
        """Let a process, and what it starts from now on, have no more than there are."""
        (self._folder / "cgroup.procs").write_text(str(pid))
        (self._folder / "pids.max").write_text((self._folder / "pids.current").read_text())

    def release(self) -> None:
        """Let them have any number again."""
        (self._folder / "pids.max").write_text("max")


@pytest.fixture
def limit() -> Iterator[Limit]:
    for root in ROOTS:
        folder = root / f"roas-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / "pids.max").exists():
            yield Limit(folder)
            for pid in (folder / "cgroup.procs").read_text().split():
                (root / "cgroup.procs").write_text(pid)
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("no control group for processes may be made here")


async def until_ready(shop: Shop, limit: Limit | None = None, pid: int = 0) -> None:
    """Let the store, for which web waits, become healthy; web is begun under the limit, if there is one."""

    def waits() -> bool:
        return any(map(is_waiting_store, shop.containers("dev")))

    await until(lambda: asyncio.to_thread(waits), WAIT_SECONDS)
    if limit is not None:
        limit.hold(pid)
    (store,) = filter(is_waiting_store, shop.containers("dev"))
    await asyncio.to_thread(store.exec_run, ["touch", "/tmp/ready"])


def is_waiting_store(container: Any) -> bool:
    state = container.attrs["State"]
    is_store = container.labels[SERVICE_LABEL] == "store"
    return bool(is_store and state["Running"] and state["Health"]["Status"] == "starting")


@pytest.mark.parametrize(
    ("command", "is_cancelled"),
    [
        pytest.param("deploy", False, marks=pytest.mark.long),
        pytest.param("deploy", True, marks=pytest.mark.long),
        ("rollback", False),
    ],
)
async def test_deployment_goes_on_once_there_are_processes_again(
    shop: Shop,
    bot: Any,
    people: SandboxClient,
    image_ids: dict[str, str],
    limit: Limit,
    command: str,
    is_cancelled: bool,
) -> None:
    """Meanwhile whoever asks is told why it stands still, and may cancel it."""
    shop.write(store={"healthcheck": CHECK | {"test": patiently("test -e /tmp/ready"), "start_period": "60s"}})
    for version in ("v1", "v2") if command == "rollback" else ("v1",):
        started = await start(people, "dora", "deploy", environment="dev", version=version)
        await until_ready(shop)
        assert "succeeded" in (await outcome(people, started)).text
    wanted = {"version": "v2"} if command == "deploy" else {}
    started = await start(people, "dora", command, environment="dev", **wanted)
    await until_ready(shop, limit, bot.pid)
    await live(people, started, TOLD)
    if is_cancelled:
        assert TOLD in await ask(people, "bob", "status", environment="dev")
        assert "was asked to stop" in await ask(people, "dora", "cancel", environment="dev")
    limit.release()
    if is_cancelled:  # the store of v1 comes back
        await until_ready(shop)
    assert ("cancelled" if is_cancelled else "succeeded") in (await outcome(people, started)).text
    assert set(shop.running("dev").values()) == {image_ids["v2" if command == "deploy" and not is_cancelled else "v1"]}
