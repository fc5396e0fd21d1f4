"""What would let the bot keep its state elsewhere is refused, with the way to move it."""

from dataclasses import replace
from typing import Any

import pytest

from roas.deploy.handover.state_folder import _folder, refuse_missing_journal, refuse_moved_state, state_move
from roas.deploy.own_service import OwnService
from roas.errors import JournalMissingError, StateMovedError
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.facts import FoundProject, Mount, OwnContainer
from roas.models.stored import new_id
from roas.stack.machine.bot_places import place_of_container
from roas.state.manager import StateManager
from tests.unit.deploy.fake_engine import MOVED, UNHEALTHY
from tests.unit.deploy.handover.two_bots import BOT, Bot
from tests.unit.deploy.requested import DORA
from tests.unit.deploy.requested import deploy_home as deploy


async def test_plan_and_deployment_that_move_it_are_refused(scene, old):
    scene.home.calls.clear()
    with pytest.raises(StateMovedError, match="would keep its state in") as refused:
        await old.orchestrator.plan(deploy(MOVED))
    assert f"docker compose stop {BOT}" in refused.value.hint
    assert f"mv {scene.folder}/state /elsewhere{scene.folder}/state" in refused.value.hint
    deployment = await old.orchestrator.run(deploy(MOVED))
    assert (deployment.outcome, deployment.touched) == (Outcome.FAILED, False)
    assert {"pull", "create", "stop", "remove"}.isdisjoint(name for name, _ in scene.home.calls)
    without_the_bot = await old.orchestrator.run(deploy(MOVED, services=("store",)))
    assert without_the_bot.outcome is Outcome.SUCCEEDED, without_the_bot.problem


async def test_state_that_was_moved_as_told_is_deployed(scene, old, monkeypatch):
    """The bot was stopped, its folder moved, and it was brought up again there: the same version is taken now."""
    with pytest.raises(StateMovedError) as refused:
        await old.orchestrator.plan(deploy(MOVED))
    there = f"/elsewhere{scene.folder}/state"
    assert f"then `mv {scene.folder}/state {there}`, set STATE_DIR in .env" in refused.value.hint
    read = scene.home.bot_places

    async def moved(container_ids):
        mounts = (Mount("/elsewhere", "/", writable=True),)
        return {name: replace(place, mounts=mounts) for name, place in (await read(container_ids)).items()}

    with monkeypatch.context() as patched:
        patched.setattr(scene.home, "bot_places", moved)
        assert BOT in {change.service for change in (await old.orchestrator.plan(deploy(MOVED))).changed}
    assert refused.value.hint.endswith("To leave it: set STATE_DIR back.")
    assert (await old.orchestrator.plan(deploy("v1"))).changed


async def test_rollback_to_a_moved_release_is_refused(scene, old):
    await old.orchestrator.run(deploy("v0"))
    current = await old.state.releases.current("home")
    target = await old.state.releases.get("home", 0)
    assert current is not None
    assert target is not None
    scene.home.models[target.model_hash]["services"][BOT]["image"] = f"{BOT}:{MOVED}"
    with pytest.raises(StateMovedError):
        await old.orchestrator.plan(DeploymentRequest("home", DeploymentKind.ROLLBACK, DORA, target_release=0))


async def test_going_back_leaves_a_bot_whose_state_was_moved(scene, old):
    """The state was moved by hand since: going back to before would begin with the folder that is empty now."""
    await old.orchestrator.run(deploy("v0"))
    current = await old.state.releases.current("home")
    assert current is not None
    scene.home.behaviour["bad", "store"] = UNHEALTHY
    scene.home.models[current.model_hash]["services"][BOT]["image"] = f"{BOT}:{MOVED}"
    ended = await old.orchestrator.run(deploy("bad"))
    assert ended.outcome is Outcome.ROLLED_BACK, ended.problem
    assert any("stays as it is" in warning for warning in ended.warnings), ended.warnings
    assert scene.bot_containers() == [old.container_id]


@pytest.mark.parametrize("token", ["DISCORD_TOKEN", "DISCORD_TOKEN_FILE"])
async def test_command_line_of_another_journal_is_refused(scene, old, tmp_path, token):
    """It would take the running bot for a service like any other, and replace it in its place."""
    line = Bot(tmp_path / "another", scene.engines, "")
    scene.bots.append(line)
    await line.state.open()
    variables = {"STATE_DIR": "/state", token: "t"}
    environment = Environment("home", "home", scene.folder, (), is_home=True)
    own = OwnService(line.orchestrator._components, environment)
    model = {"services": {BOT: {"image": "i", "environment": variables}}}
    with pytest.raises(StateMovedError, match="is a bot that is not on the journal in") as refused:
        await refuse_moved_state(own, model)
    assert "Use the STATE_DIR of that bot" in refused.value.hint
    on_its_journal = await scene.command_line()
    assert BOT in {change.service for change in (await on_its_journal.orchestrator.plan(deploy("v1"))).changed}
    await refuse_moved_state(own, model, kept=frozenset({BOT}))
    await refuse_moved_state(own, {"services": {BOT: {"image": "i"}}})


@pytest.mark.parametrize(
    ("held", "named", "choice", "fault"),
    [
        (1, "", "", ""),  # of the release before
        (1, "its own", "", ""),
        (1, "JOURNAL-OTHER", "", "was deployed last by JOURNAL-OTHER"),
        (9, "its own", "", "images of release 9"),
        (9, "JOURNAL-OTHER", "CHOICE-1", ""),
    ],
)
async def test_other_journal_in_place_of_ours_is_a_fault(scene, old, held, named, choice, fault):
    """Another disk is mounted: release numbers alone say nothing where its journal has come as far."""
    await old.orchestrator.run(deploy("v1", services=("store",)))
    assert scene.home.journal_id == old.state.journal_id
    old.state._journal.choice = choice
    scene.home.protected = {held}
    scene.home.journal_id = named.replace("its own", old.state.journal_id)
    environment = Environment("home", "home", scene.folder, (), is_home=True)
    asked = refuse_missing_journal(old.state, scene.engines, [environment], scene.folder)
    if not fault:
        await asked
        return
    with pytest.raises(JournalMissingError, match=fault):
        await asked


@pytest.mark.parametrize(
    ("writer", "choice", "fault"),
    [
        ("its own", "", False),
        ("an earlier one of another's", "", True),
        ("an earlier one of another's", "CHOICE-1", False),
        ("a later one of another's", "", True),
    ],
)
async def test_other_journal_than_the_one_that_wrote_a_swarm_is_a_fault(scene, old, writer, choice, fault):
    """Its deployments may be later than those of the journal that is missing."""
    earlier = new_id("DEPLOY")
    own = (await old.orchestrator.run(deploy("v1", services=("store",)))).id
    later = new_id("DEPLOY")
    named = {"its own": own, "an earlier one of another's": earlier, "a later one of another's": later}
    scene.home.writer = named[writer]
    old.state._journal.choice = choice
    environment = Environment("home", "home", scene.folder, (), is_home=True)
    asked = refuse_missing_journal(old.state, scene.engines, [environment], scene.folder)
    if not fault:
        await asked
        return
    with pytest.raises(JournalMissingError, match=f"services of home that {named[writer]} wrote"):
        await asked


@pytest.mark.parametrize(
    ("file", "fault"),
    [("state/models/gone.yml", True), ("state/models/there.yml", False), ("compose.yaml", False)],
)
async def test_model_that_is_missing_is_a_fault(scene, tmp_path, monkeypatch, file, fault):
    """No image of a release is left: the label of the containers says by itself that there was a journal."""

    async def projects() -> tuple[FoundProject, ...]:
        return (FoundProject("home", files=(str(tmp_path / file),)),)

    monkeypatch.setattr(scene.home, "projects", projects)
    environment = Environment("home", "home", scene.folder, (), is_home=True)
    async with StateManager(tmp_path / "state") as empty:
        (empty.folder / "models").mkdir()
        (empty.folder / "models" / "there.yml").touch()
        asked = refuse_missing_journal(empty, scene.engines, [environment], empty.folder)
        if not fault:
            await asked
            return
        with pytest.raises(JournalMissingError, match=r"home runs from .*gone.yml, which is not there"):
            await asked


INSPECTED = {
    "Config": {"Env": ["STATE_DIR=/srv/state", "HTTP_PORT=8001"], "WorkingDir": "/opt/bot"},
    "Mounts": [
        {"Type": "bind", "Source": "/srv", "Destination": "/srv", "RW": False},
        {"Type": "bind", "Source": "/srv/state", "Destination": "/srv/state", "RW": True},
    ],
    "NetworkSettings": {"Networks": {"home_default": {"IPAddress": "172.18.0.3"}, "none": {"IPAddress": ""}}},
}
STATE = {"type": "bind", "source": "/srv/state", "target": "/srv/state"}
STACK = {"type": "bind", "source": "/srv", "target": "/srv", "read_only": True}
VOLUME = {"type": "volume", "source": "data", "target": "/srv/state"}


@pytest.mark.parametrize(
    ("variables", "mounts", "moved"),
    [
        ({"STATE_DIR": "/srv/state"}, [STACK, STATE], False),
        ({"STATE_DIR": "/srv/state/"}, [STATE], False),
        ({"STATE_DIR": "/srv/state"}, [STACK], False),
        ({}, [STACK, STATE], False),
        ({"STATE_DIR": "state"}, [STATE], False),
        ({"STATE_DIR": "/srv/other"}, [STACK, STATE], True),
        ({"STATE_DIR": "/state"}, [STATE | {"target": "/state"}], True),
        ({"STATE_DIR": "/srv/state"}, [STATE | {"source": "/srv/other"}], True),
        ({"STATE_DIR": "/srv/state"}, [VOLUME], True),
        ({"STATE_DIR": "/srv/state"}, [], True),
    ],
)
async def test_move_is_read_from_variable_and_mounts(variables, mounts, moved):
    place = place_of_container(INSPECTED)
    assert (place.state_source, place.port, place.addresses) == ("/srv/state", 8001, (("home_default", "172.18.0.3"),))

    class Engine:
        def of(self, _environment: object) -> "Engine":
            return self

        def probe(self) -> "Engine":
            return self

        async def bot_places(self, container_ids: list[str]) -> dict[str, Any]:
            return dict.fromkeys(container_ids, place)

    components: Any = type("Components", (), {"stacks": Engine()})
    model = {"services": {"bot": {"environment": variables, "volumes": mounts}}, "volumes": {"data": {"name": "x"}}}
    environment: Any = None
    move = await state_move(OwnService(components, environment), OwnContainer("own", "own", "home", "bot"), model)
    assert (move is not None) is moved


async def test_named_volume_is_known_by_its_name():
    mount = {"Type": "volume", "Name": "home_data", "Source": "/var/lib/x/_data", "Destination": "/state", "RW": True}
    place = place_of_container({"Config": {"Env": ["STATE_DIR=/state"]}, "Mounts": [mount]})
    assert place.state_source == "home_data"


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ("", "/var/lib/roas"),
        (".", "/var/lib/roas"),
        ("./", "/var/lib/roas"),
        ("roas", "/var/lib/roas"),
        ("lib/roas", "/var/lib/roas"),
        ("other", "other"),
        ("/srv/roas", "/srv/roas"),
    ],
)
def test_relative_folder_is_that_of_the_image(named, folder):
    assert _folder(named, "/var/lib/roas") == folder
