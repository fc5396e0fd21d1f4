"""Secrets of thirty shapes, planted wherever a stack has any, show up nowhere outside."""

import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import redis.asyncio

from sandbox.views import Message
from testbed.redis_server import RedisServer
from testbed.sample import CHECK
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.test_alerts import delivery, shown
from tests.integration.sandbox.channel import ANSWER_SECONDS, ask, outcome, start

pytestmark = pytest.mark.wire

WEBHOOK = "webhook-token-of-the-tests-77"
LETTERS, HEX, DIGITS = "aB3dE6gH9jK2mN5pQ8rS" * 8, "0f1e2d3c4b5a6978" * 8, "1234567890" * 3
# Known by the name of the variable that holds each; the last are known by their place alone.
NAMED = {
    "DB_PASSWORD": "Zk-planted-password-01",
    "SMTP_PASS": "Zk/planted+pass=02",
    "API_TOKEN": "Zkplantedtoken03Q",
    "SIGNING_SECRET": "Zk planted secret 04",
    "SSH_KEY": "Zk\\planted%41key'05",
    "GCP_CREDENTIALS": '{"type": "x", "key": "Zk-planted-credentials-06"}',
    "SENTRY_DSN": "https://zkplanteddsn07@sentry.invalid/7",
    "DATABASE_URL": "postgres://app:Zk-planted-url-08@db/app",
    "SECRET_KEY_BASE": "Zkplantedbase09Zk",
    "PGPASSWORD": "Zk-plänted-10",
}
FILED = {"of_a_file": "Zk-planted-file-11", "of_lines": "Zk-planted-line-12a\nZk-planted-line-12b\n"}
SETTING = "Zk-planted-setting-13"
# Known by nothing but their shape: a program prints them.
SHAPED = {
    "AWS": "AKIA" + "ABCDEFGH234567QR",
    "Discord bot": f"M{LETTERS[:24]}.{LETTERS[:6]}.{LETTERS[:38]}",
    "Discord webhook": f"https://discord.com/api/webhooks/{DIGITS[:18]}/{LETTERS[:60]}",
    "Docker": f"dckr_pat_{LETTERS[:27]}",
    "GitHub": f"ghp_{LETTERS[:36]}",
    "GitHub, fine-grained": f"github_pat_{LETTERS[:82]}",
    "GitLab": f"glpat-{LETTERS[:20]}",
    "Google": f"AIza{LETTERS[:35]}",
    "JWT": f"eyJ{LETTERS[:20]}.eyJ{LETTERS[:30]}.{LETTERS[:43]}",
    "npm": f"npm_{LETTERS[:36]}",
    "PyPI": f"pypi-AgEIcHlwaS5vcmc{LETTERS[:60]}",
    "SendGrid": f"SG.{LETTERS[:22]}.{LETTERS[:43]}",
    "Slack": f"xoxb-{DIGITS[:12]}-{DIGITS[:12]}-{LETTERS[:24]}",
    "Stripe": f"sk_live_{LETTERS[:24]}",
    "Telegram": f"{DIGITS[:10]}:AA{LETTERS[:33]}",
    "Vault": f"hvs.{LETTERS[:90]}",
    "bearer": f"Authorization: Bearer {LETTERS[5:45]}",
}


def _traces() -> dict[str, str]:
    """Return what may be seen of none of them: as they are, or as others encode them."""
    inner = {
        **NAMED,
        "GCP_CREDENTIALS": "Zk-planted-credentials-06",
        "SENTRY_DSN": "zkplanteddsn07",
        "DATABASE_URL": "Zk-planted-url-08",
        "of_a_file": FILED["of_a_file"],
        "first line": "Zk-planted-line-12a",
        "second line": "Zk-planted-line-12b",
        "setting": SETTING,
        "webhook token": WEBHOOK,
    }
    traces = dict(inner)
    for name, value in inner.items():
        raw = value.encode()
        traces |= {
            f"{name} in base64": base64.b64encode(raw).decode()[:-4],
            f"{name} in hexadecimal": raw.hex(),
            f"{name} in a URL": quote(value, safe=""),
            f"{name} in JSON": json.dumps(value)[1:-1],
        }
    # Of a token, a part of it is enough.
    return traces | {name: value[-24:-4] for name, value in SHAPED.items()} | {"AWS": SHAPED["AWS"]}


TRACES = _traces()
COMMANDS = ("status --json", "history --export -", "events", "doctor dev --json")
SHOW = "cat /config/printed; cat /run/secrets/*"
FAILING = {**CHECK, "start_interval": "500ms", "test": ["CMD-SHELL", f"{SHOW}; env; exit 1"]}


def _printed() -> str:
    """Return what the program prints: each as it is, encoded, split by colours and by what nobody sees."""
    lines = [f"{name} is {value}" for name, value in SHAPED.items()]
    for name, value in {**NAMED, **FILED}.items():
        plain = value.strip().replace("\n", " ")
        lines += [
            f"got {plain}",
            f"base64 {base64.b64encode(b'u:' + plain.encode()).decode()}",
            f"hexadecimal {plain.encode().hex()}",
            f"url ?x={quote(plain, safe='')}&y",
            json.dumps({name.lower(): plain}),
            "split " + "\u200b".join(plain),
            "coloured " + "\x1b[31m".join(plain),
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def bot_settings(bot_settings, redis_server, http_port):
    return {
        **bot_settings,
        "REDIS_URL": redis_server.url,
        "HTTP_PORT": str(http_port),
        "WEBHOOK_TOKEN": WEBHOOK,
        "ROAS_ENVIRONMENTS__DEV__VARIABLES": json.dumps({"OF_THE_SETTINGS_PASS": SETTING}),
    }


@pytest.fixture
def planted(shop) -> dict[str, Any]:
    """Plant all of it in a stack: env files, secrets, labels, a log that has it all. Returns the compose file."""
    env = "".join(f"{name}={json.dumps(value, ensure_ascii=False)}\n" for name, value in NAMED.items())
    shop.write(alone=True)
    (shop.folder / ".env").write_text(env)
    for name, value in FILED.items():
        (shop.folder / name).write_text(value)
    (shop.folder / "config" / "printed").write_text(_printed())
    model = json.loads((shop.folder / "docker-compose.yml").read_text())
    model["services"]["web"] |= {
        "env_file": [".env"],
        "environment": {"PASSED_ON_PASS": SETTING},
        "labels": {"roas.password": NAMED["DB_PASSWORD"], "of": NAMED["API_TOKEN"]},
        "secrets": sorted(FILED),
        "command": ["sh", "-c", f"{SHOW}; exec /serve"],
    }
    model["secrets"] = {name: {"file": f"./{name}"} for name in FILED}
    _write(shop, model)
    return model


def _write(shop, model: dict[str, Any]) -> None:
    (shop.folder / "docker-compose.yml").write_text(json.dumps(model))


async def _attached(session: aiohttp.ClientSession, messages: list[Message]) -> AsyncIterator[tuple[str, str]]:
    for message in messages:
        yield f"message {message.id}", json.dumps([message.content, message.embeds, message.components], default=str)
        yield f"message {message.id}, read", message.text
        for attachment in message.attachments:
            yield f"attachment {attachment['filename']}", json.dumps(attachment)
            async with session.get(attachment["url"]) as answer:
                yield f"attachment {attachment['filename']}", (await answer.read()).decode(errors="replace")


async def _in_redis(server: RedisServer) -> str:
    client = redis.asyncio.Redis.from_url(server.url, decode_responses=True)
    found: list[object] = []
    async for key in client.scan_iter():
        kind = await client.type(key)
        found += [key, await (client.hgetall(key) if kind == "hash" else client.xrange(key))]
    await client.aclose()
    assert len(found) > 4
    return json.dumps(found, ensure_ascii=False)


def _files(state: Path) -> Iterator[tuple[str, str]]:
    """Yield every file of the bot but models and contents, of which containers are made."""
    for path in sorted(state.rglob("*")):
        if path.is_file() and path.relative_to(state).parts[0] not in {"models", "contents"}:
            yield str(path.relative_to(state)), path.read_bytes().decode(errors="replace")
    with sqlite3.connect(state / "journal.sqlite3") as journal:
        yield "journal", "\n".join(journal.iterdump())


async def test_planted_secrets_show_nowhere(
    planted, bot, bot_settings, people, shop, redis_server, http_port, tmp_path
):
    said: list[tuple[str, str]] = []
    well = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "succeeded" in well.text
    asked = await people.slash("dora", "logs", service="web", environment="dev")
    logs = (await people.answer(asked, deadline_seconds=ANSWER_SECONDS)).message
    assert logs is not None
    assert logs.attachments
    web = planted["services"]["web"]
    _write(shop, planted | {"services": planted["services"] | {"web": web | {"healthcheck": FAILING}}})
    failed = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "succeeded" not in failed.text
    assert failed.attachments
    # A file in which Compose finds something wrong, and quotes it.
    _write(shop, planted | {"services": planted["services"] | {"web": web | {"mem_limit": "${DB_PASSWORD}"}}})
    said.append(("answer", await ask(people, "dora", "deploy", environment="dev", version="v2")))
    code, text = await roas(bot_settings, "deploy", "dev", "v2", "--dry-run")
    assert code != 0
    said.append(("roas deploy", text))
    _write(shop, planted)
    everything = " ".join((*SHAPED.values(), *NAMED.values()))[:1400]
    alert = {
        "status": "firing",
        "labels": {"alertname": f"leak {SHAPED['GitHub']}", "severity": "critical", "token": NAMED["API_TOKEN"]},
        "annotations": {"summary": everything, "description": f"of {NAMED['DB_PASSWORD']} {SHAPED['Slack']}"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": NAMED["DB_PASSWORD"],
    }
    async with aiohttp.ClientSession() as session:
        address, headers = f"http://127.0.0.1:{http_port}", {"Authorization": f"Bearer {WEBHOOK}"}
        async with session.post(f"{address}/alerts", json=delivery(alert), headers=headers) as answer:
            assert answer.status == 200
        await shown(people, "leak")
        said.append(("answer", await ask(people, "dora", "status", environment="dev")))
        for command in COMMANDS:
            _, text = await roas(bot_settings, *command.split())
            said.append((f"roas {command}", text))
        for page in ("metrics", "ready", "health"):
            async with session.get(f"{address}/{page}") as answer:
                said.append((page, await answer.text()))
        messages = [*await people.messages(as_user="dora"), logs]
        said += [item async for item in _attached(session, messages)]
    said.append(("Redis", await _in_redis(redis_server)))
    said += _files(tmp_path / "state")
    said.append(("log", bot.log.read_text()))
    found = [f"{name} in {place}" for place, text in said for name, trace in TRACES.items() if trace in text]
    assert found == []
    # Nothing was found since it was hidden, and not since nothing was said.
    assert {"attachment", "message", "roas", "log", "Redis", "journal"} <= {place.split()[0] for place, _ in said}
    assert "\n".join(text for _, text in said).count("[redacted]") > 100
