"""A bot whose journal is gone says so to all who ask, changes nothing, and goes on when a person brings it back."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.views import Message
from tests.e2e.wire.command_line import roas
from tests.e2e.wire.conftest import CONNECT_SECONDS
from tests.e2e.wire.shop import STAYS
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.wire

STOPPED = "has stopped acting"


async def told(people) -> Message:
    return await people.wait_for_message(lambda one: STOPPED in one.text, deadline_seconds=CONNECT_SECONDS)


async def answers(people, text: str) -> None:
    """Whoever asks is told what is wrong, and nothing is done."""
    for user, command, options in (("bob", "status", {}), ("dora", "deploy", {"environment": "dev", "version": "v2"})):
        assert text in await ask(people, user, command, **options)


def everything(shop) -> dict[str, tuple[str, str]]:
    return {
        container.id: (container.name, container.attrs["State"]["StartedAt"]) for container in shop.containers("dev")
    }


async def works_again(people, wanted: str) -> None:
    """The same bot leads again, without having been started by anybody."""
    said = ""
    for _ in range(20):
        answer = await people.answer(await people.slash("bob", "status", environment="dev"))
        said = answer.error or (answer.message.text if answer.message is not None else "")
        if wanted in said:  # else it is on its way: what is asked just then has no answer
            return
    raise AssertionError(f"the bot does not act again: {said}")


@pytest.mark.parametrize("way_back", ["--new", pytest.param("mounted", marks=pytest.mark.long)])
async def test_empty_folder_in_place_of_the_state_is_a_fault(
    start_bot, bot_settings, people, shop, image_ids, tmp_path: Path, way_back: str
):
    """The state's disk is not mounted after a reboot: Docker makes a folder in its place, and the bot starts on it."""
    shop.write(store=STAYS)
    bot = await start_bot()
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert await bot.stop() == 0
    before, state, away = everything(shop), tmp_path / "state", tmp_path / "away"
    state.rename(away)
    state.mkdir()
    for command in (("deploy", "dev", "v2"), ("lock", "dev", "--reason", "x"), ("unlock", "dev")):
        code, said = await roas(bot_settings, *command)
        assert (code, "restore --new" in said) == (69, True), said
    await bot.start()
    assert "restore --new" in (await told(people)).text
    await answers(people, "journal is missing")
    code, said = await roas(bot_settings, "status")
    assert (code, "restore --new" in said) == (69, True), said
    assert everything(shop) == before
    if way_back == "--new":
        code, said = await roas(bot_settings, "restore", "--new")
        assert code == 0, said
        await works_again(people, "v1")
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
        assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v2"]}
    else:
        state.rename(tmp_path / "empty")
        away.rename(state)
        await works_again(people, "**r1**")
        assert everything(shop) == before
    assert await bot.stop() == 0


@pytest.mark.long
async def test_earlier_journal_in_place_of_the_newest_is_a_fault(
    start_bot, bot_settings, people, shop, image_ids, tmp_path: Path
):
    """Another disk is mounted, with a copy of long ago: it is told, nothing is written, and a person may keep it."""
    shop.write(store=STAYS)
    bot = await start_bot()
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert await bot.stop() == 0
    state, earlier = tmp_path / "state", tmp_path / "earlier"
    shutil.copytree(state, earlier)
    await bot.start()
    await works_again(people, "**r1**")
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    assert await bot.stop() == 0
    before = everything(shop)
    state.rename(tmp_path / "away")
    earlier.rename(state)
    for command in (("lock", "dev", "--reason", "x"), ("unlock", "dev"), ("deploy", "dev", "v2")):
        code, said = await roas(bot_settings, *command)
        assert (code, "release 2 of dev" in said) == (69, True), said
    await bot.start()
    assert "restore --keep" in (await told(people)).text
    await answers(people, "is an earlier one")
    assert everything(shop) == before
    code, said = await roas(bot_settings, "restore", "--keep")
    assert code == 0, said
    await works_again(people, "**r1**")
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v2"]}
    assert await bot.stop() == 0


@pytest.mark.long
async def test_journal_of_another_bot_in_place_of_ours_is_a_fault(
    start_bot, bot_settings, people, shop, tmp_path: Path
):
    """The old disk is mounted again beside a new journal that has come no further than it."""
    shop.write(store=STAYS)
    bot = await start_bot()
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert await bot.stop() == 0
    state, old = tmp_path / "state", tmp_path / "old"
    shutil.copytree(state, old)
    code, said = await roas(bot_settings, "restore", "--new", "--yes")
    assert code == 0, said
    code, said = await roas(bot_settings, "deploy", "dev", "v2")
    assert code == 0, said
    state.rename(tmp_path / "new")
    old.rename(state)
    before = everything(shop)
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert (code, "was deployed last by JOURNAL-" in said) == (69, True), said
    assert everything(shop) == before
    code, said = await roas(bot_settings, "restore", "--keep")
    assert code == 0, said
    code, said = await roas(bot_settings, "deploy", "dev", "v1")
    assert code == 0, said


def remove_wal(state: Path) -> None:
    state.joinpath("journal.sqlite3-wal").unlink()


def remove_folder(state: Path) -> None:
    subprocess.run(["rm", "-rf", state], check=True)


@pytest.mark.long
@pytest.mark.parametrize("mishap", [remove_wal, remove_folder])
async def test_journal_removed_under_a_living_bot_is_rescued(
    bot, bot_settings, people, shop, tmp_path: Path, mishap: Callable[[Path], None]
):
    """It is told, whoever asks is answered, and what the bot still holds is a copy that `roas restore` brings back."""
    shop.write(store=STAYS)
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v1")
    await outcome(people, deployment_id)
    before, state = everything(shop), tmp_path / "state"
    mishap(state)
    assert "roas restore" in (await told(people)).text
    await answers(people, "stopped acting")
    copies = sorted(state.joinpath("backups").glob("journal-*.sqlite3"))
    with closing(sqlite3.connect(copies[-1])) as copy:
        assert copy.execute("SELECT 1 FROM deployments WHERE id = ?", (deployment_id,)).fetchone()
    assert everything(shop) == before
    code, said = await roas(bot_settings, "restore")
    assert code == 0, said
    await works_again(people, "v1")
    code, said = await roas(bot_settings, "history")
    assert deployment_id in said


@pytest.mark.long
async def test_disk_mounted_over_the_state_is_told(bot, people, shop, tmp_path: Path):
    """The bot's own folder is beneath it, with a copy of what the bot still held."""
    shop.write(store=STAYS)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    before, state = everything(shop), tmp_path / "state"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "roas-test", state], check=True)
    try:
        assert STOPPED in (await told(people)).text
        await answers(people, "stopped acting")
        assert not list(state.iterdir()), "nothing is written to a disk that is not ours"
    finally:
        subprocess.run(["umount", state], check=True)
    assert len(list(state.joinpath("backups").glob("journal-*.sqlite3"))) == 1
    assert everything(shop) == before


async def test_releases_of_another_project_are_no_evidence(bot_settings, shop, image_ids):
    """Its name may begin like ours: `shop-dev` has a `web`, and `shop-dev-demo` has one, too."""
    shop.write(store=STAYS)
    other = f"roas-release/{shop.base_name}-dev-demo-web"
    shop.client.images.get(image_ids["v1"]).tag(other, "r3")
    try:
        code, said = await roas(bot_settings, "deploy", "dev", "v1")
        assert code == 0, said
    finally:
        shop.client.images.remove(f"{other}:r3")
