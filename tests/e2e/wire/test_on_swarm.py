"""A stack on a Swarm of three managers, watched by a bot: judged by what the channel shows, and by Docker."""

import asyncio
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.client import SandboxClient
from sandbox.server import Sandbox
from sandbox.views import Message
from testbed.inherited import chosen_programs
from testbed.private_registry import PrivateRegistry
from testbed.sample import CHECK
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.waiting import wait_until
from tests.e2e.wire.bot_process import ROOT, settings_for
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.shop import Shop
from tests.integration.sandbox.channel import DEPLOYMENT_ID, approval, ask, confirm, live, outcome, press, start

pytestmark = [pytest.mark.wire, pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
SEEN_SECONDS = 90.0
QUICK: dict[str, Any] = {
    "endpoint_mode": "dnsrr",
    "restart_policy": {"delay": "500ms"},
    "update_config": {"monitor": "1s"},
}
FIRST = {"placement": {"constraints": ["node.hostname == node1"]}}


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("swarm"), managers=3, heartbeat_seconds=1) as made:
        yield made


@pytest.fixture(scope="module")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that asks for a password, and has the versions, which no node has."""
    with swarm_registry(swarm, tmp_path_factory.mktemp("registry"), healthy(["v1", "v2"])) as made:
        yield made


@pytest.fixture
def shop(swarm: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[Shop]:
    """A store on the first node, and two webs on different ones."""
    swarm.wait_until_ready(3)  # the test before lost some
    with client_of(swarm.manager) as client:
        made = Shop(tmp_path / "shop", f"wire-{secrets.token_hex(3)}", client, f"{registry.address}/shop")
        write(made, {"placement": {"max_replicas_per_node": 1}, "replicas": 2})
        yield made


def write(shop: Shop, deploy: dict[str, Any]) -> None:
    """Write the stack; `deploy` says where the webs run."""
    kept = {"init": True, "healthcheck": CHECK, "stop_grace_period": "1s"}
    web = {**kept, "volumes": [], "deploy": {**QUICK, **deploy}}
    shop.write(networked=True, store={**kept, "deploy": {**QUICK, **FIRST}}, web=web)


@pytest.fixture
def bot_settings(
    sandbox: Sandbox, shop: Shop, swarm: Swarm, registry: PrivateRegistry, tmp_path: Path
) -> dict[str, str]:
    registry.write_login(tmp_path / "docker")
    found = settings_for(sandbox, swarm.docker_host, shop.folder, tmp_path / "state", shop.base_name)
    engines = {f"ENVIRONMENTS__{name}__ENGINE": "swarm" for name in ("DEV", "PROD")}
    return {**found, **engines, "DOCKER_CONFIG": str(tmp_path / "docker")}


async def told(people: SandboxClient, *words: str, seconds: float = SEEN_SECONDS) -> Message:
    """Wait for a message that has all of these words."""
    return await people.wait_for_message(lambda m: all(word in m.text for word in words), deadline_seconds=seconds)


def node_of(swarm: Swarm, shop: Shop, service: str, *, but: str = "") -> SwarmNode:
    """Return a node on which a task of a service runs, as its engine shows it."""
    for node in swarm.nodes:
        with client_of(node) as client:
            if node.hostname != but and tasks_on(client, shop, service):
                return node
    raise AssertionError(f"no node runs {service}")


def tasks_on(client: Any, shop: Shop, service: str) -> list[Any]:
    """Return the running containers of a service on one node."""
    label = f"com.docker.swarm.service.name={shop.base_name}-dev_{service}"
    return list(client.containers.list(filters={"label": label}))


async def test_story_of_watching(
    bot: Any, people: SandboxClient, shop: Shop, swarm: Swarm, registry: PrivateRegistry, bot_settings: Any
) -> None:
    """A task dies, a node is drained, one dies, two die: each is told, and its end; status and logs of every node."""
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await status_names_nodes(people, shop, swarm, bot_settings)
    await doctor_knows_the_swarm(bot_settings, shop)
    await dead_task_is_told(people, shop, swarm)
    await drained_node_is_told(people, swarm)
    await lost_manager_is_told(people, shop, swarm)
    await without_quorum_status_is_of_before(bot, people, swarm, bot_settings)


async def status_names_nodes(people: SandboxClient, shop: Shop, swarm: Swarm, settings: Any) -> None:
    text = await ask(people, "bob", "status", environment="dev")
    webs = [node.hostname for node in swarm.nodes if on_node(node, shop, "web")]
    assert len(webs) == 2, "the two are on different nodes"
    assert "on node1 " in text, text
    assert f"on {', '.join(webs)}" in text, text
    assert "KiB" in text or "MiB" in text, text
    assert "not known" in text, text
    code, said = await roas(settings, "status", "dev", "--json")
    assert code == 0, said
    services = {load["service"]: load for load in json.loads(said)["environments"][0]["health"]["services"]}
    assert sorted(service["node"] for service in services["web"]["containers"]) == webs
    assert services["store"]["memory_bytes"] > 0
    assert services["store"]["unmeasured"] == 0
    assert services["web"]["unmeasured"] == sum(web != "node1" for web in webs)
    log = await logs(people, "web")
    assert all(f"running, {host}" in log for host in webs), log


async def logs(people: SandboxClient, service: str) -> str:
    """Read the file that `/logs` answers with."""
    answer = await people.answer(await people.slash("dora", "logs", service=service, environment="dev"))
    assert answer.message is not None
    (file,) = answer.message.attachments
    async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
        return await response.text()


def on_node(node: SwarmNode, shop: Shop, service: str) -> bool:
    with client_of(node) as client:
        return bool(tasks_on(client, shop, service))


async def dead_task_is_told(people: SandboxClient, shop: Shop, swarm: Swarm) -> None:
    """A process that is killed on another node: the alert names the node, and what Swarm did."""
    node = node_of(swarm, shop, "web", but="node1")
    with client_of(node) as client:
        tasks_on(client, shop, "web")[0].kill()
    over = await told(people, "web is down", "resolved")
    assert f"web has ended on {node.hostname}" in over.text, over.text
    assert "Swarm started another on node" in over.text, over.text
    log = await logs(people, "web")
    assert f"--- {node.hostname}: task: non-zero exit (137)" in log, "the log of the one that died is there, too"


async def doctor_knows_the_swarm(settings: Any, shop: Shop) -> None:
    """Managers and nodes as far as they are known, and a constraint that no node satisfies."""
    code, said = await roas(settings, "doctor", "dev", "--all", "--json")
    assert code == 0, said
    (report,) = json.loads(said)["reports"]
    text: dict[str, list[str]] = {}
    for result in report["results"]:
        text.setdefault(result["check"], []).append(result["message"])
    assert text["swarm_managers"] == ["3 of 3 managers can be reached."], text
    assert [one.startswith(f"node{number} (manager): ready") for number, one in enumerate(text["swarm_nodes"], 1)]
    assert text["swarm_constraints"] == [""]
    written = (shop.folder / "docker-compose.yml").read_text()
    (shop.folder / "docker-compose.yml").write_text(written.replace("node.hostname == node1", "node.labels.disk==ssd"))
    code, said = await roas(settings, "doctor", "dev")
    assert code == 1, said
    assert "node.labels.disk==ssd" in said, said
    (shop.folder / "docker-compose.yml").write_text(written)


async def drained_node_is_told(people: SandboxClient, swarm: Swarm) -> None:
    set_availability(swarm, "node3", "drain")
    await told(people, "node node3 is drained")
    set_availability(swarm, "node3", "active")
    await told(people, "node node3 is drained", "resolved")


def set_availability(swarm: Swarm, hostname: str, availability: str) -> None:
    with client_of(swarm.manager) as client:
        (node,) = [one for one in client.nodes.list() if one.attrs["Description"]["Hostname"] == hostname]
        node.update({**node.attrs["Spec"], "Availability": availability})


async def lost_manager_is_told(people: SandboxClient, shop: Shop, swarm: Swarm) -> None:
    """A node dies with what ran there: it is told, that no other manager may be lost, and what Swarm did."""
    lost = node_of(swarm, shop, "web", but="node1")
    lost.stop(kill=True)
    await told(people, f"node {lost.hostname} is down")
    await told(people, "quorum is in danger", "2 of 3 managers can be reached")
    rest = [node for node in swarm.nodes if node is not lost]
    assert wait_until(lambda: sum(on_node(node, shop, "web") for node in rest) == 2, SEEN_SECONDS)
    lost.start()
    await told(people, f"node {lost.hostname} is down", "resolved")
    await told(people, "quorum is in danger", "resolved")
    moved = await told(people, "web is down", "its node is down", "resolved")
    assert f"ended on {lost.hostname}" in moved.text, moved.text


async def without_quorum_status_is_of_before(bot: Any, people: SandboxClient, swarm: Swarm, settings: Any) -> None:
    """Two of three managers die: what was seen before is shown with its age, until they are back."""
    for node in swarm.nodes[1:]:
        node.stop(kill=True)
    await told(people, "no manager of the Swarm answers")
    text = await ask(people, "bob", "status", environment="dev")
    for words in ("not known", "As it was seen", "node1", "no leader"):
        assert words in text, text
    code, said = await roas(settings, "status", "dev")
    assert code == 69, said
    assert "as it was seen" in said, said
    assert "node1" in said, said
    await bot.stop()
    code, said = await roas(settings, "status", "dev")
    assert (code, "as it was seen" in said) == (69, True), "so does a process that never saw it"
    await bot.start()
    for node in swarm.nodes[1:]:
        node.start()
    await told(people, "no manager of the Swarm answers", "resolved")
    code, said = await roas(settings, "status", "dev", "--json")
    assert (code, json.loads(said)["environments"][0]["fault"]) == (0, ""), said


async def test_story_of_deploying(
    bot: Any, people: SandboxClient, shop: Shop, swarm: Swarm, registry: PrivateRegistry, bot_settings: Any
) -> None:
    """A hand's change, a freeze, a cancellation, a bot that dies, an approval, and a password that is changed."""
    write(shop, {"placement": {"constraints": ["node.hostname != node1"]}})
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await hands_change_is_told(people, shop, swarm)
    await ask(people, "dora", "lock", environment="dev", reason="the fair")
    assert "the fair" in await ask(people, "dora", "deploy", environment="dev", version="v2")
    await ask(people, "dora", "unlock", environment="dev")
    await cancelled_one_goes_back(people, shop, swarm)
    started = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, started, "execution")
    await bot.kill()
    await bot.start()
    ended = await outcome(people, started)
    assert versions(swarm, shop, "dev") in ({"v1"}, {"v2"}), ended.text
    await changed_password_reaches_the_nodes(shop, swarm, registry, bot_settings)
    await prod_is_approved(people, shop, swarm)


def versions(swarm: Swarm, shop: Shop, environment: str) -> set[str]:
    """Return the versions that the tasks of the webs say they are."""
    found = set()
    for node in swarm.nodes:
        with client_of(node) as client:
            label = f"com.docker.swarm.service.name={shop.base_name}-{environment}_web"
            for container in client.containers.list(filters={"label": label}):
                found.add(container.exec_run(["cat", "/version"]).output.decode().strip())
    return found


async def hands_change_is_told(people: SandboxClient, shop: Shop, swarm: Swarm) -> None:
    with client_of(swarm.manager) as client:
        (web,) = client.services.list(filters={"name": f"{shop.base_name}-dev_web"})
        web.update(env=["BY=hand"], fetch_current_spec=True)
    await told(people, "what runs is not what the release has", "web was changed by hand", "ContainerSpec.Env")
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await told(people, "what runs is not what the release has", "resolved")


async def cancelled_one_goes_back(people: SandboxClient, shop: Shop, swarm: Swarm) -> None:
    """The update that Swarm makes is waited for; then it goes back, and the answer says so."""
    started = await start(people, "dora", "deploy", environment="dev", version="v2")
    await live(people, started, "execution")
    answer = await ask(people, "dora", "cancel", environment="dev")
    assert "at the next safe point" in answer, answer
    assert "cancelled" in (await outcome(people, started)).text
    assert versions(swarm, shop, "dev") == {"v1"}
    with client_of(swarm.manager) as client:
        (web,) = client.services.list(filters={"name": f"{shop.base_name}-dev_web"})
        assert (web.attrs.get("UpdateStatus") or {}).get("State") in {None, "completed"}


async def prod_is_approved(people: SandboxClient, shop: Shop, swarm: Swarm) -> None:
    """What dev runs is promoted, by digest."""
    answer = await people.answer(await people.slash("dora", "promote", **{"from": "dev", "to": "prod"}))
    assert answer.message is not None
    assert "of dev (" in answer.message.text
    assert "A second person has to approve it" in await confirm(people, "dora", answer.message)
    begun = DEPLOYMENT_ID.search(await press(people, "anna", await approval(people, "prod"), "approve"))
    assert begun is not None
    assert "succeeded" in (await outcome(people, begun.group())).text
    assert versions(swarm, shop, "prod") == versions(swarm, shop, "dev")
    with client_of(swarm.manager) as client:
        webs = [client.services.list(filters={"name": f"{shop.base_name}-{name}_web"})[0] for name in ("dev", "prod")]
        images = {web.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for web in webs}
    assert len(images) == 1, images


async def changed_password_reaches_the_nodes(
    shop: Shop, swarm: Swarm, registry: PrivateRegistry, settings: Any
) -> None:
    """The registry has another password, the bot is told, and a node that has no image pulls for a drained one."""
    before = {service_task["ID"] for service_task in service_tasks(swarm, shop)}
    registry.change_password("another password")
    await log_in(settings, registry, "another password")
    name = f"{shop.base_name}-dev_web"

    def logins() -> str:
        with client_of(swarm.manager) as client:
            return str(client.services.list(filters={"name": name})[0].attrs["Spec"]["Labels"].get("io.roas.login"))

    known = logins()
    assert wait_until(lambda: logins() != known, 90), "the services have today's login"
    assert {service_task["ID"] for service_task in service_tasks(swarm, shop)} == before, (
        "no task was replaced for that"
    )
    moved = node_of(swarm, shop, "web")
    (idle,) = [node for node in swarm.nodes[1:] if node is not moved]
    with client_of(idle) as client:
        client.containers.prune()
        for image in client.images.list():
            client.images.remove(image.id, force=True)
        assert client.images.list() == []
    set_availability(swarm, moved.hostname, "drain")
    assert wait_until(lambda: on_node(idle, shop, "web"), 60), "it pulls with the new password"
    set_availability(swarm, moved.hostname, "active")


def service_tasks(swarm: Swarm, shop: Shop) -> list[Any]:
    with client_of(swarm.manager) as client:
        wanted = {"service": f"{shop.base_name}-dev_web", "desired-state": "running"}
        return list(client.api.tasks(filters=wanted))


async def log_in(settings: Any, registry: PrivateRegistry, password: str) -> None:
    """Type `roas login`."""
    command = [sys.executable, "-m", "roas", "login", registry.address, "--username", registry.login["username"]]
    environment = {**chosen_programs(), "PYTHONPATH": str(ROOT), **settings}
    child = await asyncio.create_subprocess_exec(*command, env=environment, stdin=asyncio.subprocess.PIPE)
    await child.communicate(password.encode())
    assert child.returncode == 0
