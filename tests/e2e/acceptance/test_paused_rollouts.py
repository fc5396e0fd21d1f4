"""A rollout that pauses keeps what is healthy, waits for a person, and then does what that person says."""

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from roas import limits
from roas.alerts import drift_alerts
from roas.errors import InvalidRequestError
from roas.limits import STANDARD
from roas.models.deployment import Deployment, DeploymentKind, Outcome, ServiceStep
from roas.models.phases import PhaseName
from roas.models.rollout import Choice, RolloutState
from roas.state.deployments.locks import LockHeldError
from testbed.waiting import wait_until
from tests.e2e.acceptance.people import ANNA, DORA, request
from tests.e2e.acceptance.stack import REPOSITORY, WATCHED_CHECK, alone
from tests.e2e.acceptance.trouble import alert_that, is_over, kill_process, of_services, until

pytestmark = [pytest.mark.engine, pytest.mark.long]

PAUSES = {"failure_action": "pause"}


def first_one(behaviour: str) -> list[str]:
    """Return a command with which the first container of a version fails; of v1, none does."""
    fails = f"if [ $$VERSION != v1 ] && mkdir /marks/$$VERSION 2>/dev/null; then export BEHAVIOUR={behaviour}; fi"
    return ["sh", "-c", f"{fails}; exec /serve"]


def web(**update: object) -> dict:
    """Return a service of two replicas that pauses where a new one fails; the first one of a version does.

    It ends: that is known at once, and takes no probes.
    """
    deploy = {"replicas": 2, "update_config": {"failure_action": "pause", "parallelism": 1} | update}
    marked = {"volumes": ["marks:/marks"], "environment": {"VERSION": "${VERSION}"}}
    return alone(deploy=deploy, command=first_one("exits"), **marked)


async def paused(application, version: str = "v2") -> Deployment:
    """Deploy a version of which a replica fails, and wait for the pause."""
    started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", version))
    return await waiting(application, started.id)


async def waiting(application, deployment_id: str, number: int = 1) -> Deployment:
    """Wait until a deployment waits for a person, for so many times."""
    async with asyncio.timeout(60):
        while True:
            found = await application.state.deployments.get(deployment_id)
            assert not found.finished, found.problem
            if found.waits_in and found.pause.number >= number:
                return found
            await asyncio.sleep(0.2)


def write(stack, late: str = "v1", changes: dict | None = None, **update: object) -> None:
    """Write the stack: what pauses, what fails late or not, and what is recovered while something pauses."""
    monitored = {"failure_action": "pause", "monitor": "6s"}
    check = {"healthcheck": WATCHED_CHECK} if late == "fades" else {}
    of_late = alone(image=f"{REPOSITORY}:{late}", deploy={"update_config": monitored}, **check)
    store = alone(image=f"{REPOSITORY}:v1", restart="always", volumes=["./data:/data"])
    stack.write({"web": web(**update) | (changes or {}), "late": of_late, "store": store}, volumes={"marks": {}})


def of_web(stack) -> list[str]:
    return [container.attrs["Image"] for container in stack.containers() if "-web-" in container.name]


async def test_paused_rollout_waits_for_a_decision(application, people, stack, images, monkeypatch):
    """A stack that is looked after, on which one rollout after the other pauses, and another decision is made."""
    data = stack.folder / "data"
    data.mkdir()
    write(stack)
    await people.succeed("v1")
    monkeypatch.setattr(drift_alerts, "WHOLE_SECONDS", 2.0)
    await application.maintenance.start()
    await cancelling_a_paused_rollout_rolls_it_back(application, stack, images)
    write(stack, order="start-first")
    await only_what_a_pause_is_about_is_left_alone(application, stack, images, data)
    with monkeypatch.context() as patched:
        await replica_that_is_not_ready_in_time_has_failed(application, stack, images, patched)
    await late_failure_pauses_too(application, stack, images)
    await application.maintenance.stop()  # it would start again what failed and is let pass
    write(stack)
    await pause_keeps_what_is_healthy_and_goes_on(application, stack, images)


async def cancelling_a_paused_rollout_rolls_it_back(application, stack, images):
    """A decision is about one pause: what is said of another one changes nothing."""
    found = await paused(application)
    assert sorted(of_web(stack)) == sorted([images["v1"], images["v2"]])
    (progress,) = (service for service in found.services if service.service == "web")
    assert (progress.step, progress.rollout.state) == (ServiceStep.PAUSED, RolloutState.PAUSED)
    assert "1 of 2 new replicas failed" in found.pause.message
    assert found.pause.report
    with pytest.raises(LockHeldError) as refused:
        await application.orchestrator.start(request(DeploymentKind.DEPLOY, "dev", "v3"))
    assert "It is paused" in refused.value.message
    assert "roas resume dev" in refused.value.hint
    with pytest.raises(LockHeldError, match="It is paused"):  # and not that there is nothing before the first release
        await application.orchestrator.plan(request(DeploymentKind.ROLLBACK))
    with pytest.raises(InvalidRequestError):
        await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA, pause=2)
    await application.orchestrator.cancel(found.id, DORA)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.CANCELLED
    assert of_web(stack) == [images["v1"]] * 2
    assert stack.images()
    forget(stack, "v2")


def forget(stack, version: str) -> None:
    """Let the next one of a version fail, too."""
    one = next(container for container in stack.containers() if "-web-" in container.name)
    assert one.exec_run(["rm", "-r", f"/marks/{version}"]).exit_code == 0


async def only_what_a_pause_is_about_is_left_alone(application, stack, images, data):
    """It waits for hours, perhaps: another service is recovered meanwhile, and who breaks of its own is told of."""
    before = set(stack.ids().values())
    found = await paused(application)
    assert before < set(stack.ids().values()), "start-first, the old one of what failed goes on"
    assert await of_services(application) == (), "a person was asked about the replica that failed"
    kill_process(stack, "store")
    over = await alert_that(application, lambda one: one.service == "store" and is_over(one))
    assert over.actions == ("restart: recovered",)
    data.rename(stack.folder / "gone")
    data.symlink_to("/")
    await until(lambda: is_restarted(stack, "no"))
    data.unlink()
    (stack.folder / "gone").rename(data)
    await until(lambda: is_restarted(stack, "always"))
    old = next(
        container
        for container in stack.containers()
        if container.attrs["Image"] == images["v1"] and "-web-" in container.name
    )
    os.kill(old.attrs["State"]["Pid"], signal.SIGKILL)
    told = await alert_that(application, lambda one: one.service == "web" and bool(one.actions))
    assert told.actions[0].startswith(f"kept away: {found.id} is paused in the middle of web")
    assert (await application.state.deployments.get(found.id)).waits_in
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA, "wrong branch", pause=1)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.ROLLED_BACK
    assert "anna took it back. wrong branch" in ended.problem.message
    assert set(stack.images().values()) == {images["v1"]}
    assert set(stack.ids().values()) == before
    with pytest.raises(InvalidRequestError):
        await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    await alert_that(application, lambda one: one.service == "web" and is_over(one))


async def replica_that_is_not_ready_in_time_has_failed(application, stack, images, monkeypatch):
    """The limit of a phase is no way past a policy that asks a person."""
    never = {"test": ["CMD", "false"], "start_period": "1h", "retries": 1000}
    write(stack, changes={"healthcheck": never, "command": None}, order="start-first")
    phases = (
        replace(phase, timeout_seconds=8) if phase.name is PhaseName.EXECUTION else phase for phase in STANDARD.phases
    )
    monkeypatch.setattr(limits, "COORDINATIONS", {DeploymentKind.DEPLOY: replace(STANDARD, phases=tuple(phases))})
    found = await paused(application, "v3")
    assert "it was not ready in time" in found.pause.message
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA)
    assert (await application.orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    assert of_web(stack) == [images["v1"]] * 2


async def late_failure_pauses_too(application, stack, images):
    """What fails in the monitored time after the last replica: all are replaced by then, and a person is asked."""
    write(stack, late="fades", order="start-first")
    found = await paused(application, "v1")
    assert found.pause.service == "late"
    assert stack.container("late").attrs["Image"] == images["fades"]
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA)
    assert (await application.orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    assert stack.images()["late-1"] == images["v1"]


async def pause_keeps_what_is_healthy_and_goes_on(application, stack, images):
    forget(stack, "v2")
    found = await paused(application)
    await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    ended = await application.orchestrator.wait(found.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert of_web(stack) == [images["v2"]] * 2
    assert "1 of 2 new replicas of web failed; a person let the rollout go on." in ended.warnings
    assert ended.pauses[0].decision.decided_by == ANNA


async def is_restarted(stack, when: str) -> bool:
    return stack.container("store").attrs["HostConfig"]["RestartPolicy"]["Name"] == when


async def test_no_failure_passes_by_the_pause(application, people, stack, images):
    """Neither that of the last service, nor one of a service that others wait for, long after its own rollout."""
    pauses = {"replicas": 2, "update_config": {"failure_action": "pause", "order": "start-first"}}

    def write(api: str) -> None:
        needs = {"job": {"condition": "service_completed_successfully"}, "web": {"condition": "service_healthy"}}
        shows = {"VERSION": "${VERSION}"}
        first = {"command": first_one("unhealthy"), "volumes": ["marks:/marks"], "environment": shows}
        services = {
            "job": alone(command=["true"], restart="no", healthcheck=None, deploy={"update_config": PAUSES}),
            "web": alone(**first, deploy=pauses, healthcheck=WATCHED_CHECK | {"interval": "2s"}),
            "api": alone(deploy=pauses | {"replicas": 1}, environment={"BEHAVIOUR": api}, depends_on=needs),
        }
        stack.write(services, volumes={"marks": {}})

    write("healthy")
    await people.succeed("v1")
    write("exits")
    found = await paused(application)
    assert found.pause.service == "web", "one of two is never healthy"
    await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    assert (await waiting(application, found.id)).pause.service == "api"
    new = [container for container in stack.containers() if "-web-" in container.name]
    assert [one.attrs["Image"] for one in new] == [images["v2"]] * 2
    for item in new:
        item.exec_run(["rm", "-f", "/www/health"])
    assert await asyncio.to_thread(wait_until, lambda: not any(map(is_well, new)), 30)
    await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    again = await waiting(application, found.id)
    assert (again.pause.service, again.pause.number) == ("web", 3), "the other one broke meanwhile"
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA)
    assert (await application.orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    serving = [container.attrs["Image"] for container in stack.containers() if "-job-" not in container.name]
    assert serving == [images["v1"]] * 3


def is_well(container) -> bool:
    container.reload()
    return container.attrs["State"]["Health"]["Status"] == "healthy"
