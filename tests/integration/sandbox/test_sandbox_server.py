"""Who gets in, and the sandbox as a process of its own."""

from __future__ import annotations

import io
import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import discord
import pytest

from sandbox.client import SandboxClient
from sandbox.errors import ControlError
from sandbox.server import Sandbox
from tests.integration.sandbox.small_bot import DEADLINE, SmallBot

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "8.8.8.8", "2001:4860:4860::8888", "example.org"])  # noqa: S104
def test_public_address_not_bound(host: str) -> None:
    with pytest.raises(ValueError, match="binds to"):
        Sandbox(host=host)


def test_missing_openapi_file_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="DISCORD_OPENAPI"):
        Sandbox(openapi=tmp_path / "none.json")


async def test_control_api_needs_token(sandbox: Sandbox) -> None:
    async with SandboxClient(sandbox.control_url, "wrong") as stranger:
        with pytest.raises(ControlError, match="401"):
            await stranger.state()


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_foreign_origin_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    allowed = {"Authorization": f"Bearer {sandbox.control_token}", **headers}
    async with aiohttp.ClientSession() as session:
        for url in (f"{sandbox.control_url}/state", sandbox.page_url):
            async with session.get(url, headers=allowed) as response:
                assert response.status == 403


async def test_page_needs_token(sandbox: Sandbox) -> None:
    base = sandbox.page_url.split("?")[0]
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(base) as response:
            assert response.status == 401
        async with session.get(f"{base}?token=wrong") as response:
            assert response.status == 401
        async with session.get(sandbox.page_url) as response:
            assert response.status == 200
            assert str(response.url) == base
            assert "script-src 'self'" in response.headers["Content-Security-Policy"]
            assert "<discord-messages" in await response.text()
        for name in ("page.js", "page.css", "vendor/discord-components.js"):
            async with session.get(f"{base}page/{name}") as response:
                assert response.status == 200
        async with session.get(f"{base}page/..%2fserver.py") as response:
            assert response.status == 404


async def test_page_cookie_works_only_from_page(sandbox: Sandbox) -> None:
    origin = sandbox.page_url.split("/?")[0]
    jar = aiohttp.CookieJar(unsafe=True)
    locale = {"user": "bob", "locale": "de"}
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        await session.get(sandbox.page_url)
        async with session.post(f"{sandbox.control_url}/locale", json=locale) as response:
            assert response.status == 403
        async with session.post(f"{sandbox.control_url}/locale", json=locale, headers={"Origin": origin}) as response:
            assert response.status == 200


async def test_file_needs_signed_url_or_token(bot: SmallBot, sandbox: Sandbox) -> None:
    sent = await bot.ops.send(file=discord.File(io.BytesIO(b"secret log\n"), "a log.txt"))
    whole = sent.attachments[0].url
    bare = whole.partition("?")[0]
    bearer = {"Authorization": f"Bearer {sandbox.control_token}"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        for url, headers, status in (
            (whole, {}, 200),
            (bare, bearer, 200),
            (bare, {}, 401),
            (f"{bare}?hm={'0' * 64}", {}, 401),
            (whole, {"Host": "evil.example"}, 403),
            (whole, {"Origin": "http://evil.example"}, 403),
            (bare.replace("/attachments/", "/attachments/1"), {}, 401),
        ):
            async with session.get(url, headers=headers) as response:
                assert response.status == status, (url, headers)
        await session.get(sandbox.page_url)
        async with session.get(bare) as response:
            assert await response.text() == "secret log\n"


async def test_changes_streamed(sandbox: Sandbox, people: SandboxClient) -> None:
    headers = {"Authorization": f"Bearer {sandbox.control_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{sandbox.control_url}/events", headers=headers) as stream,
    ):
        assert stream.content_type == "text/event-stream"
        first = await stream.content.readuntil(b"\n\n")
        await people.set_roles("bob", "alert")
        second = await stream.content.readuntil(b"\n\n")
    assert json.loads(second.removeprefix(b"data: "))["version"] > json.loads(first.removeprefix(b"data: "))["version"]


async def test_control_errors_reported(people: SandboxClient) -> None:
    with pytest.raises(ControlError, match="no user 'nobody'; there are dora, anna"):
        await people.messages(as_user="nobody")
    with pytest.raises(ControlError, match="no channel"):
        await people.messages(channel="nowhere")
    with pytest.raises(ControlError, match="no message 1"):
        await people.delete_message(1)
    with pytest.raises(ControlError, match="already a channel"):
        await people.create_channel("ops")
    with pytest.raises(ControlError, match="no role"):
        await people.set_roles("bob", "king")
    with pytest.raises(ControlError, match="no interaction 1"):
        await people.answer(1)
    with pytest.raises(ControlError, match="supports"):
        await people.set_locale("bob", "xx")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_prints_address_and_exits_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "sandbox", "--ready-file", str(ready)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert json.loads(ready.read_text()) == told
            assert stat.S_IMODE(ready.stat().st_mode) == 0o600
            assert set(told["roles"]) == {"deployer", "approver", "hotfix", "alert"}
            assert told["bot_token"].count(".") == 2
            process.send_signal(number)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def test_process_refuses_public_address() -> None:
    command = [sys.executable, "-m", "sandbox", "--host", "0.0.0.0"]  # noqa: S104
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2
    assert "loopback" in done.stderr
