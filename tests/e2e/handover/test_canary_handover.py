"""A bot is replaced while a canary is judged, or while what it deployed bakes: its successor goes on with it."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from roas.models.canary import CanaryRecord
from roas.models.deployment import ServiceProgress
from roas.state.documents import from_json
from sandbox.client import SandboxClient
from testbed.compose_labels import SERVICE_LABEL
from testbed.home_stack import IMAGE, PROJECT, Home
from testbed.ports import free_port
from testbed.proxy_images import HAPROXY_USER, haproxy_image, web_image
from testbed.waiting import wait_until
from tests.e2e.handover.conftest import CONNECT_SECONDS, clear_away, other_version, rows
from tests.integration.sandbox.channel import outcome, start
from tools.campaigns.requests.recipe import AdminSocket, write_recipe
from tools.campaigns.requests.scene import QUICK_CHECK, SLOW_CHECK
from tools.campaigns.requests.users import users

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

RATE = 60
OTHER = "staging"
PROXY = "      proxy:\n        service: haproxy"
COUNTED_SECONDS = 150.0
STATES = "show servers state web"


@dataclass(frozen=True)
class Shop:
    """Hold a web service behind HAProxy that the bot deploys; the admin socket lies in the stack's folder."""

    home: Home
    folder: Path
    project: str
    port: int

    def weights(self) -> set[str]:
        """Return the weights that the servers have; none while HAProxy does not answer."""
        try:
            lines = [line.split() for line in AdminSocket(self.folder / "run" / "admin.sock").ask(STATES).splitlines()]
        except OSError:
            return set()
        return {line[7] for line in lines if len(line) > 7 and line[0].isdigit()}

    def versions(self) -> set[str]:
        """Return the versions of its web containers."""
        labels = [f"com.docker.compose.project={self.project}", f"{SERVICE_LABEL}=web"]
        found = self.home.client.containers.list(ignore_removed=True, filters={"label": labels})
        return {str(item.attrs["Config"]["Image"]).rpartition(":")[2].partition("-")[0] for item in found}

    def record(self, deployment_id: str) -> CanaryRecord:
        """Return how far the canary of a deployment is, by the journal."""
        question = "SELECT document FROM service_progress WHERE service = 'web' AND deployment_id = ?"
        found = [from_json(ServiceProgress, text) for (text,) in rows(self.home, question, deployment_id)]
        records = [progress.rollout.canary for progress in found if progress.rollout is not None]
        return next((record for record in records if record is not None), CanaryRecord())


@pytest.fixture
def versions(standing: Home, images: dict[str, str]) -> None:
    """Make the versions of the web service; `leaks` is a good bot, whose web service fails a while after its start."""
    client = standing.client
    haproxy_image(client)
    for version in ("v1", "v2"):
        web_image(client, f"shop/web:{version}", version=version, ORDERS="/tmp/orders")
    leaks = {"FAILS_PERCENT": "40", "FAILS_FROM": "45"}
    web_image(client, "shop/web:leaks", version="leaks", ORDERS="/tmp/orders", **leaks)
    client.images.get(images["v2"]).tag(IMAGE, "leaks")


def write_shop(folder: Path, port: int, **canary: object) -> None:
    """Write the page's stack with a canary; HAProxy's socket is in the folder, which the bot has mounted."""
    lines = "".join(f"        {key}: {value}\n" for key, value in canary.items())
    changes = {
        SLOW_CHECK: QUICK_CHECK,
        "replicas: 2": "replicas: 1",
        "      - haproxy:/var/lib/haproxy ": "      - ./run:/var/lib/haproxy ",
        "\nvolumes:\n  haproxy: {}\n": "",
        PROXY: f"      canary:\n{lines}{PROXY}",
    }
    write_recipe(folder, "HAProxy", port, **changes)
    run = folder / "run"
    run.mkdir()
    os.chown(run, HAPROXY_USER, HAPROXY_USER)


@pytest.fixture
def shop_beside(standing: Home, versions: None) -> Iterator[Shop]:
    """Give the bot another environment, with a shop of its own."""
    settings = (standing.folder / ".env").read_text()
    shop = Shop(standing, standing.folder / "shop", f"{PROJECT}-{OTHER}", free_port())
    write_shop(shop.folder, shop.port, weight=30, pause="45s", deadline="120s")
    own = {"FOLDER": shop.folder, "OBSERVATION_SECONDS": 1}
    lines = "".join(f"ENVIRONMENTS__{OTHER.upper()}__{key}={value}\n" for key, value in own.items())
    yield from started_again(standing, shop, settings, settings + lines)
    shutil.rmtree(shop.folder)


@pytest.fixture
def shop_within(standing: Home, versions: None) -> Iterator[Shop]:
    """Put the shop into the bot's own stack: each version replaces both."""
    path, settings = standing.folder / "docker-compose.yml", (standing.folder / ".env").read_text()
    before = path.read_text()
    shop = Shop(standing, standing.folder, PROJECT, free_port())
    write_shop(shop.folder, shop.port, weight=30, pause="2s", deadline="60s", bake="60s")
    recipe = shop.folder / "compose.yaml"
    services = yaml.safe_load(before)["services"] | yaml.safe_load(recipe.read_text())["services"]
    recipe.unlink()
    path.write_text(yaml.safe_dump({"name": PROJECT, "services": services}, sort_keys=False))
    try:
        yield from started_again(standing, shop, settings, settings)
    finally:
        path.write_text(before)


def started_again(home: Home, shop: Shop, before: str, settings: str) -> Iterator[Shop]:
    """Start the stack by hand with settings for the length of the test."""
    clear_away(home)
    (home.folder / ".env").write_text(settings)
    try:
        home.compose("up", "-d")
        yield shop
        print(home.logs())  # shown by pytest when the test fails
    finally:
        label = "com.docker.compose.project"
        for container in home.client.containers.list(all=True, filters={"label": f"{label}={PROJECT}-{OTHER}"}):
            container.remove(force=True, v=True)
        clear_away(home)
        (home.folder / ".env").write_text(before)
        shutil.rmtree(shop.folder / "run")
        (shop.folder / "haproxy.cfg").unlink()


async def connected(people: SandboxClient) -> None:
    await people.wait_until_connected(CONNECT_SECONDS)
    await people.wait_for_commands("deploy", deadline_seconds=CONNECT_SECONDS)


async def counted(shop: Shop, deployment_id: str, requests: int, *, bakes: bool = False) -> CanaryRecord:
    """Wait until a canary, or its bake, has been asked so often."""

    def is_counted() -> bool:
        record = shop.record(deployment_id)
        return record.total.new.requests >= requests and (record.bakes_until is not None) is bakes

    assert await asyncio.to_thread(wait_until, is_counted, COUNTED_SECONDS), shop.record(deployment_id)
    return shop.record(deployment_id)


async def test_successor_goes_on_with_a_canary_elsewhere(shop_beside, discord, images):
    """The home environment gets another bot while a canary of another environment is judged."""
    shop, home = shop_beside, shop_beside.home
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await connected(people)
        first = await outcome(people, await start(people, "dora", "deploy", environment=OTHER, version="v1"))
        assert "succeeded" in first.text, first.text
        before = home.bots()[0].id
        with users(shop.port, rate=RATE) as seen:
            canary = await start(people, "dora", "deploy", environment=OTHER, version="v2")
            known = await counted(shop, canary, 30)
            share = shop.weights()
            assert len(share) == 2
            replaced = await start(people, "dora", "deploy", environment="dev", version=other_version(home, images))
            assert "succeeded" in (await outcome(people, replaced)).text
            assert home.bots()[0].id != before
            taken = shop.record(canary)
            assert (taken.step, taken.old) == (0, known.old), "its canary is judged still, beside the same containers"
            assert taken.total.new.requests > known.total.new.requests
            assert taken.total.old.requests > known.total.old.requests
            assert taken.seconds > known.seconds
            assert shop.weights() == share
            told = await outcome(people, canary)
        assert "succeeded" in told.text, told.text
    assert shop.versions() == {"v2"}
    assert shop.weights() == {"1"}
    assert seen.lost == 0, seen.report


@pytest.mark.parametrize("version", ["v2", "leaks"])
async def test_successor_goes_on_with_a_bake(shop_within, discord, images, version):
    """One deployment replaces a service with a canary, and the bot: it is the successor that lets it bake."""
    shop, home = shop_within, shop_within.home
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await connected(people)
        before = home.bots()[0].id
        with users(shop.port, rate=RATE) as seen:
            deployment = await start(people, "dora", "deploy", environment="dev", version=version)
            baking = await counted(shop, deployment, 1, bakes=True)
            assert baking.before.requests > RATE, "what the old version was asked is known"
            assert home.bots()[0].id != before, "its first bot is gone"
            told = await outcome(people, deployment)
    is_good = version == "v2"
    assert ("succeeded" if is_good else "rolled back") in told.text, told.text
    assert is_good or "it got worse while it baked" in told.text
    assert shop.versions() == {"v2" if is_good else "v1"}
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [images["v2" if is_good else "v1"]]
    assert shop.weights() == {"1"}
    assert is_good is (seen.lost == 0), seen.report
