"""An engine that is unavailable is named by everything that is asked, in both languages, and nothing is called well."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.client import SandboxClient
from testbed.daemon import PrivateDaemon
from testbed.sample import sample_image
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.shop import REPOSITORY, Shop
from tests.integration.sandbox.channel import outcome, start
from tests.unit.ui.story import until

pytestmark = [pytest.mark.wire, pytest.mark.long]

WORDS = {
    "en-US": ("not known", "does not answer", "Start Docker", "cannot be reached"),
    "zh-TW": ("不明", "Docker 引擎沒有回應", "請啟動 Docker", "連不上 Docker 引擎"),
}
LIES = ("nothing runs", "healthy", ": well", "沒有任何服務在執行", "：正常")
GONE_SECONDS = 20.0


@pytest.fixture
def docker_host(fresh_daemon: PrivateDaemon) -> str:
    """Let the bot have an engine of its own, which the test may stop."""
    return fresh_daemon.docker_host


@pytest.fixture
def shop(fresh_daemon: PrivateDaemon, tmp_path: Path) -> Iterator[Shop]:
    client = fresh_daemon.client()
    sample_image(client, f"{REPOSITORY}:v1", version="v1")
    shop = Shop(tmp_path / "shop", f"wire-{secrets.token_hex(3)}", client, REPOSITORY)
    shop.write(alone=True)
    yield shop
    client.close()


@pytest.fixture
def bot_settings(bot_settings: dict[str, str], http_port: int) -> dict[str, str]:
    return {**bot_settings, "HTTP_PORT": str(http_port)}


async def test_status_says_engine_cannot_be_reached(
    shop: Shop, bot: Any, people: SandboxClient, bot_settings: dict[str, str], http_port: int, fresh_daemon: Any
) -> None:
    started = await start(people, "dora", "deploy", environment="dev", version="v1")
    assert "succeeded" in (await outcome(people, started)).text
    await until(service_verdicts(http_port, "healthy"), GONE_SECONDS)
    fresh_daemon.stop()

    for locale, expected in WORDS.items():
        await people.set_locale("bob", locale)
        for environment in ("dev", "staging"):  # one that was deployed, and one of which nothing was ever known
            answer = await people.answer(await people.slash("bob", "status", environment=environment))
            assert answer.message is not None
            text = answer.message.text
            assert [content for content in expected if content not in text] == [], text
            assert [content for content in LIES if content in text] == [], text

    code, said = await roas(bot_settings, "status", "--json")
    assert code == 69, said
    assert [load["health"] for load in json.loads(said)["environments"]] == [None] * 3
    assert all(fresh_daemon.docker_host in load["fault"] for load in json.loads(said)["environments"])
    code, said = await roas(bot_settings, "status", "staging")
    assert code == 69
    assert "staging  not known" in said
    assert [content for content in LIES if content in said] == [], said
    code, said = await roas(bot_settings, "doctor", "dev")
    assert code == 1
    assert "does not answer" in said
    answer = await people.answer(await people.slash("dora", "logs", service="web", environment="dev"))
    assert answer.message is not None
    assert "引擎沒有回應" in answer.message.text or "does not answer" in answer.message.text

    await until(service_verdicts(http_port, "unknown"), GONE_SECONDS)
    shown = await metrics(http_port)
    assert shown['roas_stack_health{environment="dev",verdict="healthy"}'] == 0
    assert not [key for key in shown if key.startswith(("roas_service_restarts", "roas_service_memory"))]

    await bot.stop()
    code, said = await roas(bot_settings, "status", "--json")
    assert code == 69, said
    assert [load["health"] for load in json.loads(said)["environments"]] == [None] * 3


def service_verdicts(port: int, verdict: str) -> Callable[[], Awaitable[bool]]:
    """Return what asks whether each service has one verdict in the metrics, and no other."""

    async def shows() -> bool:
        found = {key: metric for key, metric in (await metrics(port)).items() if key.startswith("roas_service_health{")}
        holding = [f'verdict="{verdict}"' in key for key, item in found.items() if item]
        return bool(holding) and all(holding)

    return shows


async def metrics(port: int) -> dict[str, float]:
    """Read the bot's metrics."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {key: float(value) for key, _, value in pairs}
