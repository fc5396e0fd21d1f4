"""What becomes of a write, row by row, on a real Swarm; each verdict is compared with what Docker shows."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
import requests

from roas.concurrency import pause
from roas.stack.swarm.calls import SwarmCalls
from roas.stack.swarm.tasks.logs import read_ending
from roas.stack.swarm.writing import following
from roas.stack.swarm.writing import update_verdict as judgement
from roas.stack.swarm.writing.update_verdict import UpdateVerdict, Written, failure_hint, judge_update
from testbed.sample import CHECK, sample_image
from testbed.swarm import Swarm, SwarmNode, client_of
from tests.integration.stack.swarm.conftest import Shop

pytestmark = pytest.mark.engine

CRASH = {"environment": {"BEHAVIOUR": "exits"}}
JOB = {"x-deploy": {"one_shot": True}, "healthcheck": {"disable": True}, "command": ["echo", "migrated"]}


def running_image(client: docker.DockerClient, project: str) -> set[str]:
    """Return the images of the containers that run for a stack."""
    own = {"label": f"com.docker.stack.namespace={project}"}
    return {
        container.attrs["Config"]["Image"] for container in client.containers.list(filters=own, ignore_removed=True)
    }


# What comes to nothing, and what is said of it.
BAD: list[tuple[dict[str, Any], str]] = [
    (CRASH, "non-zero exit (3)"),
    ({"image": "app:missing"}, "No such image"),
    ({"environment": {"BEHAVIOUR": "unhealthy"}, "healthcheck": CHECK}, "a health check that failed"),
]


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Lose the answer to the first write of each kind: the manager took it; returns what was sent."""
    sent: dict[str, list[Any]] = {"create": [], "update": []}

    def losing(act: str) -> Callable[..., Any]:
        whole = getattr(SwarmCalls, act)

        def write(*arguments: Any, **options: Any) -> Any:
            answer = whole(*arguments, **options)
            sent[act].append(arguments)
            if len(sent[act]) == 1:
                raise requests.ConnectionError("the answer was lost")
            return answer

        return write

    for act in sent:
        monkeypatch.setattr(SwarmCalls, act, losing(act))
    return sent


async def test_writes_one_after_the_other(
    shop: Shop,
    swarm_client: docker.DockerClient,
    lost: dict[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    long_lane: bool,
) -> None:
    """Each write to one service is judged by itself, whatever the one before has left there."""
    await good_versions_are_done_though_answers_are_lost(shop, swarm_client, lost)
    await rolled_back_by_swarm_is_no_success(shop, swarm_client, BAD if long_lane else BAD[:1])
    await stale_status_is_not_read(shop)
    if not long_lane:
        return
    await paused_is_paused(shop)
    with monkeypatch.context() as patched:
        patched.setattr(judgement, "PLACING_SECONDS", 2.0)
        await never_scheduled_ends_by_our_deadline(shop)
    with monkeypatch.context() as patched:
        await update_out_of_sequence_is_read_again(shop, swarm_client, patched)
    await somebody_elses_update_is_told(shop, swarm_client)
    await removed_service_is_told(shop, swarm_client)


async def good_versions_are_done_though_answers_are_lost(
    shop: Shop, swarm_client: docker.DockerClient, lost: dict[str, list[Any]]
) -> None:
    """One that is new, then another image of it; what runs is what was written, once."""
    assert (await shop.bring()).verdict is UpdateVerdict.DONE
    assert (len(lost["create"]), len(lost["update"])) == (1, 0)
    judged = await shop.bring(image="app:v2")
    assert judged.verdict is UpdateVerdict.DONE, judged
    assert (len(lost["create"]), len(lost["update"])) == (1, 1)
    assert (await shop.there())["UpdateStatus"]["State"] == "completed"
    assert running_image(swarm_client, shop.environment.project) == {"app:v2"}


async def rolled_back_by_swarm_is_no_success(
    shop: Shop, swarm_client: docker.DockerClient, rows: list[tuple[dict[str, Any], str]]
) -> None:
    """Its status says completed in the end, as it did before, and its tasks run: those of the version before."""
    for bad, said in rows:
        judged = await shop.bring(**bad)
        assert judged.verdict is UpdateVerdict.ROLLED_BACK, (bad, judged)
        assert said in judged.reason, await shop.statuses()
        assert (await shop.there())["UpdateStatus"]["State"] == "rollback_completed"
        assert running_image(swarm_client, shop.environment.project) == {"app:v2"}


async def stale_status_is_not_read(shop: Shop) -> None:
    """That of the rollback before makes no failure of a write that changes no task."""
    unchanged = await shop.bring(image="app:v2", deploy={"labels": {"only": "a label"}})
    assert unchanged.verdict is UpdateVerdict.DONE, unchanged
    assert not (await shop.there()).get("UpdateStatus")


async def paused_is_paused(shop: Shop) -> None:
    """An update that Swarm stops half-way is not waited for, and written over by the next one."""
    pausing = {"update_config": {"monitor": "1s", "failure_action": "pause"}}
    judged = await shop.bring(**CRASH, deploy=pausing)
    assert judged.verdict is UpdateVerdict.PAUSED, judged
    assert "non-zero exit (3)" in judged.reason
    assert (await shop.bring()).verdict is UpdateVerdict.DONE


async def never_scheduled_ends_by_our_deadline(shop: Shop) -> None:
    """Swarm would wait for a node for ever, and its update is `updating` all the time."""
    judged = await shop.bring(deploy={"placement": {"constraints": ["node.hostname == nowhere"]}})
    assert judged.verdict is UpdateVerdict.NEVER_STARTED, judged
    assert "no suitable node" in judged.reason
    assert (await shop.there())["UpdateStatus"]["State"] == "updating"
    assert (await shop.bring(image="app:v2")).verdict is UpdateVerdict.DONE  # an update of ours is given up for it


async def update_out_of_sequence_is_read_again(
    shop: Shop, swarm_client: docker.DockerClient, patched: pytest.MonkeyPatch
) -> None:
    """Somebody writes between our read and our write."""
    whole, sent = SwarmCalls.update, []

    def disturbed(calls: SwarmCalls, service_id: str, version: int, spec: Any, *, image: str | None) -> None:
        if not sent:
            sent.append(version)
            there = swarm_client.api.inspect_service(service_id)
            labelled = {**there["Spec"], "Labels": {**there["Spec"]["Labels"], "by": "hand"}}
            whole(calls, service_id, there["Version"]["Index"], labelled, image=image)
        whole(calls, service_id, version, spec, image=image)

    patched.setattr(SwarmCalls, "update", disturbed)
    assert (await shop.bring()).verdict is UpdateVerdict.DONE
    assert "by" not in (await shop.there())["Spec"]["Labels"]


async def somebody_elses_update_is_told(shop: Shop, swarm_client: docker.DockerClient) -> None:
    """A hand's update keeps our label, and ends as it should: it is not ours."""
    slow = {"update_config": {"monitor": "5s", "failure_action": "rollback"}}
    written = await shop.write(image="app:v2", deploy=slow)
    swarm_client.services.get(written.service_id).force_update()
    assert (await shop.follow(written)).verdict is UpdateVerdict.OVERWRITTEN


async def removed_service_is_told(shop: Shop, swarm_client: docker.DockerClient) -> None:
    """Somebody ran `docker service rm`."""
    written = await shop.write()
    swarm_client.services.get(written.service_id).remove()
    assert (await shop.follow(written)).verdict is UpdateVerdict.REMOVED


@pytest.mark.long
async def test_crash_at_once_of_a_new_service_fails(shop: Shop) -> None:
    """There is nothing to go back to: Swarm starts it again for ever."""
    judged = await shop.bring(**CRASH)
    assert judged.verdict is UpdateVerdict.FAILED, judged
    assert "non-zero exit (3)" in judged.reason
    assert judged.task_id


@pytest.fixture
def second_node(swarm: Swarm) -> Iterator[SwarmNode]:
    """Add a node that has v1 of the sample app only; afterwards it is gone again, and given no task any more."""
    node = swarm.add_node()
    with client_of(node) as client:
        sample_image(client, "app:v1", version="v1")
    yield node
    node.close()
    remove_node(swarm, node)
    swarm.nodes.remove(node)


def remove_node(swarm: Swarm, node: SwarmNode) -> None:
    """Type `docker node rm --force`, where the node is still one of the Swarm's."""
    with client_of(swarm.manager) as client:
        for found in client.nodes.list():
            if found.attrs["Description"]["Hostname"] == node.hostname:
                client.api.remove_node(found.id, force=True)


@pytest.mark.long
async def test_second_node_without_the_image_then_dead(
    shop: Shop,
    swarm: Swarm,
    swarm_client: docker.DockerClient,
    second_node: SwarmNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a node alone keeps from going on is told of it; as is told then, the node goes, and the job runs."""
    await image_missing_on_one_node_is_told(shop, swarm_client, second_node)
    swarm_client.services.get(f"{shop.environment.project}_shop").remove()
    monkeypatch.setattr(following, "LOST_NODE_SECONDS", 1.0)
    await job_of_a_node_that_died_is_told(shop, second_node)
    remove_node(swarm, second_node)
    judged = await shop.bring(**JOB)
    assert judged.verdict is UpdateVerdict.DONE, judged


async def image_missing_on_one_node_is_told(
    shop: Shop, swarm_client: docker.DockerClient, second_node: SwarmNode
) -> None:
    """One replica runs what was written, the other's node has no image: neither a success nor half of one."""
    one_each = {"replicas": 2, "placement": {"max_replicas_per_node": 1}}
    assert (await shop.bring(deploy=one_each)).verdict is UpdateVerdict.DONE
    judged = await shop.bring(image="app:v2", deploy=one_each)
    assert judged.verdict is UpdateVerdict.ROLLED_BACK, judged
    assert "No such image" in judged.reason
    with client_of(second_node) as client:
        for asked in (swarm_client, client):
            assert running_image(asked, shop.environment.project) == {"app:v1"}


async def job_of_a_node_that_died_is_told(shop: Shop, second_node: SwarmNode) -> None:
    """Swarm gives it to a node that it does not know to be dead yet, and moves it nowhere when it does."""
    there = {"placement": {"constraints": [f"node.hostname == {second_node.hostname}"]}}
    second_node.stop(kill=True)
    judged = await shop.bring(**{**JOB, "deploy": there})
    assert judged.verdict is UpdateVerdict.LOST, (judged, await shop.statuses())
    assert "bring the node back or remove it (`docker node rm --force`)" in failure_hint(judged, "shop")
    assert f"{second_node.hostname} is down" in judged.reason
    assert "assigned" in [status["State"] for status in await shop.statuses()]


@pytest.mark.long
async def test_crash_after_the_monitor_is_not_done_any_more(shop: Shop) -> None:
    """Swarm calls it completed and forgets it; whoever looks again sees tasks that fail."""
    await shop.bring(healthcheck={"disable": True})
    fading = ["sh", "-c", "echo about to die; sleep 2.5; exit 4"]
    written = await shop.write(command=fading, healthcheck={"disable": True})
    assert (await shop.follow(written)).verdict is UpdateVerdict.DONE
    for _ in range(60):
        tasks = await shop.writer.ask(lambda calls: tuple(calls.tasks(service=written.service_id)))
        networks = await shop.writer.ask(lambda calls: calls.network_names())
        judged = judge_update(written, await shop.there(), tasks, networks, seconds=0)
        if judged.verdict is not UpdateVerdict.DONE:
            break
        await asyncio.sleep(0.1)
    assert judged.verdict in {UpdateVerdict.UNDER_WAY, UpdateVerdict.FAILED}, judged
    assert (await shop.there())["UpdateStatus"]["State"] == "completed"
    await shop.writer.ask(lambda calls: told_of_the_dead_one(calls, written))


def told_of_the_dead_one(calls: SwarmCalls, written: Written) -> None:
    """Where the fresh task is meant, the one that died in its place is told, with its code and last lines."""
    tasks = sorted(calls.tasks(service=written.service_id), key=lambda one: str(one["CreatedAt"]))
    (fresh,) = [task for task in tasks if task["DesiredState"] in {"running", "ready"}]
    ending, log = read_ending(calls, fresh["ID"], lines=5)
    assert tasks[-2]["ID"] in ending
    assert "failed, task: non-zero exit (4)" in ending, ending
    assert "about to die" in log, log


async def test_one_shot_runs_anew_in_each_round(shop: Shop) -> None:
    """A finished job is done, and runs again with another release; one that fails has failed."""

    def job(number: str, *command: str) -> dict[str, Any]:
        own = {"one_shot": True, "round": number}
        return {"x-deploy": own, "healthcheck": {"disable": True}, "command": list(command)}

    for number in ("1", "2"):
        judged = await shop.bring(**job(number, "echo", "migrated"))
        assert judged.verdict is UpdateVerdict.DONE, judged
        assert [status["State"] for status in await shop.statuses()].count("complete") == int(number)
    failed = await shop.bring(**job("3", "sh", "-c", "exit 5"))
    assert failed.verdict is UpdateVerdict.FAILED, failed
    assert "non-zero exit (5)" in failed.reason


async def test_open_update_is_ended_and_leads_back_no_more(shop: Shop) -> None:
    """Its tasks run, and Swarm still watches them: after the write that ends it, the way back is to the same."""
    assert (await shop.bring()).verdict is UpdateVerdict.DONE
    written = await shop.write(image="app:v2", deploy={"update_config": {"monitor": "1h"}})

    def is_open_and_runs(found: dict[str, Any], statuses: list[dict[str, Any]]) -> bool:
        return found["UpdateStatus"]["State"] == "updating" and [one["State"] for one in statuses].count("running") == 1

    async with asyncio.timeout(60):
        while not is_open_and_runs(await shop.there(), await shop.statuses()):
            await pause(0.1)
    await shop.writer.end_update(written)
    found = await shop.there()
    assert "app:v2" in found["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Image"], "the way back is to the same"
    judged = await shop.follow(written)
    assert (judged.verdict, judged.is_open) == (UpdateVerdict.DONE, False)
    found = await shop.there()
    assert "app:v2" in found["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert (found.get("UpdateStatus") or {}).get("State") != "updating"
