"""The release before hands over to this one and takes back, with an open alert and plans that wait, by real images."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.bot_image import build_bot_image
from testbed.home_stack import IMAGE, STORE_IMAGE, Home
from testbed.release_before import ReleaseBeforeMissingError, unpack_release_before
from testbed.sample import CHECK
from tests.e2e.handover.conftest import clear_away
from tests.integration.sandbox.channel import DEPLOYMENT_ID, approval, ask, confirm, outcome, press, start
from tests.unit.http.test_webhook_formats import ALERTMANAGER

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
TOKEN = "a token that only the tests know"
SHOP = "shop.yml"
DEPLOY_SECONDS = 180.0
# Without a client of HTTP in the image, and from within: the engine's networks are not reachable from the tests.
POST_ALERT = """
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8000/alerts", sys.argv[1].encode(), method="POST")
request.add_header("Authorization", "Bearer " + sys.argv[2])
request.add_header("Content-Type", "application/json")
print(urllib.request.urlopen(request).status)
"""


@pytest.fixture(scope="module")
def releases(engine, client, images, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Build the release before by its own Dockerfile, beside this one's; returns image ids by version."""
    try:
        source = unpack_release_before(tmp_path_factory.mktemp("before"))
    except ReleaseBeforeMissingError as error:
        pytest.skip(str(error))
    before = build_bot_image(engine, f"{IMAGE}:before", version="before", source=source)
    client.images.get(f"{IMAGE}:base").tag(IMAGE, "after")
    return {"before": before, "after": client.images.get(f"{IMAGE}:after").attrs["Id"]}


@pytest.fixture
def home(standing: Home, releases: dict[str, str]) -> Iterator[Home]:
    """Start the stack on the release before, with a shop in prod beside it; it is laid out as it was in the end."""
    settings = standing.folder / ".env"
    usual = settings.read_text()
    own = {
        "VERSION": "before",
        "WEBHOOK_TOKEN": TOKEN,
        "ENVIRONMENTS__PROD__COMPOSE_FILE": SHOP,
        "HANDOVER_SECONDS": "60",
    }
    clear_away(standing)
    settings.write_text(usual + "".join(f"{name}={value}\n" for name, value in own.items()))
    write_shop(standing.folder)
    standing.compose("up", "-d")
    yield standing
    print(standing.logs())  # shown by pytest when the test fails
    for container in shop(standing):
        container.remove(force=True, v=True)
    clear_away(standing)
    (standing.folder / SHOP).unlink()
    settings.write_text(usual)


def write_shop(folder: Path) -> None:
    """Describe what prod runs: one service, of the image that the store has."""
    image = STORE_IMAGE.replace("v1", "${VERSION}")
    (folder / SHOP).write_text(
        yaml.safe_dump({"services": {"web": {"image": image, "init": True, "healthcheck": CHECK}}})
    )


def shop(home: Home) -> list[Any]:
    """Return the containers of prod."""
    label = "com.docker.compose.project=home-prod"
    return list(home.client.containers.list(all=True, filters={"label": label}))


def post_alert(home: Home, status: str) -> None:
    """Send an alert to the bot, as Alertmanager does."""
    labels = {"alertname": "DiskFull", "severity": "page", "environment": "prod"}
    ends = "2026-01-01T01:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z"
    (usual,) = ALERTMANAGER["alerts"]
    alert = usual | {"status": status, "labels": labels, "annotations": {"summary": "disk is full"}, "endsAt": ends}
    body = json.dumps(ALERTMANAGER | {"status": status, "alerts": [alert]})
    (bot,) = home.bots()
    code, said = bot.exec_run(["python", "-c", POST_ALERT, body, TOKEN])
    assert code == 0, said.decode()


async def alert_message(people, *texts: str) -> Any:
    """Wait until the alert's one message shows some texts."""

    def shows(message: Any) -> bool:
        return "disk is full" in message.text.lower() and all(text in message.text.lower() for text in texts)

    return await people.wait_for_message(shows, deadline_seconds=30)


async def plan_for_prod(people) -> Any:
    """Ask for a deployment of prod, and return the message that waits for a second person."""
    plan = (await people.answer(await people.slash("dora", "deploy", environment="prod", version="v1"))).message
    assert "A second person has to approve it" in await confirm(people, "dora", plan)
    return await approval(people, "prod")


async def change_bot(people, command: str, **options: str) -> None:
    """Deploy or roll back the stack that the bot is in, and wait until that has succeeded."""
    deployment_id = await start(people, "dora", command, environment="dev", **options)
    assert "succeeded" in (await outcome(people, deployment_id, seconds=DEPLOY_SECONDS)).text


async def approved(people, home: Home, wanted: Any) -> None:
    """Approve a plan by the button that another release drew, and see it carried out."""
    started = DEPLOYMENT_ID.search(await press(people, "anna", wanted, "approve"))
    assert started is not None
    assert "succeeded" in (await outcome(people, started.group())).text
    assert [item.status for item in shop(home)] == ["running"]
    assert not (await approval(people, "prod", "Approved")).buttons


async def test_hands_over_and_takes_back(home, people, releases):
    assert [bot.attrs["Image"] for bot in home.bots()] == [releases["before"]]
    post_alert(home, "firing")
    alert = await alert_message(people)
    wanted = await plan_for_prod(people)

    await change_bot(people, "deploy", version="after")
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [releases["after"]]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    await press(people, "anna", alert, "ack")
    assert (await alert_message(people, "acknowledged")).id == alert.id
    await approved(people, home, wanted)
    wanted = await plan_for_prod(people)

    await change_bot(people, "rollback")
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [releases["before"]]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    post_alert(home, "resolved")
    assert (await alert_message(people, "resolved")).id == alert.id
    await approved(people, home, wanted)
    assert "succeeded" in await ask(people, "dora", "history", environment="dev")
