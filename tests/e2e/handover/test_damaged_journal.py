"""A bot whose journal is damaged says so and is not healthy; a person brings the journal back from its own copy."""

import pytest

from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, Home
from tests.e2e.handover.conftest import rows
from tests.unit.state.journal.test_copies import lose_half

pytestmark = pytest.mark.long

SECONDS = 60.0


def health(home: Home) -> str:
    """Return what Docker shows of the bot."""
    (bot,) = home.bots(stopped=True)
    return str((bot.attrs["State"].get("Health") or {}).get("Status"))


async def test_journal_without_half_its_pages_restored(home, people):
    """As shipped: the bot's own user, no capability, a read-only root."""
    backups = home.folder / "state" / "backups"
    await until(lambda: list(backups.glob("journal-*.sqlite3")) or None, "no copy", seconds=SECONDS)
    (copy,) = backups.iterdir()
    assert copy.stat().st_uid == (home.folder / "state").stat().st_uid
    before = rows(home, "SELECT id FROM deployments")
    home.compose("stop", BOT_SERVICE)
    lose_half(home.folder / "state" / "journal.sqlite3")
    home.compose("start", BOT_SERVICE)
    await until(lambda: "journal.sqlite3 is damaged" in home.logs() or None, "damage not named", seconds=SECONDS)
    assert "roas restore" in home.logs()
    assert health(home) != "healthy"
    (bot,) = home.bots()
    assert "Restored the journal" in home.compose("exec", "-T", BOT_SERVICE, "roas", "restore")
    await until(lambda: health(home) == "healthy" or None, "not well", seconds=SECONDS)
    assert set(rows(home, "SELECT id FROM deployments")) <= set(before)
    await people.wait_for_commands("status", deadline_seconds=SECONDS)
    (same,) = home.bots()
    assert (same.id, same.attrs["RestartCount"]) == (bot.id, 0), "it stays, and goes on by itself"
