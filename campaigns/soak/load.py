"""Load a bot from all sides at once: deployments, external alerts, killed services, people with commands."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from testbed.running_bot import RunningBot, RunningBotError

DEPLOYED, KILLED = "dev", "staging"
VERSIONS = ("v1", "v2")
SERVICES = ("web", "store")
ALERT_EVERY_SECONDS = 2.0
ALERT_LASTS = 5
ASK_EVERY_SECONDS = 10.0
# Three restarts of a service are allowed in a quarter of an hour: alternating two services stays within that.
KILL_EVERY_SECONDS = 155.0
FIRST_KILL_SECONDS = 2.0


@dataclass
class Work:
    """Count what was asked of the bot, and what came of it."""

    deployments: list[float] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    alerts: int = 0
    refused: list[str] = field(default_factory=list)
    kills: int = 0
    answers: list[float] = field(default_factory=list)


class Load:
    """Work on a bot until a moment (monotonic) has come."""

    def __init__(self, bot: RunningBot, deploy_every_seconds: float) -> None:
        self.work = Work()
        self._bot = bot
        self._deploy_every_seconds = deploy_every_seconds
        self._end = 0.0
        self._after = 0

    async def begin(self) -> None:
        """Deploy a release to both environments, so that there is something to kill. Raises RunningBotError."""
        for outcome in await asyncio.gather(*(self._bot.deploy(one, VERSIONS[0]) for one in (DEPLOYED, KILLED))):
            if "succeeded" not in outcome.text:
                raise RunningBotError(outcome.text)
        self._after = await self._bot.last_message()

    async def run(self, seconds: float) -> Work:
        """Do everything at the same time for so long."""
        self._end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
            tasks = [
                group.create_task(self._repeat(self._deploy, self._deploy_every_seconds)),
                group.create_task(self._repeat(self._kill, KILL_EVERY_SECONDS, FIRST_KILL_SECONDS)),
                group.create_task(self._repeat(self._ask, ASK_EVERY_SECONDS)),
                group.create_task(self._repeat(lambda number: self._alert(session, number), ALERT_EVERY_SECONDS)),
            ]
            await asyncio.gather(*tasks)
            for number in range(self.work.alerts, self.work.alerts + ALERT_LASTS):
                await self._alert(session, number, fires=False)
        return self.work

    async def _repeat(self, act: Callable[[int], Awaitable[None]], every: float, first: float = 0.0) -> None:
        """Start an act at even intervals; one that takes longer is followed by the next at once."""
        number, due = 0, time.monotonic() + first
        while due < self._end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await act(number)
            number, due = number + 1, max(due + every, time.monotonic())

    async def _deploy(self, number: int) -> None:
        started = time.monotonic()
        try:
            outcome = await self._bot.deploy(DEPLOYED, VERSIONS[(number + 1) % 2], after=self._after)
        except RunningBotError as error:
            self.work.outcomes.append(str(error))
            return
        self._after = max(self._after, outcome.id)
        self.work.outcomes.append("succeeded" if "succeeded" in outcome.text else outcome.text)
        self.work.deployments.append(time.monotonic() - started)

    async def _kill(self, number: int) -> None:
        await asyncio.to_thread(self._bot.kill_service, KILLED, SERVICES[number % 2])
        self.work.kills += 1

    async def _ask(self, number: int) -> None:
        started = time.monotonic()
        await self._bot.ask("status", environment=(DEPLOYED, KILLED)[number % 2])
        self.work.answers.append(time.monotonic() - started)

    async def _alert(self, session: aiohttp.ClientSession, number: int, *, fires: bool = True) -> None:
        """Raise a new alert and end the one before a few, with labels that would be a series each if they were kept."""
        alerts = [_an_alert(number, "firing")] if fires else []
        if number >= ALERT_LASTS:
            alerts.append(_an_alert(number - ALERT_LASTS, "resolved"))
        self.work.alerts += fires
        body = {"version": "4", "status": "firing", "receiver": "roas", "groupKey": "{}", "alerts": alerts}
        headers = {"Authorization": f"Bearer {self._bot.webhook_token}"}
        async with session.post(f"{self._bot.url}/alerts", json=body, headers=headers) as answer:
            if answer.status != 200:
                self.work.refused.append(f"{answer.status} {await answer.text()}")


def _an_alert(number: int, status: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    labels = {
        "alertname": f"Soak{number}",
        "severity": ("warning", "info", "high")[number % 3],
        "service": f"hostile-{secrets.token_hex(4)}",
        "pod": secrets.token_hex(8),
    }
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"number {number}"},
        "startsAt": now,
        "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"soak-{number}",
    }
