"""`POST /alerts` answers whatever is sent: it takes what is right, and says why it refuses, and never breaks."""

import asyncio
import errno
import gzip
import hmac
import json
import re
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from roas.alerts.alert_service import AlertService
from roas.errors import StateError
from roas.events import EventBus
from roas.http import webhook
from roas.http.webhook import LARGEST_BODY, AlertWebhook
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.redaction import Redactor
from roas.state.manager import StateManager
from tests.unit.http.test_webhook_formats import GRAFANA

TOKEN = "a token that only the tests know"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
FIRING = {"status": "firing", "labels": {"alertname": "DiskFull"}, "startsAt": "2026-01-01T00:00:00Z"}

Client = TestClient[web.Request, web.Application]


class Scene:
    """Answer at /alerts; `active` and `alert_service` are what a test makes of them."""

    def __init__(self, state: StateManager, client: Client, alert_service: AlertService) -> None:
        self.state, self.client, self.alert_service, self.active = state, client, alert_service, True

    async def post(self, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.client.post("/alerts", headers=RIGHT if headers is None else headers, **sent) as answer:
            return answer.status, await answer.json()

    async def raw(self, headers: dict[str, str], body: bytes) -> bytes:
        """Send what no decent client would, and return the first line of the answer."""
        sent = {"Host": "x", **RIGHT, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.client.port)
        writer.write(f"POST /alerts HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        async with asyncio.timeout(10):
            line = await reader.readline()
        writer.close()
        return line


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    async with StateManager(folder) as state:
        bus = EventBus()
        alert_service = AlertService(state.alerts, bus)

        async def services() -> dict[str, list[str]]:
            return {"dev": ["web"]}

        application = web.Application()
        hook = AlertWebhook(TOKEN, alert_service, services, lambda: scene.active)
        application.add_routes([web.post("/alerts", hook.answer)])
        async with TestClient(TestServer(application)) as client:
            scene = Scene(state, client, alert_service)
            yield scene
        await bus.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "state") as scene:
        yield scene


def delivery(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "alerts": list(alerts), **more}


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=40),
    lambda part: some.lists(part, max_size=4) | some.dictionaries(some.text(max_size=12), part, max_size=4),
    max_leaves=12,
)
text = some.text(max_size=60)
alert_like = some.fixed_dictionaries(
    {},
    optional={
        "status": some.sampled_from(["firing", "resolved"]) | anything,
        "labels": some.dictionaries(some.sampled_from(["alertname", "severity", "service", "env"]) | text, text)
        | anything,
        "annotations": some.dictionaries(text, text) | anything,
        "startsAt": text | anything,
        "fingerprint": text | anything,
    },
)
labels = some.dictionaries(some.sampled_from(["alertname", "severity", "service", "env"]) | text, text, max_size=4)
hostile = some.fixed_dictionaries(
    {
        "version": text,
        "alerts": some.lists(
            some.fixed_dictionaries(
                {
                    "status": some.sampled_from(["firing", "resolved"]),
                    "labels": labels,
                    "annotations": labels,
                    "startsAt": text,
                    "fingerprint": text,
                }
            ),
            max_size=4,
        ),
    },
    optional={"truncatedAlerts": some.integers(), "orgId": some.integers(), "groupKey": text},
)
delivery_like = some.fixed_dictionaries(
    {},
    optional={
        "version": some.sampled_from(["4", "1"]) | anything,
        "alerts": some.lists(alert_like, max_size=5) | anything,
        "groupKey": text | anything,
        "truncatedAlerts": some.integers() | anything,
        "orgId": some.integers() | anything,
    },
)


async def test_no_body_breaks_webhook(tmp_path: Path) -> None:
    async with opened(tmp_path / "state") as scene:
        seen: dict[int, int] = {}

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
        @given(some.binary(max_size=200) | (hostile | delivery_like | anything).map(json.dumps).map(str.encode))
        @example(b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"\\ud800"}}]}')
        @example(b'{"version":"4","alerts":[{"status":"firing","fingerprint":"\\u0000","startsAt":"\\udfff"}]}')
        @example(b'{"version":"4","truncatedAlerts":1e400,"alerts":[]}')
        @example(b"[" * 100_000)
        def check(body: bytes) -> None:
            bodies.append(body)

        bodies: list[bytes] = []
        check()
        for body in bodies:
            status, answer = await scene.post(body)
            assert status in {200, 400}, (status, body)
            assert status == 200 or answer["error"]
            seen[status] = seen.get(status, 0) + 1
        assert min(seen.values()) > 8
        assert len(seen) == 2, "both kinds were tried"


async def test_wrong_token_answers_alike(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wrong token is compared in constant time, and gets the same answer."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(sent: bytes, kept: bytes) -> bool:
        compared.append((sent, kept))
        return hmac.compare_digest(sent, kept)

    monkeypatch.setattr(webhook, "hmac", type("constant_time", (), {"compare_digest": staticmethod(compare)}))
    wrong = ["", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer \u00fc"]
    answers = [await scene.post(delivery(FIRING), {"Authorization": header}) for header in wrong]
    assert {status for status, _ in answers} == {401}
    assert len({answer["error"] for _, answer in answers}) == 1
    assert len(compared) == len(wrong), "whatever is sent is compared, and in constant time"
    assert await scene.state.alerts.all() == ()
    assert (await scene.post(delivery(FIRING), {"Authorization": f"bearer {TOKEN}"}))[0] == 200


async def test_oversized_body_refused_early(scene: Scene) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    async with scene.client.post("/alerts", headers=RIGHT, data=endless()) as answer:
        assert (answer.status, "bytes at most" in (await answer.json())["error"]) == (413, True)
    status, answer = await scene.post(b" " * (LARGEST_BODY + 1))
    assert (status, "bytes at most" in answer["error"]) == (413, True)
    assert (await scene.post(delivery(*[FIRING] * 5001)))[0] == 400


async def test_compressed_body_decoded(scene: Scene) -> None:
    bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = json.dumps(delivery(FIRING)).encode()
    packed = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "DEFLATE": bare.compress(body) + bare.flush(),
    }
    for encoding, sent in packed.items():
        status, answer = await scene.post(sent, RIGHT | {"Content-Encoding": encoding})
        assert (status, answer["received"]) == (200, 1), encoding


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip", "br", "zstd"])
async def test_wrongly_encoded_body_refused(scene: Scene, encoding: str) -> None:
    body = json.dumps(delivery(FIRING)).encode()
    broken = {"no such thing": b"x" + body, "cut": b"\x78\x9c\x03", "followed by more": gzip.compress(body) + b"more"}
    for name, sent in broken.items():
        async with scene.client.post("/alerts", headers=RIGHT | {"Content-Encoding": encoding}, data=sent) as answer:
            assert (answer.status, bool(await answer.text())) == (400, True), name
    assert await scene.state.alerts.all() == ()
    assert (await scene.post(delivery(FIRING)))[1]["triggered"] == 1


async def test_decompression_bomb_refused_midway(scene: Scene) -> None:
    bomb = gzip.compress(b" " * (LARGEST_BODY * 16))
    assert len(bomb) < LARGEST_BODY // 50
    tracemalloc.start()
    status, answer = await scene.post(bomb, RIGHT | {"Content-Encoding": "gzip"})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, "bytes at most" in answer["error"]) == (413, True)
    assert most < LARGEST_BODY * 4


async def test_endless_body_times_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PATIENCE_SECONDS", 0.05)
    assert b" 408 " in await scene.raw({"Transfer-Encoding": "chunked"}, b"5\r\n[1,2,\r\n")


async def test_odd_headers_break_nothing(scene: Scene) -> None:
    body = json.dumps(delivery(FIRING)).encode()
    sized = {"Content-Length": str(len(body))}
    taken = [
        {"Content-Type": "application/json; charset=klingon"},
        {"Content-Type": "\xff;;;="},
        {"Content-Type": "multipart/form-data"},
        {"Content-Encoding": "klingon"},
        {"Accept-Encoding": "\xff"},
        {"Cookie": "=;=\xff"},
        {"X-Forwarded-For": "x" * 4000},
    ]
    for headers in taken:
        assert b" 200 " in await scene.raw(sized | headers, body), headers
    refused = [
        {"Content-Length": "-5"},
        {"Content-Length": "5x"},
        sized | {"Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "klingon"},
        sized | {"Expect": "klingon"},
        sized | {"X": "x" * 100_000},
        sized | {"Authorization": "Bearer \xff\xfe"},
    ]
    for headers in refused:
        assert re.match(rb"HTTP/1.[01] 4\d\d ", await scene.raw(headers, body)), headers


async def test_grafana_alert_taken_and_resolved(scene: Scene) -> None:
    firing = GRAFANA | {"status": "firing", "alerts": [item | {"status": "firing"} for item in GRAFANA["alerts"]]}
    assert (await scene.post(firing))[1] == {"received": 1, "triggered": 1, "resolved": 0}
    (alert,) = await scene.state.alerts.open()
    assert (alert.source, alert.title) == (AlertSource.GRAFANA, "Slow")
    assert (await scene.post(GRAFANA))[1] == {"received": 1, "triggered": 0, "resolved": 1}
    assert await scene.state.alerts.open() == ()


async def test_redelivered_old_occurrence_ignored(scene: Scene) -> None:
    """It neither ends nor raises an alert."""
    ended = FIRING | {"status": "resolved", "endsAt": "2026-01-01T00:05:00Z"}
    later = FIRING | {"startsAt": "2026-01-01T01:00:00Z"}
    for item in (FIRING, ended, later, ended):
        await scene.post(delivery(item))
    assert [alert.occurrence for alert in await scene.state.alerts.open()] == [later["startsAt"]]
    await scene.post(delivery(later | {"status": "resolved", "endsAt": "2026-01-01T01:05:00Z"}))
    assert (await scene.post(delivery(FIRING)))[1]["triggered"] == 0
    assert await scene.state.alerts.open() == ()


async def test_standby_asks_for_redelivery(scene: Scene) -> None:
    scene.active = False
    status, answer = await scene.post(delivery(FIRING))
    assert (status, "on standby" in answer["error"]) == (503, True)
    assert await scene.state.alerts.all() == ()
    scene.active = True
    assert (await scene.post(delivery(FIRING)))[1]["triggered"] == 1


async def test_journal_refusal_asks_for_redelivery(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for fault, told in (
        (StateError("no room"), "no room; try again"),
        (ValueError("nobody thought of it"), "the delivery could not be processed; try again"),
        (OSError(errno.EMFILE, "Too many open files"), "Out of open files for the moment"),
    ):

        async def refuse(*_: object, fault: Exception = fault) -> None:
            raise fault

        with monkeypatch.context() as broken:
            broken.setattr(scene.alert_service, "take", refuse)
            status, answer = await scene.post(delivery(FIRING))
            assert (status, told in answer["error"]) == (503, True), answer
    assert (await scene.post(delivery(FIRING)))[1]["triggered"] == 1


async def test_fingerprint_of_an_alert_is_no_way_out(tmp_path: Path) -> None:
    """It is shown and kept like every other text that others send."""
    redact = Redactor(["correct-horse-battery"]).redact
    async with StateManager(tmp_path / "state") as state:
        bus = EventBus()
        told = AlertReport("alertmanager:correct-horse-battery", AlertSource.ALERTMANAGER, Severity.HIGH, "leak")
        (taken,) = await AlertService(state.alerts, bus, redact).take([told])
        await bus.close()
    assert taken.alert.fingerprint == "alertmanager:[redacted]"


async def test_redelivery_changes_nothing(scene: Scene) -> None:
    ended = FIRING | {"status": "resolved"}
    counts = [(await scene.post(delivery(*alerts)))[1] for alerts in ([FIRING, FIRING], [FIRING], [ended], [ended])]
    assert [(count["triggered"], count["resolved"]) for count in counts] == [(1, 0), (0, 0), (0, 1), (0, 0)]
    assert (await scene.post(delivery(FIRING)))[1]["triggered"] == 0, "a replay of what has ended"
    again = FIRING | {"startsAt": "2026-01-01T01:00:00Z"}
    assert (await scene.post(delivery(again)))[1]["triggered"] == 1


async def test_truncated_alerts_reported_until_complete(scene: Scene) -> None:
    """Alerts left out of a delivery are an alert, which ends with a whole one."""
    await scene.post(delivery(FIRING, truncatedAlerts=7))
    titles = [alert.title for alert in await scene.state.alerts.open()]
    assert titles == ["DiskFull", "7 more alerts were left out of a delivery"]
    await scene.post(delivery(FIRING, truncatedAlerts=0))
    assert [alert.title for alert in await scene.state.alerts.open()] == ["DiskFull"]
