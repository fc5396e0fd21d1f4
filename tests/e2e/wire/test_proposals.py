"""A push becomes a proposal in the channel, somebody says yes, and what was rolled back stays out; all of it real."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import secrets
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import docker
import pytest

from sandbox.client import ControlError, SandboxClient
from sandbox.views import Message
from testbed.git_server import GitServer, git_server
from testbed.ports import free_port
from testbed.private_registry import PrivateRegistry, private_registry
from testbed.sample import Behaviour
from testbed.tasks import end_tasks
from testbed.waiting import wait_until
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.shop import SOON_JUDGED, Shop
from tests.e2e.wire.test_ci import GUIDE, ask
from tests.integration.candidates.forge import TOKEN as FORGE_TOKEN
from tests.integration.candidates.forge import FakeForge, fake_forge
from tests.integration.sandbox.channel import DEPLOYMENT_ID, approval, button, outcome, press
from tests.integration.sandbox.channel import ask as channel_ask

pytestmark = pytest.mark.wire

TOKEN = f"roas_{secrets.token_urlsafe(32)}"
HASH = f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
SECRET = secrets.token_hex(16)
IMAGE = "shop/web"
PROPOSED_SECONDS = 30.0
OUTCOME_SECONDS = 150.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    """Serve the repository that the files of staging come from."""
    async with git_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def api_port(server: GitServer) -> int:
    """Return a port that the server, which listens already, has not taken."""
    return free_port()


@pytest.fixture
def proxied(api_port: int, tmp_path: Path) -> Iterator[str]:
    """Put Caddy before the bot, by the words of the guide; returns its address."""
    (words,) = re.findall(r"^```\n([^`]*reverse_proxy[^`]*)^```", GUIDE.read_text(), re.MULTILINE)
    address = f"http://127.0.0.1:{free_port()}"
    words = words.replace("roas.example.org", address).replace("discord-bot:8081", f"127.0.0.1:{api_port}")
    (tmp_path / "Caddyfile").write_text(f"{{\n    admin off\n}}\n{words}")
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    with subprocess.Popen(command, env=os.environ | {"HOME": str(tmp_path)}, stderr=subprocess.DEVNULL) as caddy:
        yield address
        caddy.terminate()


@pytest.fixture
def registry(tmp_path: Path, api_port: int) -> Iterator[PrivateRegistry]:
    """Run Debian's registry, with a password, which tells the bot of pushes."""
    told = (f"http://127.0.0.1:{api_port}/v1/hooks/images", f"Bearer {SECRET}")
    with private_registry(tmp_path / "registry", notify=told) as registry:
        yield registry


@pytest.fixture
async def forge() -> AsyncIterator[FakeForge]:
    """Run a forge that takes statuses as GitHub does, and nothing else."""
    async with fake_forge() as forge:
        yield forge


@pytest.fixture
def push(registry: PrivateRegistry, docker_client: docker.DockerClient):
    """Return what builds and pushes a version, as a job would."""

    async def push(version: str, behaviour: Behaviour = "healthy") -> None:
        await asyncio.to_thread(registry.push_sample, docker_client, IMAGE, version, behaviour)

    return push


@pytest.fixture
def bot_settings(
    bot_settings: dict[str, str],
    registry: PrivateRegistry,
    forge: FakeForge,
    server: GitServer,
    api_port: int,
    shop: Shop,
    tmp_path: Path,
) -> dict[str, str]:
    """Let the registry offer what is pushed: to dev and prod by a proposal, to staging by itself."""
    registry.write_login(tmp_path / "login")
    (tmp_path / "hook-secret").write_text(SECRET)
    (tmp_path / "forge-token").write_text(FORGE_TOKEN)
    state = Path(bot_settings["STATE_DIR"])
    state.mkdir()
    (state / "roas.toml").write_text(
        f"""
[api]
port = {api_port}
[environments.staging]
folder = "{tmp_path / "followed"}"
[environments.staging.git]
url = "{server.url}"
[sources.images]
kind = "registry"
environments = {{ dev = "propose" }}
images = ["{registry.address}/{IMAGE}"]
tags = ["v*"]
secret_file = "{tmp_path / "hook-secret"}"
[sources.code]
kind = "github"
repository = "acme/shop"
environments = {{ staging = "propose" }}
images = ["{registry.address}/{IMAGE}"]
version = "c-{{short_sha}}"
secret_file = "{tmp_path / "hook-secret"}"
forge_url = "{forge.url}"
forge_token_file = "{tmp_path / "forge-token"}"
[sources.job]
environments = {{ prod = "auto", staging = "auto" }}
actions = ["propose", "deploy"]
token_hash = "{HASH}"
"""
    )
    shop.write(alone=True, web=SOON_JUDGED | {"image": f"{registry.address}/{IMAGE}:${{VERSION:?}}"})
    return bot_settings | {"DOCKER_CONFIG": str(tmp_path / "login")}


async def proposal(people: SandboxClient, *words: str, seconds: float = PROPOSED_SECONDS) -> Message:
    return await people.wait_for_message(
        lambda one: all(word in one.text for word in words) and "PROP-" in one.text, deadline_seconds=seconds
    )


async def test_push_becomes_a_proposal(bot, people, shop, push, long_lane):
    await push("v1")
    shown = await proposal(people, "New version for dev", "v1", "is created")
    assert "Nothing changes until somebody confirms it" in shown.text
    assert shop.containers("dev") == []
    assert "one of these roles is needed" in await press_refused(people, "bob", shown, "take")

    await push("v2")
    newer = await proposal(people, "New version for dev: v2", "is created")
    assert newer.id == shown.id, "a newer version takes the older one's place in the same message"
    assert "v1" in newer.text

    assert "Started" in await press(people, "dora", newer, "take")
    done = await proposal(people, "v2 → dev: succeeded", seconds=OUTCOME_SECONDS)
    assert done.id == shown.id
    assert button(done, "take") is None
    assert list(shop.running("dev")) == ["web"]
    await button_promotes(people, shop)
    if long_lane:
        await failed_version_stays_out_and_a_person_skips_the_next(people, push, shown)


async def failed_version_stays_out_and_a_person_skips_the_next(people: SandboxClient, push, shown: Message) -> None:
    await push("v3", "unhealthy")
    bad = await proposal(people, "New version for dev: v3", "is recreated")
    assert bad.id != shown.id
    await press(people, "dora", bad, "take")
    await proposal(people, "v3 → dev: failed and was rolled back", seconds=OUTCOME_SECONDS)
    assert "`v3` · <t:" in await channel_ask(people, "bob", "status", environment="dev")
    plan = await channel_ask(people, "dora", "deploy", environment="dev", version="v3")
    assert "v3 is on hold" in plan
    before = {message.id for message in await people.messages("ops")}
    await push("v3", "unhealthy")
    await push("v4")
    good = await proposal(people, "New version for dev: v4", "is recreated")
    assert not [
        message
        for message in await people.messages("ops")
        if message.id not in before | {good.id} and "PROP-" in message.text
    ]

    assert "waits here until somebody deploys it" in await press(people, "anna", good, "later")
    later = await proposal(people, "postponed it", "v4")
    assert "is skipped" in await press(people, "dora", later, "skip", reason="breaks the cart")
    skipped = await proposal(people, "v4 → dev: skipped", "breaks the cart")
    assert skipped.id == good.id


async def button_promotes(people: SandboxClient, shop: Shop) -> None:
    """The outcome offers the next environment of the same folder: what runs goes there, by a second person's yes."""
    told = await people.wait_for_message(lambda one: button(one, "promote") is not None, deadline_seconds=30)
    assert "succeeded" in told.text
    assert "one of these roles is needed" in await press_refused(people, "bob", told, "promote")
    asked = await people.answer(await people.click("dora", told, button(told, "promote")))
    assert "r1 of dev (v2)" in asked.message.text
    assert "A second person" in await press(people, "dora", asked.message, "confirm")
    started = DEPLOYMENT_ID.search(await press(people, "anna", await approval(people, "prod"), "approve"))
    assert "succeeded" in (await outcome(people, started.group())).text
    assert shop.running("prod") == shop.running("dev")


async def press_refused(people: SandboxClient, user: str, message: Message, what: str) -> str:
    """Press a button as it was shown, and return why nothing comes of it."""
    answer = await people.answer(await people.click(user, message, button(message, what)))
    return answer.message.text


@pytest.mark.long
async def test_job_for_prod_waits_for_two_people(bot, bot_settings, people, shop, push, api_port):
    """`auto` where the environment needs approval is a proposal; the second person is still needed."""
    url = f"http://127.0.0.1:{api_port}"
    await push("v1")
    status, offered = await ask(url, "POST", "/v1/deployments", {"environment": "prod", "version": "v1"}, token=TOKEN)
    assert status == 202
    shown = await proposal(people, "New version for prod: v1", "prod needs approval")
    assert "A second person" in await press(people, "dora", shown, "take")
    wanted = await people.wait_for_message(lambda one: "Approval needed" in one.text, deadline_seconds=30)
    assert shop.containers("prod") == []
    await press(people, "anna", wanted, "approve")
    await proposal(people, "v1 → prod: succeeded", seconds=OUTCOME_SECONDS)
    status, said = await ask(url, "GET", f"/v1/deployments/{offered['id']}?wait=30", token=TOKEN)
    assert (said["state"], said["ended"]) == ("succeeded", True)
    assert re.fullmatch(r"DEPLOY-[0-9A-Z]{26}", said["deployment"]["id"])
    code, told_of = await roas(bot_settings, "history", "prod", "--format", "json")
    (record,) = json.loads(told_of)["deployments"]
    assert (code, record["requested_by"], record["approved_by"], record["source"]) == (0, "Dora", "Anna", "job")
    assert record["draft"]


async def test_commit_goes_to_the_stack_and_its_verdict_back(
    bot, people, shop, push, proxied, forge, server, long_lane
):
    """From a git push to the status at the forge; a bad commit is rolled back and stays out, a newer one comes in."""
    hook = f"{proxied}/v1/hooks/code"
    names = ("docker-compose.yml", "config/greeting")
    files = {name: (shop.folder / name).read_text() for name in names}

    async def job(message: str, behaviour: Behaviour = "healthy") -> tuple[str, str]:
        """Build and push what was committed, and tell the bot, as a CI does."""
        commit = await asyncio.to_thread(server.commit, files | {"CHANGES": message}, message)
        await push(version := f"c-{commit[:7]}", behaviour)
        assert (await deliver(hook, commit, secret="guessed"))[0] == 401
        assert (await deliver(hook, commit))[0] == 202
        assert "known already" in (await deliver(hook, commit))[1]["note"], "a redelivery is seen"
        return commit, version

    good, version = await job("Brew coffee")
    shown = await proposal(
        people,
        f"New version for staging: {version}",
        "main",
        "is created",
        "Brew coffee · Ada",
        f"of commit {good[:12]}",
    )
    await press(people, "dora", shown, "take")
    await proposal(people, f"{version} → staging: succeeded", seconds=OUTCOME_SECONDS)
    await told(forge, ("commit", good[:4], "roas/staging", "success"))
    assert list(shop.running("staging")) == ["web"]
    (details,) = await people.messages(int(shown.id))
    assert "verification" in details.text, "the deployment is told in a thread below the proposal"

    bad, version = await job("Forget the filter", "unhealthy")
    shown = await proposal(people, f"New version for staging: {version}", "is recreated", "Forget the filter · Ada")
    assert "Brew coffee" not in shown.text, "only what is new is listed"
    await press(people, "dora", shown, "take")
    await proposal(people, f"{version} → staging: failed and was rolled back", seconds=OUTCOME_SECONDS)
    await told(forge, ("commit", bad[:4], "roas/staging", "failure"))
    assert ("deployment", "2", "staging", "failure") in forge.told
    assert f"`{version}` · <t:" in await channel_ask(people, "bob", "status", environment="staging")
    before = {message.id for message in await people.messages("ops") if "PROP-" in message.text}
    assert (await deliver(hook, bad, delivery="once more"))[0] == 202

    better, version = await job("Find the filter")
    shown = await proposal(people, f"New version for staging: {version}", "is recreated", "Find the filter · Ada")
    after = {message.id for message in await people.messages("ops") if "PROP-" in message.text}
    assert after == before | {shown.id}, "what is on hold was not proposed again"
    await press(people, "dora", shown, "take")
    await proposal(people, f"{version} → staging: succeeded", seconds=OUTCOME_SECONDS)
    await told(forge, ("commit", better[:4], "roas/staging", "success"))
    states = [item[3] for item in forge.told if item[:3] == ("deployment", "1", "staging")]
    assert (states[0], states[-1]) == ("queued", "success")
    if not long_lane:
        return
    await asyncio.to_thread(server.commit, files | {"config/greeting": "untested"}, "Say something else")
    await staging_is_promoted(people, shop, version)


async def staging_is_promoted(people: SandboxClient, shop: Shop, version: str) -> None:
    """What staging runs of its repository goes to prod, by a second person's yes, whatever was committed since."""
    (shop.folder / "config" / "greeting").write_text("of nobody")
    assert "one of these roles is needed" in await channel_ask(
        people, "bob", "promote", **{"from": "staging", "to": "prod"}
    )
    typed = await people.answer(await people.slash("dora", "promote", **{"from": "staging", "to": "prod"}))
    assert typed.message is not None
    assert version in typed.message.text
    assert "of staging (" in typed.message.text
    assert "A second person" in await press(people, "dora", typed.message, "confirm")
    started = DEPLOYMENT_ID.search(await press(people, "anna", await approval(people, "prod"), "approve"))
    assert started is not None
    assert "succeeded" in (await outcome(people, started.group())).text
    assert shop.running("prod") == shop.running("staging")
    greetings = {
        (await asyncio.to_thread(container.exec_run, ["cat", "/config/greeting"])).output
        for environment in ("staging", "prod")
        for container in shop.containers(environment)
    }
    assert greetings == {b"hello\n"}


async def deliver(hook: str, commit: str, secret: str = SECRET, delivery: str = "") -> tuple[int, dict]:
    """Send a push as GitHub does."""
    push = {"ref": "refs/heads/main", "after": commit, "deleted": False, "repository": {"full_name": "acme/shop"}}
    body = json.dumps(push).encode()
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery or commit,
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    async with aiohttp.ClientSession() as session, session.post(hook, data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def told(forge: FakeForge, wanted: tuple[str, ...]) -> None:
    """Wait until the forge has heard something."""
    assert await asyncio.to_thread(wait_until, lambda: wanted in forge.told, 60), forge.told


@pytest.mark.long
async def test_bot_killed_between_offer_and_yes(bot, start_bot, people, shop, push):
    """Nothing is lost, and nothing is posted twice."""
    await push("v1")
    shown = await proposal(people, "New version for dev: v1", "is created")
    await bot.kill()
    await push("v2")
    await start_bot()
    newer = await proposal(people, "New version for dev: v2", "is created", seconds=60)
    assert newer.id == shown.id
    await press(people, "dora", newer, "take")
    await bot.kill()
    await start_bot()
    await proposal(people, "v2 → dev: succeeded", seconds=OUTCOME_SECONDS)
    assert len([message for message in await people.messages("ops") if "PROP-" in message.text]) == 1
    assert list(shop.running("dev")) == ["web"]


@pytest.mark.long
async def test_each_trouble_of_a_registry_has_its_message(bot, people, shop, push, registry, api_port):
    """Two versions at once, a registry that is away, and a tag that moves between the plan and the yes."""
    await asyncio.gather(push("v1"), push("v2"))
    both = await proposal(people, "New version for dev", "It takes the place of", "v1", "v2", "is created")
    assert len([one for one in await people.messages("ops") if "PROP-" in one.text]) == 1

    registry.stop()
    offer = {"environment": "prod", "version": "v3"}
    status, _offered = await ask(f"http://127.0.0.1:{api_port}", "POST", "/v1/proposals", offer, token=TOKEN)
    assert status == 202
    wanted = f"{registry.address}/{IMAGE}:v3 is not on this machine. The registry does not answer as it should"
    away = await proposal(people, "New version for prod: v3", wanted)
    assert button(away, "take") is None
    registry.start()
    await push("v3")
    there = await proposal(people, "New version for prod: v3", "is created", seconds=60)
    assert there.id == away.id
    assert "is not on this machine" not in there.text

    await push("v3", "unhealthy")
    text = await press_refused(people, "dora", there, "take")
    assert "Something changed since this was proposed: an image's tag" in text
    assert shop.containers("prod") == []
    assert both.id != there.id


@pytest.mark.long
async def test_each_trouble_of_a_commit_has_its_message(
    bot, bot_settings, people, shop, push, proxied, forge, server, tmp_path
):
    """A forge that is away, a branch that is force-pushed, a link out of the repository, what the policy refuses."""
    names = ("docker-compose.yml", "config/greeting")
    files, forge.is_away = {name: (shop.folder / name).read_text() for name in names}, True

    async def job(message: str, **changed: str) -> str:
        commit = await asyncio.to_thread(server.commit, files | {"CHANGES": message} | changed, message)
        await push(f"c-{commit[:7]}")
        assert (await deliver(f"{proxied}/v1/hooks/code", commit))[0] == 202
        return commit

    good = await job("Brew coffee")
    shown = await proposal(people, f"New version for staging: c-{good[:7]}", "Brew coffee · Ada", "is created")
    await press(people, "dora", shown, "take")
    await proposal(people, f"c-{good[:7]} → staging: succeeded", seconds=OUTCOME_SECONDS)
    assert forge.told == [], "a forge that is away holds up nothing"
    forge.is_away = False

    await asyncio.to_thread(server.git, "commit", "-q", "--amend", "-m", "Begin again")
    forced = await job("Brew tea")
    await proposal(people, f"New version for staging: c-{forced[:7]}", "The branch was force-pushed.")

    (server.work / "secrets").symlink_to("/etc/shadow")
    linked = await job("Link it")
    await proposal(people, f"c-{linked[:7]} → staging: cannot be deployed", "secrets leads out of the stack's folder")
    for commit, state in ((good, "success"), (linked, "failure")):
        await told(forge, ("commit", commit[:4], "roas/staging", state))
    await asyncio.to_thread((server.work / "secrets").unlink)

    compose = json.loads(files["docker-compose.yml"])
    compose["services"]["web"]["volumes"] = [f"{bot_settings['STATE_DIR']}:/state"]
    refused = await job("Read the journal", **{"docker-compose.yml": json.dumps(compose)})
    await proposal(people, f"c-{refused[:7]} → staging: cannot be deployed", "web binds", "the bot's own or another")
    _code, seen = await roas(bot_settings, "status", "staging")
    assert re.search("last webhook of code, .*: staging: CAND-", seen)
    await told(forge, ("commit", refused[:4], "roas/staging", "failure"))


@pytest.mark.long
async def test_bot_killed_at_any_step_from_a_push_to_its_verdict(
    bot, bot_settings, people, shop, push, api_port, forge, server, tmp_path
):
    """After each sixth write from the candidate on: one proposal, and one deployment, here and at the forge."""
    await bot.stop()
    names, killed = ("docker-compose.yml", "config/greeting"), []
    for step in range(1, 60, 6):
        files = {name: (shop.folder / name).read_text() for name in names} | {"CHANGES": str(step)}
        commit = await asyncio.to_thread(server.commit, files, f"Step {step}")
        await push(version := f"c-{commit[:7]}")
        mortal = BotProcess(bot_settings, tmp_path / f"mortal-{step}.log", "tests.e2e.wire.killable_bot")
        await mortal.start(MORTAL_AFTER=str(step), MORTAL_FROM="candidates")
        taken = asyncio.create_task(take(people, version))
        death = asyncio.create_task(mortal.ended(OUTCOME_SECONDS))
        await asyncio.wait({taken, death}, return_when=asyncio.FIRST_COMPLETED)
        if not taken.done():
            killed.append(step)
            await end_tasks(taken)
            mortal = BotProcess(bot_settings, tmp_path / f"next-{step}.log")
            await mortal.start()
            await take(people, version)
        await told(forge, ("commit", commit[:4], "roas/staging", "success"))
        assert await mortal.stop() == 0, mortal.log.read_text()
        shown = [one for one in await people.messages("ops") if version in one.text and "PROP-" in one.text]
        assert len(shown) == 1, f"killed after {step}: {[one.text for one in shown]}"
        with sqlite3.connect(Path(bot_settings["STATE_DIR"]) / "journal.sqlite3") as journal:
            found = journal.execute(
                "SELECT outcome FROM deployments WHERE document LIKE ?", [f"%{version}%"]
            ).fetchall()
        assert found == [("succeeded",)], f"killed after {step}"
        (created,) = [known for known in forge.deployments if known["ref"] == commit]
        states = [item[-1] for item in forge.told if item[:2] == ("deployment", str(created["id"]))]
        assert len(states) - len(set(states)) <= 1, f"killed after {step}: {states}"  # what it told as it died
        if step not in killed:
            break
    assert len(killed) >= 4, f"only {killed}"
    print(f"killed after {killed}")


async def take(people: SandboxClient, version: str) -> None:
    """Say yes to a proposal as often as it asks, until it says how it ended."""

    def is_ended_or_asks(one: Message) -> bool:
        is_shown = version in one.text and "PROP-" in one.text
        return is_shown and (f"{version} → staging: succeeded" in one.text or button(one, "take") is not None)

    while "succeeded" not in (shown := await people.wait_for_message(is_ended_or_asks, deadline_seconds=120)).text:
        with suppress(ControlError):  # who took the click has died
            await people.click("dora", shown, button(shown, "take"))
        await people.wait_for_message(
            lambda one: version in one.text and (button(one, "take") is None or "succeeded" in one.text),
            deadline_seconds=90,
        )
