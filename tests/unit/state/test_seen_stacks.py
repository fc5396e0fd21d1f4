"""What was seen last of a stack outlives the bot that saw it."""

from dataclasses import replace
from pathlib import Path

from roas.health.collector import KEPT_SECONDS, LastKnown
from roas.models.environment import Environment
from roas.models.health import ServiceHealth, StackHealth, Verdict
from roas.state.seen_stacks import SeenStacks
from tests.unit.ui.samples import NOON, a_container

DEV = Environment("dev", "shop-dev", Path(), ())
TASK = replace(a_container("web"), node="node2")
STACK = StackHealth("dev", Verdict.HEALTHY, (ServiceHealth("web", Verdict.HEALTHY, "a secret", (TASK,)),), NOON)


async def test_next_process_recalls_it(tmp_path: Path) -> None:
    seen = SeenStacks(tmp_path / "seen", lambda text: text.replace("secret", "***"))
    await LastKnown(seen).remember(DEV, STACK)
    found = await LastKnown(seen).recall(DEV)
    assert found is not None
    assert (found.taken_at, found.services[0].nodes, found.services[0].reason) == (NOON, ("node2",), "a ***")
    file = tmp_path / "seen" / "dev.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_disk_is_written_seldom(tmp_path: Path) -> None:
    now = [100.0]
    known = LastKnown(SeenStacks(tmp_path), lambda: now[0])
    file = tmp_path / "dev.json"
    await known.remember(DEV, STACK)
    file.unlink()
    await known.remember(DEV, STACK)
    assert not file.exists(), "nothing but the time has changed"
    await known.remember(DEV, replace(STACK, services=()))
    assert file.exists()
    file.unlink()
    now[0] += KEPT_SECONDS
    await known.remember(DEV, replace(STACK, services=()))
    assert file.exists()


async def test_damaged_files_have_nothing(tmp_path: Path) -> None:
    known = LastKnown(SeenStacks(tmp_path))
    assert await known.recall(DEV) is None
    (tmp_path / "dev.json").write_text("{")
    assert await known.recall(DEV) is None


async def test_disk_that_refuses_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("a file where the folder should be")
    known = LastKnown(SeenStacks(tmp_path / "seen"))
    await known.remember(DEV, STACK)
    assert await known.recall(DEV) == STACK
