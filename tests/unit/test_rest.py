"""What a bot at rest asks of its journal: counts, which no load of a machine changes."""

from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.models.ownership import Heartbeat
from roas.state.instance import boot_id, boot_seconds
from roas.state.journal import Journal
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.outbox import Outboxes

ROUNDS = 3
NOWHERE: Any = None


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the visits to threads, and the commits."""
    counted: Counter[str] = Counter()
    submit, commit = ThreadPoolExecutor.submit, Journal._transact_all

    def submitted(executor: ThreadPoolExecutor, *arguments: object) -> object:
        counted["threads"] += 1
        return submit(executor, *arguments)

    def committed(journal: Journal, writes: list[object]) -> object:
        counted["commits"] += 1
        return commit(journal, writes)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submitted)
    monkeypatch.setattr(Journal, "_transact_all", committed)
    return counted


async def beat(application: Application) -> None:
    heartbeat = Heartbeat(application.state.instance_id, boot_id(), boot_seconds())
    await application.state.ownership.beat_and_renew(heartbeat)


async def rounds(application: Application) -> None:
    await application.maintenance._run_round()


async def orphans(application: Application) -> None:
    await application.orchestrator.resume()
    await application.orchestrator.check_foreign_bots()


async def frequent(application: Application) -> None:
    await application.maintenance._parts.frequent_check()


async def pending(application: Application) -> None:
    await LiveMessages(application.state, application.bus, Outboxes(NOWHERE))._pending_subjects()


@pytest.mark.parametrize(
    ("look", "threads", "commits"), [(rounds, 11, 1), (orphans, 1, 0), (frequent, 0, 0), (pending, 4, 0)]
)
async def test_visits_of_a_bot_at_rest(
    tmp_path: Path,
    visits: Counter[str],
    look: Callable[[Application], Awaitable[object]],
    threads: int,
    commits: int,
) -> None:
    """Without a release; the first look may do what is done once."""
    settings = Settings(_env_file=None, stack_dir=tmp_path, state_dir=tmp_path / "state")
    async with open_application(settings) as application:
        await look(application)
        visits.clear()
        for _ in range(ROUNDS):
            await look(application)
        assert visits["threads"] <= ROUNDS * threads
        assert visits["commits"] == ROUNDS * commits
        visits.clear()
        await beat(application)
        assert visits == {"threads": 1}
