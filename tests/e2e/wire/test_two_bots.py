"""Two bots on two managers of a Swarm share their state in it: judged by the channel, by Docker, and by the lease."""

import asyncio
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from testbed.inherited import inherited
from testbed.private_registry import PrivateRegistry
from testbed.sample import CHECK
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.wire.bot_process import ROOT, BotProcess, settings_for, wait_for
from tests.e2e.wire.shop import Shop
from tests.e2e.wire.test_on_swarm import QUICK
from tests.integration.sandbox.channel import approval, ask, live, outcome, press, start

pytestmark = [pytest.mark.wire, pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
# A lease of 30 s, an election of the Raft, and what the bot reads before it leads.
LEADS_SECONDS = 90.0
LEASE = "roas.{}.lease"
ELSEWHERE = {"placement": {"constraints": ["node.hostname == node3"]}}


def write_stack(shop: Shop, *, monitor: str = "1s") -> None:
    """Write the stack, all of it on the third node; with a longer `monitor` its update takes long enough to be cut."""
    kept = {"init": True, "healthcheck": CHECK, "stop_grace_period": "1s"}
    deploy = {**QUICK, **ELSEWHERE, "update_config": {"monitor": monitor}}
    web = {**kept, "volumes": [], "deploy": {**deploy, "replicas": 2}}
    shop.write(networked=True, store={**kept, "deploy": deploy}, web=web)


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("two"), managers=3, heartbeat_seconds=1) as made:
        yield made


@pytest.fixture(scope="module")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with swarm_registry(swarm, tmp_path_factory.mktemp("registry"), healthy(["v1", "v2", "v3"])) as made:
        yield made


class MachineBot(BotProcess):
    """Run a bot that sees its own machine's engine and state at the paths at which the other sees its own."""

    def __init__(self, environment: dict[str, str], log: Path, mounts: dict[Path, Path]) -> None:
        super().__init__(environment, log)
        self._mounts = mounts

    async def start(self, *arguments: str, **more: str) -> None:
        environment = {**inherited(), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **self._environment, **more}
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self.within(*arguments), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._end = asyncio.create_task(wait_for(self._child))

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Type a command on the bot's machine; returns its exit code and what it says."""
        environment = {**inherited(), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **self._environment}
        child = await asyncio.create_subprocess_exec(
            *self.within(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await child.communicate()
        return child.returncode or 0, said.decode()

    def within(self, *arguments: str) -> list[str]:
        """Return what runs `roas` in a mount namespace of its own."""
        mounts = " && ".join(f"mount --bind {source} {place}" for source, place in self._mounts.items())
        return [
            "unshare",
            "-m",
            "--",
            "sh",
            "-c",
            f'{mounts} && exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "roas",
            *arguments,
        ]


@dataclass
class TwoBots:
    """Know which bot is on which node, and which leads, as the Swarm says."""

    swarm: Swarm
    project: str
    bots: dict[str, MachineBot]
    people: SandboxClient

    def lease(self) -> dict[str, str]:
        """Return what the lease says, by any manager that lives."""
        for node in self.swarm.nodes:
            if node.pid is not None:
                with client_of(node) as client:
                    found = client.configs.list(filters={"name": LEASE.format(self.project)})
                return dict(found[0].attrs["Spec"]["Labels"]) if found else {}
        raise AssertionError("no manager lives")

    def leader(self) -> str:
        """Return the node of the bot that leads; empty while nobody does."""
        labels = self.lease()
        return labels.get("io.roas.lease.node", "") if labels.get("io.roas.lease.instance") else ""

    async def led_by_other(self, than: str) -> float:
        """Wait until another node's bot leads; returns how long that took."""
        began = time.monotonic()
        led = await asyncio.to_thread(wait_until, lambda: self.leader() not in {"", than}, LEADS_SECONDS)
        assert led, self.lease()
        return time.monotonic() - began

    def node(self, hostname: str) -> SwarmNode:
        return next(node for node in self.swarm.nodes if node.hostname == hostname)


@pytest.fixture
async def two(
    swarm: Swarm, registry: PrivateRegistry, sandbox: Sandbox, people: SandboxClient, tmp_path: Path
) -> AsyncIterator[tuple[TwoBots, Shop]]:
    """Start a bot beside node1 and one beside node2; the stack's tasks are on node3."""
    swarm.wait_until_ready(3)
    registry.write_login(tmp_path / "docker")
    (tmp_path / "key").write_text("k" * 44)
    socket, state = tmp_path / "run", tmp_path / "state"
    for folder in (socket, state, tmp_path / "node1", tmp_path / "node2"):
        folder.mkdir()
    with client_of(swarm.nodes[2]) as client:
        shop = Shop(tmp_path / "shop", f"two-{secrets.token_hex(3)}", client, f"{registry.address}/shop")
        write_stack(shop)
        settings = {
            **settings_for(sandbox, f"unix://{socket}/docker.sock", shop.folder, state, shop.base_name),
            **{f"ENVIRONMENTS__{name}__ENGINE": "swarm" for name in ("DEV", "STAGING", "PROD")},
            "DOCKER_CONFIG": str(tmp_path / "docker"),
            "SWARM_STATE_KEY_FILE": str(tmp_path / "key"),
        }
        bots = {
            node.hostname: MachineBot(
                settings,
                tmp_path / f"{node.hostname}.log",
                {node.run_folder: socket, tmp_path / node.hostname: state},
            )
            for node in swarm.nodes[:2]
        }
        made = TwoBots(swarm, shop.base_name, bots, people)
        try:
            await bots["node1"].start()
            await people.wait_for_commands("deploy", deadline_seconds=90)
            assert await asyncio.to_thread(wait_until, lambda: made.leader() == "node1", 60)
            await bots["node2"].start()
            yield made, shop
        finally:
            for bot in bots.values():
                bot.signal(signal.SIGCONT)
                await bot.kill()
            for node in swarm.nodes:
                node.resume()
                if node.pid is None:
                    node.start()
            swarm.wait_until_ready(3)
            StackView(swarm, f"{shop.base_name}-dev").remove()


async def messages_with(people: SandboxClient, text: str) -> int:
    return sum(text in message.text for message in await people.messages())


async def test_machine_of_the_leader_is_lost_in_a_deployment(two: tuple[TwoBots, Shop], people: SandboxClient) -> None:
    """The other leads, the deployment ends, told once; a freeze and a plan that waits for approval are there."""
    bots, shop = two
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "locked" in await ask(people, "dora", "lock", environment="staging", reason="an audit")
    waiting = await start(people, "dora", "deploy", environment="prod", version="v1")
    write_stack(shop, monitor="4s")
    going = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, going, "execution")
    code, said = await bots.bots["node2"].command("unlock", "staging")
    assert code != 0, said
    assert "node1 leads" in said, said
    await bots.bots["node1"].kill()
    bots.node("node1").stop(kill=True)
    took = await bots.led_by_other("node1")
    print(f"node2 leads {took:.1f} s after node1 was killed")
    ended = await outcome(people, going)
    assert "succeeded" in ended.text, ended.text
    view = StackView(bots.swarm, f"{shop.base_name}-dev")
    assert view.versions("web") == {"v2": 2}
    assert await messages_with(people, f"{going} · outcome") == 1
    assert "an audit" in await ask(people, "dora", "deploy", environment="staging", version="v1")
    plan = await approval(people, "prod")
    await press(people, "anna", plan, "approve")
    assert "succeeded" in (await outcome(people, waiting)).text
    assert await messages_with(people, f"{waiting} · outcome") == 1


async def test_leader_that_was_stopped_writes_no_more(two: tuple[TwoBots, Shop], people: SandboxClient) -> None:
    """Another ends its deployment and goes on deploying; when it goes on itself, it changes and tells nothing."""
    bots, shop = two
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    write_stack(shop, monitor="4s")
    going = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, going, "execution")
    bots.bots["node1"].signal(signal.SIGSTOP)
    print(f"node2 leads {await bots.led_by_other('node1'):.1f} s after node1 was stopped")
    assert "succeeded" in (await outcome(people, going)).text
    view = StackView(bots.swarm, f"{shop.base_name}-dev")
    before = {name: (view.service(name) or {}).get("Version") for name in ("web", "store")}
    told = len(await people.messages())
    bots.bots["node1"].signal(signal.SIGCONT)
    log = bots.bots["node1"].log
    assert await asyncio.to_thread(wait_until, lambda: "does not lead any more" in log.read_text(), 60), log.read_text()
    assert {name: (view.service(name) or {}).get("Version") for name in ("web", "store")} == before
    assert view.versions("web") == {"v2": 2}
    assert len(await people.messages()) == told
    assert bots.leader() == "node2"
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v3"))
    assert view.versions("web") == {"v3": 2}


async def test_leader_that_is_told_to_stop_gives_the_lead_away(
    two: tuple[TwoBots, Shop], people: SandboxClient
) -> None:
    bots, shop = two
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    write_stack(shop, monitor="4s")
    going = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, going, "execution")
    began = time.monotonic()
    assert await bots.bots["node1"].stop() == 0
    await bots.led_by_other("node1")
    took = time.monotonic() - began
    print(f"node2 leads {took:.1f} s after node1 was told to stop")
    assert took < 20, "far less than a lease"
    assert "succeeded" in (await outcome(people, going)).text
    assert await messages_with(people, f"{going} · outcome") == 1
    assert "v2" in await ask(people, "bob", "status", environment="dev")
