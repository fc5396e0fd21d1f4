"""A new power is given by whoever is asked for it, by name; what a kept release has rides along."""

from types import SimpleNamespace
from typing import Any

import pytest

from roas.api.application import read_status
from roas.cogs.channel_plans import ChannelPlans
from roas.cogs.permissions import Asker, Rules
from roas.deploy.plan_lifecycle import NO_APPROVER
from roas.errors import NewPowersError
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.environment import PolicyLevel
from roas.models.events import DeploymentEnded
from roas.models.plan import PlanState
from tests.e2e.acceptance.people import ANNA, DORA, request, succeeded, told
from tests.e2e.acceptance.stack import REPOSITORY, alone

PID = "web: pid host"
DEPLOYER, APPROVER = 11, 12


@pytest.fixture
def settings(settings):
    """Ask about powers, as it is without any setting."""
    return settings.model_copy(update={"compose_policy": PolicyLevel.ASK})


def write(stack, **more: Any) -> None:
    stack.write({"web": alone(healthcheck=None, **more)})


class Channel:
    """Stand for the messages of the channel."""

    async def link(self, *_args: Any, **_named: Any) -> str:
        return "there"

    known_link = link

    def follow(self, *_args: Any) -> Any:
        return SimpleNamespace(notify=lambda **_named: None)


def approvals(people, *, approvers: bool) -> ChannelPlans:
    """Ask as the buttons do, on a server with or without approvers."""
    rules = Rules(1, 2, frozenset({DEPLOYER}), frozenset({APPROVER}) if approvers else frozenset())
    return ChannelPlans(people.application, rules, Channel())


def asker(actor, *roles: int) -> Asker:
    return Asker(int(actor.id), actor.name, 1, 2, frozenset(roles))


async def test_program_and_command_line_name_what_they_grant(people, stack, images, long_lane):
    """`--yes` is no word of it; what is named by `--grant` is given, and from then on rides along."""
    write(stack, pid="host")
    refused = await people.deploy("v1")
    assert refused.problem.key == NewPowersError.key
    assert f"--grant '{PID}'" in told(refused)
    assert stack.containers() == []
    assert (await people.deploy("v1", granted=("web: pid",))).problem.key == NewPowersError.key
    succeeded(await people.deploy("v1", granted=(PID,)))
    (web,) = stack.containers()
    assert web.attrs["HostConfig"]["PidMode"] == "host"
    succeeded(await people.deploy("v2"))
    if not long_lane:
        return
    write(stack, pid="host", command=["/payload"])
    assert (await people.deploy("v2")).problem.key == NewPowersError.key, "root for another program is a new power"
    write(stack)
    succeeded(await people.deploy("v3"))
    succeeded(await people.rollback())
    (web,) = stack.containers()
    assert web.attrs["HostConfig"]["PidMode"] == "host", "a release comes back with its powers"


@pytest.mark.long
async def test_hotfix_gives_no_power(people, stack, images):
    write(stack)
    succeeded(await people.deploy("v1", "prod"))
    write(stack, pid="host")
    refused = await people.hotfix("v2")
    assert refused.problem.key == NewPowersError.key
    asked = request(DeploymentKind.HOTFIX, "prod", "v2", reason="it burns")
    with pytest.raises(NewPowersError):
        await approvals(people, approvers=True).create_plan(asked)
    succeeded(await people.deploy("v2", "prod", granted=(PID,)))  # as the hint says


async def test_second_person_gives_a_power_in_any_environment(people, stack, images, monkeypatch):
    """What was planned in the channel waits, once it is drafted; its draft names the power, and nothing runs yet."""
    settings, orchestrator = people.application.settings, people.application.orchestrator
    monkeypatch.setattr(settings, "discord_approver_role_ids", frozenset({APPROVER}))
    write(stack, pid="host")
    plan = await orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    assert plan.new_powers == (PID,)
    waiting = await people.deploy("v1", interaction_id="PLAN-1", plan_digest=plan.digest)
    assert waiting.draft.new_powers == (PID,)
    assert waiting.asks
    assert stack.containers() == []
    succeeded(await orchestrator.wait((await orchestrator.approve(waiting.id, ANNA)).id))


async def test_power_of_a_build_is_asked_for_before_it_is_built(people, stack, images, monkeypatch):
    """A `RUN` line acts by itself: it does so once a second person said yes, who then sees what came of it."""
    settings, orchestrator = people.application.settings, people.application.orchestrator
    monkeypatch.setattr(settings, "discord_approver_role_ids", frozenset({APPROVER}))
    stack.put("Dockerfile", f"FROM {REPOSITORY}:v1\nLABEL is=ours\n")
    build = {"context": ".", "network": "host"}
    write(stack, build=build, image=f"{stack.base_name}-ours", pid="host")

    def built() -> list[Any]:
        return stack.client.images.list(all=True, filters={"label": "is=ours"})

    channel = approvals(people, approvers=True)
    record = await channel.create_plan(request(DeploymentKind.DEPLOY, version="v1"))
    assert not built(), "no build comes before the confirmation"
    record, _ = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
    waiting = await orchestrator.wait(record.deployment_id)
    assert waiting.draft.new_powers == ("web: build host",)
    assert not built(), "nor before somebody gives its power"
    assert (await people.application.state.approvals.get(record.id)).note
    await channel.approve(record.id, asker(ANNA, APPROVER), ANNA)
    drafted = await orchestrator.wait(waiting.id)
    assert drafted.asks
    assert drafted.draft.new_powers == (PID,)
    assert built()
    assert stack.containers() == []
    shown = (await people.application.state.approvals.get(record.id)).plan
    assert shown.new_powers == (PID,), "the approver sees the powers of the draft"
    await channel.approve(record.id, asker(ANNA, APPROVER), ANNA)
    succeeded(await orchestrator.wait(waiting.id))


async def test_withdrawn_draft_is_told(people, stack, images, monkeypatch):
    """While it waits, the status shows it; when somebody withdraws it, all who follow deployments learn of that."""
    application = people.application
    monkeypatch.setattr(application.settings, "discord_approver_role_ids", frozenset({APPROVER}))
    write(stack, pid="host")
    channel, ended = approvals(people, approvers=True), []

    async def hear(event: DeploymentEnded) -> None:
        ended.append((event.deployment_id, event.outcome))

    heard = application.bus.subscribe(DeploymentEnded, hear, name="test")
    record = await channel.create_plan(request(DeploymentKind.DEPLOY, version="v1"))
    record, _ = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
    await application.orchestrator.wait(record.deployment_id)
    status = await read_status(application.environments["dev"], application.state, application.collector)
    assert status.drafted.id == record.deployment_id
    await channel.withdraw(record.id, asker(DORA, DEPLOYER), DORA)
    await application.bus.drain()
    await application.bus.unsubscribe(heard)
    assert ended == [(record.deployment_id, Outcome.CANCELLED)]


async def test_approver_sees_what_changes(people, stack, images, monkeypatch):
    """By key and by file, old and new; and nothing that the asker did not confirm."""
    orchestrator, approved = people.application.orchestrator, people.application.state.approvals
    monkeypatch.setattr(people.application.settings, "discord_approver_role_ids", frozenset({APPROVER}))
    channel, lines = approvals(people, approvers=True), ()
    for version, level in (("v1", "info"), ("v1", "debug")):
        stack.put("conf", f"level = {level}\n")
        write(stack, environment={"LEVEL": level}, volumes=["./conf:/conf:ro"])
        record = await channel.create_plan(request(DeploymentKind.DEPLOY, "prod", version))
        record, _ = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
        await orchestrator.wait(record.deployment_id)
        lines = (await approved.get(record.id)).plan.diff
        await channel.approve(record.id, asker(ANNA, APPROVER), ANNA)
        succeeded(await orchestrator.wait(record.deployment_id))
    assert lines == (
        "web:",
        "-environment.LEVEL: info",
        "+environment.LEVEL: debug",
        "web:/conf:",
        "@@ -1 +1 @@",
        "-level = info",
        "+level = debug",
    )


async def test_one_person_gives_a_power_by_a_second_click(people, stack, images):
    write(stack, pid="host")
    channel = approvals(people, approvers=False)
    record = await channel.create_plan(request(DeploymentKind.DEPLOY, version="v1"))
    record, text = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
    assert record.state is PlanState.PLANNED
    assert PID in text
    assert stack.containers() == []
    record, _ = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
    assert record.note == NO_APPROVER
    succeeded(await people.application.orchestrator.wait(record.deployment_id))


async def test_who_joins_what_stays_has_its_power(people, stack, images):
    """What a plan leaves as it is has what it had, whatever the files say of it by now."""
    joined, joins = {"pid": "host"}, {"pid": "service:web"}
    stack.write({"web": alone(healthcheck=None, **joined), "job": alone(healthcheck=None)})
    succeeded(await people.deploy("v1", granted=(PID,)))
    stack.write({"web": alone(healthcheck=None), "job": alone(healthcheck=None, **joins)})
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert plan.new_powers == ()
    refused = await people.deploy("v2", services=("job",))
    assert "job: pid service:web" in told(refused)
    succeeded(await people.deploy("v2"))
    back = request(DeploymentKind.ROLLBACK, target_release=1, services=("web",), reason="the host's processes")
    plan = await people.application.orchestrator.plan(back)
    assert plan.new_powers == ("job: pid service:web",)


@pytest.mark.long
async def test_running_containers_have_what_they_have(people, stack, images):
    """A stack that somebody started by hand is adopted with its powers, and with no others."""
    write(stack, pid="host")
    stack.manually("up", "-d", VERSION="v1")
    succeeded(await people.deploy("v2"))
    write(stack, pid="host", privileged=True)
    refused = await people.deploy("v3")
    assert "web: privileged" in told(refused)
