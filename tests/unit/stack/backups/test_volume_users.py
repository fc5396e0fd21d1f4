"""Who may be stopped for a volume, and who is in the way of it."""

from types import SimpleNamespace

import pytest

from roas.errors import BackupError
from roas.stack.backups import volume_helper
from roas.stack.backups.volume_helper import HELPER, LABEL, VolumeHelper
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.labels import ONE_OFF, PROJECT, SERVICE


def container(name: str, *, project: str = "shop", state: str = "running", rw: bool = True, **labels: str) -> dict:
    own = {PROJECT: project, SERVICE: name, ONE_OFF: "False"} if project else {}
    mount = {"Name": "shop_data", "RW": rw}
    listed = {"Id": f"id-{name}", "Names": [f"/{name}"], "State": state, "Labels": own | labels, "Mounts": [mount]}
    return listed | {"is": state}


class PlayedEngine:
    """Be an engine that lists containers for one volume, and for others none."""

    project = "shop"

    def __init__(self, *listed: dict) -> None:
        self._listed = list(listed)

    async def call(self, question):
        def containers(*, all: bool, filters: dict) -> list[dict]:  # noqa: A002 - as the SDK calls it
            assert all, "those that do not run, too"
            return self._listed if filters == {"volume": "shop_data"} else []

        def inspect_container(container_id: str) -> dict:
            state, name = next((item["is"], item["Names"][0]) for item in self._listed if item["Id"] == container_id)
            if state == "gone":
                raise ApiNotFoundError(404, "no such container")
            return {"Name": name, "State": {"Status": state, "StartedAt": "2026-01-01T00:00:00Z"}}

        return question(SimpleNamespace(containers=containers, inspect_container=inspect_container))


async def users(*listed: dict) -> set[tuple[str, bool, bool]]:
    found = await VolumeHelper(PlayedEngine(*listed)).users(["shop_data", "shop_more"])
    return {(user.service, user.writes, user.runs) for user in found}


async def test_services_of_the_stack_are_found() -> None:
    found = await users(container("db"), container("web", rw=False), container("old", state="exited"))
    assert found == {("db", True, True), ("web", False, True), ("old", True, False)}


async def test_list_of_a_moment_ago_counts_for_nothing() -> None:
    """The engine lists a container as running for a moment after it has stopped it."""
    stopped, started = container("db") | {"is": "exited"}, container("web", state="exited") | {"is": "running"}
    gone = container("stray", project="") | {"is": "gone"}
    assert await users(stopped, started, gone) == {("db", True, False), ("web", True, True)}


async def test_what_only_has_a_similar_name_is_none() -> None:
    """The engine finds containers also by the place of a mount."""
    other = container("other", project="")
    other["Mounts"] = [{"Name": "shop_data2", "RW": True, "Destination": "shop_data"}]
    assert await users(other) == set()


@pytest.mark.parametrize("state", ["running", "paused", "restarting"])
@pytest.mark.parametrize("labels", [{"project": ""}, {"project": "other"}, {ONE_OFF: "True"}])
async def test_what_is_not_of_the_stack_is_in_the_way_while_it_runs(state: str, labels: dict) -> None:
    with pytest.raises(BackupError, match="stray, which is no service of this stack") as refused:
        await users(container("stray", state=state, **labels))
    assert "docker stop stray" in refused.value.hint
    await users(container("stray", state="exited", **labels))


async def test_bot_itself_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_helper, "own_container_id", lambda: "id-bot")
    with pytest.raises(BackupError, match="bot, which is this bot itself"):
        await users(container("bot"))


async def test_helpers_are_no_users_and_images_cannot_pass_for_one() -> None:
    helper = container(f"{HELPER}-shop-1", project="", **{LABEL: "shop"})
    assert await users(helper) == set()
    assert len(await users(container("db", **{LABEL: "shop"}))) == 1
