"""A CI job offers versions over TCP: by a token or a signed one, within what its source may, and ends as it ended."""

import asyncio
import csv
import hashlib
import io
import json
import os
import re
import secrets
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from testbed.ports import free_port
from tests.e2e.wire.bot_process import ROOT
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.shop import REPOSITORY, SOON_JUDGED
from tests.integration.sandbox.channel import ask as channel_ask
from tests.integration.sandbox.channel import button, outcome, press, start
from tests.unit.candidates.issuer import AUDIENCE, Issuer

pytestmark = pytest.mark.wire

TOKEN = f"roas_{secrets.token_urlsafe(32)}"
HASH = f"sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"
GUIDE = ROOT / "docs" / "how-to" / "connect-ci.md"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Publish keys as a forge does, and give jobs their tokens."""
    port = free_port()
    issuer = Issuer(f"http://127.0.0.1:{port}")

    async def publish(request: web.Request) -> web.Response:
        return web.json_response(issuer.documents()[f"{issuer.address}{request.path}"])

    async def sign(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer of-the-job"
        return web.json_response({"value": issuer.token(aud=request.query["audience"])})

    application = web.Application()
    application.add_routes([web.get("/token", sign), web.get("/{path:.+}", publish)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield issuer
    await runner.cleanup()


@pytest.fixture
def bot_settings(bot_settings: dict[str, str], issuer: Issuer) -> dict[str, str]:
    """Serve the API, to a source with a token and to one whose jobs are signed."""
    state = Path(bot_settings["STATE_DIR"])
    state.mkdir()
    (state / "roas.toml").write_text(
        f"""
[api]
port = {free_port()}
[sources.shop]
environments = {{ dev = "auto", staging = "auto", prod = "propose" }}
actions = ["propose", "deploy"]
token_hash = "{HASH}"
[sources.shop.oidc]
issuer = "{issuer.address}"
audience = "{AUDIENCE}"
claims = {{ repository = "acme/shop", ref = "refs/heads/main" }}
[sources.blog]
environments = {{ dev = "propose" }}
token_hash = "sha256:{"0" * 64}"
"""
    )
    return bot_settings


@pytest.fixture
def url(bot_settings: dict[str, str]) -> str:
    """Return where the API is."""
    text = (Path(bot_settings["STATE_DIR"]) / "roas.toml").read_text()
    port = re.search(r"port = (\d+)", text)
    return f"http://127.0.0.1:{port[1]}"


async def ask(url: str, method: str, path: str, document=None, *, token: str = TOKEN, **headers: str):
    """Ask as a program of one's own would; returns the status and the document."""
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}{path}", json=document, headers=sent) as answer,
    ):
        return answer.status, await answer.json()


async def test_job_deploys_within_what_its_source_may(
    bot, bot_settings, people, shop, image_ids, url, issuer, docker_client, long_lane
):
    shop.write(alone=True)
    await token_deploys_and_follows(bot_settings, people, shop, image_ids, url)
    await signed_job_deploys(shop, image_ids, url, issuer)
    await record_names_source_and_commit(bot_settings)
    await new_power_waits_for_a_person(shop, image_ids, url)
    await same_key_asks_once(url)
    await refusals_have_their_status(url, issuer)
    await bad_version_ends_the_job_as_rolled_back_and_is_held(people, shop, image_ids, url)
    await everything_is_described(url)
    if not long_lane:
        return
    docker_client.images.get(image_ids["v2"]).tag(REPOSITORY, "v4")
    await rollback_by_hand_keeps_automation_out(people, shop, image_ids, url)
    docker_client.images.remove(f"{REPOSITORY}:v4")


async def remote(url: str, *arguments: str, **environment: str) -> tuple[int, str]:
    return await roas({"ROAS_URL": url, **environment}, "remote", *arguments)


async def token_deploys_and_follows(bot_settings, people, shop, image_ids, url):
    code, said = await remote(url, "deploy", "dev", "v1", "--wait", "--reason", "from a job", ROAS_TOKEN=TOKEN)
    assert code == 0, said
    assert re.search(r"execution +success after ", said), said
    assert "It succeeded." in said
    assert shop.running("dev") == {"web": image_ids["v1"]}
    code, said = await roas(bot_settings, "history", "dev", "--json")
    deployment = json.loads(said)["deployments"][0]
    assert deployment["request"]["requested_by"] == {"kind": "source", "id": "shop", "name": "shop"}
    assert "succeeded" in (await outcome(people, deployment["id"])).text
    for waits in ((), ("--wait",)):
        code, said = await remote(url, "deploy", "dev", "v1", *waits, ROAS_TOKEN=TOKEN)
        assert (code, "runs already" in said) == (0, True), said


async def signed_job_deploys(shop, image_ids, url, issuer):
    job = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.address}/token?v=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_SHA": "c" * 40,
        "GITHUB_RUN_ID": "17",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "deploy",
    }
    code, said = await remote(url, "deploy", "dev", "v2", "--wait", "--audience", AUDIENCE, **job)
    assert code == 0, said
    assert shop.running("dev") == {"web": image_ids["v2"]}
    code, said = await remote(url, "deploy", "dev", "v2", "--wait", "--audience", "https://elsewhere", **job)
    assert (code, "audience" in said) == (6, True), said
    assert "ROAS_TOKEN" in (await remote(url, "deploy", "dev", "v2"))[1]
    # GitLab's `id_tokens` hand a job its signed token ready made.
    code, said = await remote(url, "deploy", "dev", "v2", "--wait", ROAS_TOKEN=issuer.token())
    assert (code, "runs already" in said) == (0, True), said
    assert (await remote(url, "deploy", "dev", "v2", ROAS_TOKEN=issuer.token(ref="refs/heads/feature")))[0] == 6


async def record_names_source_and_commit(bot_settings):
    code, said = await roas(bot_settings, "history", "dev", "--format", "json")
    newest, *_ = json.loads(said)["deployments"]
    assert (code, newest["version"], newest["source"], newest["commit"]) == (0, "v2", "shop", "c" * 40)
    assert (newest["requested_by"], newest["approved_by"], newest["repository"]) == ("shop", "", "acme/shop")
    code, said = await roas(bot_settings, "history", "dev", "--format", "csv")
    (row, *_) = csv.DictReader(io.StringIO(said))
    assert {name: row[name] for name in ("version", "source", "commit", "plan")} == {
        name: newest[name] for name in ("version", "source", "commit", "plan")
    }


async def rollback_by_hand_keeps_automation_out(people, shop, image_ids, url):
    """What a person left stays out, and what is newer is proposed, until it is taken."""
    shop.write(alone=True)
    await outcome(people, await start(people, "dora", "rollback", environment="dev"))
    assert "nothing is deployed by itself" in await channel_ask(people, "bob", "status", environment="dev")
    code, said = await remote(url, "deploy", "dev", "v2", "--wait", ROAS_TOKEN=TOKEN)
    assert (code, "on hold" in said) == (5, True), said
    _, seen = await ask(url, "POST", "/v1/deployments", {"environment": "dev", "version": "v4"})
    while seen["state"] in {"new", "waiting"}:
        _, seen = await ask(url, "GET", f"/v1/deployments/{seen['id']}?wait=10&seen={seen['revision']}")
    assert (seen["state"], "was rolled back by hand" in seen["note"]) == ("proposed", True), seen
    assert shop.running("dev") == {"web": image_ids["v1"]}
    shown = await people.wait_for_message(lambda one: "v4" in one.text and button(one, "take") is not None)
    await press(people, "dora", shown, "take")
    await people.wait_for_message(lambda one: "v4 → dev: succeeded" in one.text, deadline_seconds=90)
    assert "nothing is deployed by itself" not in await channel_ask(people, "bob", "status", environment="dev")
    code, said = await remote(url, "deploy", "dev", "v1", "--wait", ROAS_TOKEN=TOKEN)
    assert code == 0, "it goes on by itself"


async def new_power_waits_for_a_person(shop, image_ids, url):
    """What a job offers gives a stack nothing: its deployment becomes a proposal."""
    shop.write(alone=True, web={"pid": "host"})
    _, seen = await ask(url, "POST", "/v1/deployments", {"environment": "dev", "version": "v1"})
    while seen["state"] in {"new", "waiting"}:
        _, seen = await ask(url, "GET", f"/v1/deployments/{seen['id']}?wait=10&seen={seen['revision']}")
    assert (seen["state"], "powers" in seen["note"]) == ("proposed", True), seen
    assert shop.running("dev") == {"web": image_ids["v2"]}
    await followed_until_it_is_told_to_end(url, seen["id"])
    shop.write(alone=True)


async def followed_until_it_is_told_to_end(url, offer_id):
    """The first process of a container has to handle SIGTERM itself."""
    command = (sys.executable, "-m", "roas", "remote", "status", offer_id, "--wait")
    own = os.environ | {"ROAS_URL": url, "ROAS_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    job = await asyncio.create_subprocess_exec(*command, env=own, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert job.stdout is not None
    assert b"proposed in the channel" in await job.stdout.readline()
    job.terminate()
    assert await asyncio.wait_for(job.wait(), 20) == 130


async def same_key_asks_once(url):
    key = {"Idempotency-Key": secrets.token_hex()}
    offer = {"environment": "dev", "version": "v2"}
    first = await ask(url, "POST", "/v1/deployments", offer, **key)
    again = await ask(url, "POST", "/v1/deployments", offer, **key)
    assert (first[0], first[1]["id"]) == (202, again[1]["id"])
    status, said = await ask(url, "POST", "/v1/deployments", offer | {"version": "v4"}, **key)
    assert (status, said["key"]) == (409, "key_reused")


async def refusals_have_their_status(url, issuer):
    offer = {"environment": "dev", "version": "v2"}
    for token in ("", "roas_wrong", issuer.token(repository="acme/fork"), TOKEN[:-1]):
        assert (await ask(url, "POST", "/v1/deployments", offer, token=token))[0] == 401
    for environment in ("moon", "home"):
        assert (await ask(url, "POST", "/v1/deployments", offer | {"environment": environment}))[0] == 403
    for wrong in ({"environment": "dev"}, offer | {"version": "-rf"}, offer | {"approved_by": "me"}, [], "x", None):
        status, said = await ask(url, "POST", "/v1/deployments", wrong)
        assert (status, said["key"]) == (422, "invalid_request"), wrong
    assert (await ask(url, "GET", "/v1/deployments/CAND-NONE"))[0] == 404
    for path in ("/v1/plans", "/v1/greeting", "/v1/status", "/v1/deployments/x/cancellation", "/metrics"):
        assert (await ask(url, "POST", path, {}))[0] in {404, 405}, "the control socket's routes are not here"
    too_large = offer | {"reason": "x" * 100_000}
    assert (await ask(url, "POST", "/v1/deployments", too_large))[0] == 413


async def bad_version_ends_the_job_as_rolled_back_and_is_held(people, shop, image_ids, url):
    shop.write(alone=True, web=SOON_JUDGED)
    code, said = await remote(url, "deploy", "dev", "v3", "--wait", ROAS_TOKEN=TOKEN)
    assert (code, "rolled back" in said) == (3, True), said
    assert shop.running("dev") == {"web": image_ids["v2"]}
    code, said = await remote(url, "deploy", "dev", "v3", "--wait", ROAS_TOKEN=TOKEN)
    assert (code, "on hold" in said) == (5, True), said
    shop.write(alone=True, web=SOON_JUDGED | {"labels": {"mended": "half"}})
    code, said = await remote(url, "deploy", "dev", "v3", "--wait", ROAS_TOKEN=TOKEN)
    assert (code, "rolled back" in said) == (3, True), "other files of the same version are newer"
    status, said = await ask(url, "GET", "/v1/environments")
    views = {view["name"]: view for view in said["environments"]}
    assert (status, views["dev"]["version"], views["dev"]["holds"]) == (200, "v2", ["v3"])
    assert views["prod"]["mode"] == "propose"


async def everything_is_described(url):
    status, document = await ask(url, "GET", "/v1/openapi.json", token="")
    assert status == 200
    routes = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert ("/v1/deployments", "post") in routes
    assert document["components"]["schemas"]["Offer"]["additionalProperties"] is False
    assert not [path for path, _method in routes if re.search("approv|confirm|decision|cancel|grant", path)]


@pytest.mark.long
async def test_commands_of_the_guide_work(bot, shop, image_ids, url, issuer):
    """Each workflow's own commands, with what its CI sets."""
    shop.write(alone=True)
    runs = [line for block in guide_blocks("yaml") for line in commands_in(block) if line.startswith("roas ")]
    assert len(runs) == 4
    for number, line in enumerate(dict.fromkeys(runs)):
        words = shlex.split(line.replace("sha-$GITHUB_SHA", "v1").replace("sha-$CI_COMMIT_SHA", "v2"))[2:]
        code, said = await remote(url, *words, ROAS_TOKEN=TOKEN, GITHUB_RUN_ID=str(number))
        assert code == 0, (line, said)
    assert shop.running("staging") == {"web": image_ids["v2"]}
    answers = [json.loads(await typed(line, url)) for line in curl_lines()]
    assert ["/v1/deployments" in answer.get("paths", ()) for answer in answers] == [True, True, False, False]
    assert {"dev", "staging", "prod"} <= {view["name"] for view in answers[2]["environments"]}
    assert answers[3]["id"].startswith("CAND-")


def curl_lines() -> list[str]:
    """Return what the guide asks by curl, from its sentences and then from its blocks."""
    blocks = "".join(guide_blocks("sh")).replace("\\\n", " ")
    return re.findall(r"`(curl [^`]+)`", GUIDE.read_text()) + re.findall(r"^curl .*", blocks, re.MULTILINE)


async def typed(line: str, url: str) -> bytes:
    """Type a line of the guide where the API is at another address."""
    words = re.sub(r"https://roas\.example\.org|http://127\.0\.0\.1:8081", url, line)
    own = os.environ | {"ROAS_URL": url, "ROAS_TOKEN": TOKEN}
    shell = await asyncio.create_subprocess_shell(f"{words} --silent", env=own, stdout=asyncio.subprocess.PIPE)
    output, _errors = await shell.communicate()
    assert shell.returncode == 0, line
    return output


def guide_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def commands_in(block: str) -> list[str]:
    """Return the commands of a workflow, whichever CI's it is."""
    found: list[str] = []
    for job in (yaml.safe_load(block).get("jobs") or yaml.safe_load(block)).values():
        found += job.get("script", []) + [step["run"] for step in job.get("steps", []) if "run" in step]
    return found
