"""A job that refuses what a newer one left, as a migration does: no way back runs it, and what is healthy stays up."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.configuration.tables import EnvironmentSettings
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.plan import ServiceAction
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.ports import free_port
from testbed.sample import Behaviour
from testbed.swarm import Swarm, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone

# Like Alembic: a revision that it does not know is an error. What ran is counted.
MIGRATION = """
there=$$(cat /data/revision 2>/dev/null || echo 0)
if [ $$there -gt $$WANTED ]; then echo "unknown revision $$there" >&2; exit 1; fi
echo $$WANTED >/data/revision; echo $$WANTED >>/data/runs
"""


def job(wanted: int, **changes: object) -> dict[str, object]:
    """Return a migration to a revision."""
    plain = {
        "image": f"{REPOSITORY}:v1",
        "command": ["sh", "-c", MIGRATION],
        "environment": {"WANTED": str(wanted)},
        "volumes": ["data:/data"],
        "restart": "no",
        "network_mode": "none",
    }
    return plain | changes


def needing_job(image: str, **changes: object) -> dict[str, object]:
    return alone(
        image=f"{REPOSITORY}:{image}",
        depends_on={"migrate": {"condition": "service_completed_successfully"}},
        volumes=["data:/data"],
        **changes,
    )


@dataclass(frozen=True)
class Shop:
    """Deploy a migration and what needs it."""

    stack: Stack
    people: People

    def write(self, revision: int, web: str, *, migrate: dict[str, object] | None = None, **more: object) -> None:
        services = {"migrate": job(revision, **(migrate or {})), "web": needing_job(web), **more}
        self.stack.write(services, volumes={"data": {}})

    async def deploy(self, revision: int, web: str, **more: object) -> Outcome | None:
        self.write(revision, web, **more)
        return (await self.people.deploy(f"v{revision}")).outcome

    def runs(self) -> str:
        """Return which migrations ran, in order."""
        return self.stack.read("web", "/data/runs").replace("\n", "")

    def web(self) -> dict[str, str]:
        return {name: item["ImageID"] for name, item in self.stack.listed().items() if name.startswith("web")}

    def served(self, service: str = "web") -> set[str]:
        """Return the images of a service, all of which runs."""
        found = [item for item in self.stack.listed().values() if item["Labels"][SERVICE_LABEL] == service]
        assert [item["State"] for item in found] == ["running"] * len(found)
        return {item["ImageID"] for item in found}

    async def nothing_is_to_do(self) -> None:
        """See that nothing drifts, all is well, and that the release's own files change nothing."""
        application = self.people.application
        seen = await application.collector.collect_all_metrics(application.environments["dev"])
        assert seen.drift == ()
        assert {service.service: service.verdict for service in seen.services}["migrate"] == "healthy"
        plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
        assert plan.changed == (), plan.changed


@pytest.fixture
def shop(stack: Stack, people: People) -> Shop:
    return Shop(stack, people)


async def test_rollback_runs_no_job(shop: Shop, images: dict[str, str], long_lane: bool) -> None:
    """Asked for, of a healthy stack, and by itself: the old release's job would fail."""
    assert await shop.deploy(1, "v1") is Outcome.SUCCEEDED
    shop.write(2, "unhealthy")
    failed = await shop.people.deploy("v2")
    assert failed.outcome is Outcome.ROLLED_BACK
    assert "The job migrate ran. What it did is not undone." in map(str, failed.warnings)
    assert shop.web() == {"web-1": images["v1"]}
    shop.write(1, "v1")
    await shop.nothing_is_to_do()
    web = shop.stack.container("web").id
    with pytest.raises(AssertionError, match="migrate"):  # it refuses, as ever; nothing else is touched
        shop.stack.manually("up", "-d")
    assert shop.stack.container("web").id == web
    assert await shop.deploy(3, "v2") is Outcome.SUCCEEDED
    plan = await shop.people.application.orchestrator.plan(request(DeploymentKind.ROLLBACK))
    assert [(service.service, service.action) for service in plan.changed] == [
        ("web", ServiceAction.RECREATE),
        ("migrate", ServiceAction.REMOVE),
    ]
    assert "migrate does not run again" in " ".join(plan.warnings)
    succeeded(await shop.people.rollback())
    assert (shop.web(), shop.runs()) == ({"web-1": images["v1"]}, "123")
    shop.write(1, "v1")
    await shop.nothing_is_to_do()
    if long_lane:
        await hands_and_drift_run_none(shop, images)


async def hands_and_drift_run_none(shop: Shop, images: dict[str, str]) -> None:
    # What hands ran of it is no drift, and bringing it in order runs nothing.
    shop.write(4, "v1")
    shop.stack.manually("up", "-d", "--force-recreate", "migrate")
    assert shop.stack.container("migrate").wait()["StatusCode"] == 0
    shop.write(1, "v1")
    await shop.nothing_is_to_do()
    succeeded(await shop.people.deploy("v1"))
    assert shop.runs() == "1234"
    await restoring_after_drift_runs_none(shop, images["v1"])
    assert await shop.deploy(5, "v2") is Outcome.SUCCEEDED
    assert shop.runs() == "12345"


async def restoring_after_drift_runs_none(shop: Shop, image: str) -> None:
    """As *Restore the release* asks for it: go to the release that the environment is on."""
    shop.write(1, "v2")
    shop.stack.manually("up", "-d", "--no-deps", "web")
    assert shop.web() != {"web-1": image}
    current = await shop.people.application.state.releases.current("dev")
    succeeded(await shop.people.rollback(to=current.number))
    assert (shop.web(), shop.runs()) == ({"web-1": image}, "1234")


@pytest.mark.long
async def test_job_that_failed_is_gone_after_rollback(shop: Shop, images: dict[str, str]) -> None:
    """It made the deployment fail: nothing of it is left that would be unhealthy."""
    assert await shop.deploy(2, "v1") is Outcome.SUCCEEDED
    assert await shop.deploy(1, "v2") is Outcome.ROLLED_BACK
    assert (shop.web(), shop.runs()) == ({"web-1": images["v1"]}, "2")
    shop.write(2, "v1")
    await shop.nothing_is_to_do()


@pytest.mark.long
async def test_job_runs_on_rollback_where_it_says_so(shop: Shop) -> None:
    again = {"command": ["sh", "-c", "echo $$WANTED >>/data/runs"], "x-deploy": {"on_rollback": "run"}}
    assert await shop.deploy(1, "v1", migrate=again) is Outcome.SUCCEEDED
    assert await shop.deploy(2, "v2", migrate=again) is Outcome.SUCCEEDED
    plan = await shop.people.application.orchestrator.plan(request(DeploymentKind.ROLLBACK))
    told = {service.service: " ".join(service.reasons) for service in plan.changed}
    assert "it is a job, and runs" in told["migrate"]
    succeeded(await shop.people.rollback())
    assert shop.runs() == "121"


# What is deployed first ends at once where this file is there.
STUMBLES = ["sh", "-c", "test -e /data/broken-$$VERSION && exit 3; exec /serve"]


def stumbling(version: str, **changes: object) -> dict[str, object]:
    return needing_job(version, command=STUMBLES, environment={"VERSION": version}, **changes)


KEPT_PLACES = {
    "stop-first": {},
    "start-first": {"deploy": {"rollback_config": {"order": "start-first"}}},
    "a fixed port": {"ports": ["PORT:8080"]},
    "a fixed name": {"container_name": "NAME"},
    "an unnamed volume": {"volumes": ["data:/data", "/own"]},
    "one at a time": {"deploy": {"replicas": 2, "rollback_config": {"parallelism": 1}}},
    "all at once": {"deploy": {"replicas": 2, "rollback_config": {"parallelism": 0, "monitor": "100ms"}}},
}


# Where both cannot run at once, the old one is set aside; what else the file says of the order is a variation of that.
SET_ASIDE = ("stop-first",)


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=() if place in SET_ASIDE else pytest.mark.long) for place in KEPT_PLACES]
)
async def test_failed_replacement_leaves_what_was_healthy(shop: Shop, images: dict[str, str], place: str) -> None:
    """The way back fails at one service: what it was to replace serves again."""
    kept: dict[str, object] = dict(KEPT_PLACES[place])
    kept |= {"ports": [f"127.0.0.1:{free_port()}:8080"]} if "ports" in kept else {}
    kept |= {"container_name": f"{shop.stack.base_name}-named"} if "container_name" in kept else {}

    def write(version: str, other: str, after: dict[str, object]) -> None:
        web = stumbling(version) | kept
        if "ports" in kept:  # in a network of its own stack
            del web["network_mode"]
        services = {"migrate": job(1), "web": web, "other": alone(image=f"{REPOSITORY}:{other}", depends_on=after)}
        shop.stack.write(services, volumes={"data": {}})

    write("v1", "v1", {})
    succeeded(await shop.people.deploy("v1"))
    shop.stack.containers("dev", f"{SERVICE_LABEL}=web")[0].exec_run(["touch", "/data/broken-v1"])
    # By itself: another service fails after web is well.
    write("v2", "unhealthy", {"web": {"condition": "service_healthy"}})
    since = time.time()
    deployment = await shop.people.deploy("v2")
    assert (deployment.outcome, deployment.problem.key) == (Outcome.FAILED, "rollback_failed"), deployment.problem
    assert shop.served() == {images["v2"]}
    filters = {"event": "create", "label": [f"{PROJECT_LABEL}={shop.stack.project()}", f"{SERVICE_LABEL}=web"]}
    created = shop.stack.client.events(since=since, until=time.time(), filters=filters, decode=True)
    of_v2 = [item for item in created if ":v2" in item["Actor"]["Attributes"]["image"]]
    times = 2 if place in {"a fixed name", "an unnamed volume"} else 1
    assert len(of_v2) == times * len(shop.stack.containers("dev", f"{SERVICE_LABEL}=web")), (
        "the very ones that were stopped"
    )
    # And asked for, of a healthy stack; what had gone back already comes back, too.
    write("v2", "v2", {})
    succeeded(await shop.people.deploy("v2"))
    deployment = await shop.people.rollback(to=1)
    assert deployment.outcome is Outcome.FAILED
    assert shop.served() == {images["v2"]}
    assert shop.served("other") == {images["v2"]}
    current = await shop.people.application.state.releases.current("dev")
    assert f"dev is on {current.label}" in deployment.problem.hint
    assert current.number == deployment.from_release


@pytest.mark.engine
@pytest.mark.long
async def test_rollback_on_swarm_runs_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on one machine: by itself and asked for, and however often the same was deployed before."""
    versions: dict[str, Behaviour] = {**healthy(["v1", "v2"]), "exits": "exits"}
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with (
        Swarm(tmp_path / "swarm") as swarm,
        swarm_registry(swarm, tmp_path / "registry", versions, name="jobs") as registry,
        client_of(swarm.manager) as client,
    ):
        registry.write_login(tmp_path / "docker")
        stack = Stack(tmp_path / "stack", "jobs", client, swarm.docker_host)
        quick = {"dev": EnvironmentSettings(engine="swarm", observation_seconds=0.2)}
        async with open_application(settings_for(stack, tmp_path / "state", environments=quick)) as application:
            await played_on_swarm(People(application), stack, StackView(swarm, "jobs-dev"), registry.address)
        assert StackView(swarm, "jobs-dev").remove()


async def played_on_swarm(people: People, stack: Stack, look: StackView, registry: str) -> None:
    here = {"endpoint_mode": "dnsrr", "placement": {"constraints": ["node.hostname == node1"]}}
    updated = {"update_config": {"monitor": "1s"}, "restart_policy": {"condition": "any", "delay": "300ms"}}
    own = {"image": f"{registry}/jobs:v1", "restart": None, "network_mode": None, "deploy": here}

    def write(revision: int, web: str) -> None:
        migrate = {key: value for key, value in job(revision, **own).items() if value is not None}
        serving = {
            "image": f"{registry}/jobs:{web}",
            "stop_grace_period": "1s",
            "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
            "volumes": ["data:/data"],
            "deploy": here | updated,
        }
        stack.write({"migrate": migrate, "web": serving}, volumes={"data": {}})

    async def settled(revision: int, web: str, ran: str) -> None:
        assert dict(look.versions("web")) == {web: 1}
        assert {item.replace("\n", "") for item in look.inside("web", "/data/runs")} == {ran}
        write(revision, web)
        application = people.application
        seen = await application.collector.collect_all_metrics(application.environments["dev"])
        assert seen.drift == ()
        plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, version=web))
        assert plan.changed == (), plan.changed

    write(1, "v1")
    succeeded(await people.deploy("v1"))
    write(2, "exits")
    assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
    await settled(1, "v1", "12")
    write(3, "v2")
    for _ in range(3):
        assert succeeded(await people.deploy("v2")).to_release == 3
    succeeded(await people.rollback())
    await settled(1, "v1", "123")
