"""How long a release was healthy in an environment, and which files and images count as the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.planning.planner import Planner
from roas.deploy.planning.promotion import (
    Promotion,
    Run,
    Trouble,
    find_promotion,
    find_runs,
    find_stops,
    healthy_time,
    next_environment,
    taken_images,
)
from roas.errors import ComposeFileError, InvalidRequestError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Operation,
    Outcome,
    ServiceProgress,
    ServiceStep,
    Stop,
)
from roas.models.environment import Environment, Repository
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition
from roas.stack.interface import SharedFiles

DORA = Actor(ActorKind.DISCORD, "1", "dora")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
OK, BACK, FAILED, CANCELLED = Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.CANCELLED


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def deployment(began, ended, outcome, old, new, *, operation=None, touched=True):
    asked = DeploymentRequest("staging", DeploymentKind.DEPLOY, DORA, "v1", operation=operation)
    step = ServiceStep.HEALTHY if touched else ServiceStep.PENDING
    return Deployment(
        f"DEPLOY-{began}",
        asked,
        "standard",
        "COR-1",
        at(began),
        services=(ServiceProgress("web", step),),
        from_release=old,
        to_release=new,
        outcome=outcome,
        ended_at=None if ended is None else at(ended),
    )


async def test_file_that_does_not_fit_is_said_to_be_the_other_environments():
    async def resolve(*_, **__):
        raise ComposeFileError("env file /srv/site/front.env not found", hint="Correct the file")

    stacks: Any = SimpleNamespace(of=lambda _: SimpleNamespace(resolve=resolve))
    planner = Planner(SimpleNamespace(stacks=stacks), SimpleNamespace(name="site"))
    release = SimpleNamespace(label="r4", environment="blog", version="v1")
    with pytest.raises(ComposeFileError, match="env file") as raised:
        await planner._resolve("v1", Promotion(release, {}, SharedFiles()), keep=False)
    assert "the compose file of r4 of blog, with what lies in the folder of site" in raised.value.hint


async def test_release_that_is_not_kept_any_more_is_promoted_by_what_runs():
    """A message of long ago offers it: what runs there now is promoted instead, as told."""
    release = SimpleNamespace(label="r9", number=9, state=ReleaseState.SUCCEEDED, model_hash="m")

    async def nothing(*_):
        return None

    async def files_of(_):
        return SharedFiles()

    async def load_model(_):
        return {"services": {}}

    async def current(_):
        return release

    releases = SimpleNamespace(current=current, get=nothing)
    stack = SimpleNamespace(releases=SimpleNamespace(files_of=files_of), load_model=load_model)
    state = SimpleNamespace(releases=releases, deployments=SimpleNamespace(active=nothing))
    components: Any = SimpleNamespace(state=state, stacks=SimpleNamespace(of=lambda _: stack))
    target = Environment("prod", "prod", Path("/srv/prod"), ())
    asked = DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, "v1", promoted_from="dev", promoted_release=1)
    with pytest.raises(InvalidRequestError, match="is not kept any more") as refused:
        await find_promotion(components, target, asked)
    assert refused.value.hint == "Use /promote for what dev runs now."
    assert (await find_promotion(components, target, replace(asked, promoted_release=None))).release is release


FIRST = deployment(0, 5, OK, None, 1)


@pytest.mark.parametrize(
    ("later", "runs"),
    [
        pytest.param([], [(1, 5, None)], id="one"),
        pytest.param([deployment(60, 65, OK, 1, 2)], [(1, 5, 60), (2, 65, None)], id="the next one"),
        pytest.param([deployment(60, 65, OK, 1, 1)], [(1, 5, None)], id="the same once more"),
        pytest.param([deployment(60, 65, BACK, 1, 2)], [(1, 5, 60), (1, 65, None)], id="one that was rolled back"),
        pytest.param([deployment(60, 65, FAILED, 1, 2)], [(1, 5, 60)], id="a mixture runs"),
        pytest.param([deployment(60, 65, FAILED, 1, 2, touched=False)], [(1, 5, None)], id="nothing was touched"),
        pytest.param([deployment(60, 65, CANCELLED, 1, 2)], [(1, 5, None)], id="cancelled"),
        pytest.param([deployment(60, None, None, 1, 2)], [(1, 5, None)], id="under way"),
        pytest.param([deployment(60, 65, OK, 1, 1, operation=Operation.RESTART)], [(1, 5, None)], id="a restart"),
    ],
)
def test_runs_of_an_environment(later, runs):
    expected = [Run(release, at(began), None if ended is None else at(ended)) for release, began, ended in runs]
    assert find_runs([FIRST, *later]) == expected


def trouble(began, ended=None):
    return Trouble(at(began), None if ended is None else at(ended), "web")


@pytest.mark.parametrize(
    ("ended", "troubles", "healthy"),
    [
        pytest.param(None, [], (0, 90), id="until now"),
        pytest.param(60, [], (0, 60), id="until it was replaced"),
        pytest.param(None, [trouble(-20, -10)], (0, 90), id="before it ran"),
        pytest.param(None, [trouble(-20, 10)], (10, 80), id="when it came"),
        pytest.param(None, [trouble(20, 30), trouble(40, 45)], (45, 45), id="since the last one"),
        pytest.param(None, [trouble(20)], None, id="open"),
        pytest.param(60, [trouble(50, 70)], None, id="when it was replaced"),
        pytest.param(60, [trouble(70)], (0, 60), id="after it was replaced"),
    ],
)
def test_healthy_time(ended, troubles, healthy):
    run = Run(1, NOON, None if ended is None else at(ended))
    expected = None if healthy is None else (at(healthy[0]), timedelta(minutes=healthy[1]))
    assert healthy_time(run, troubles, at(90)) == expected


STOP, START, SCALE = Operation.STOP, Operation.START, Operation.SCALE


def operated(began, operation, *services, replicas=None):
    """Return an operation of a minute."""
    done = deployment(began, began + 1, OK, 1, 1, operation=operation)
    return replace(done, request=replace(done.request, services=services, replicas=replicas))


@pytest.mark.parametrize(
    ("later", "marked", "stopped"),
    [
        pytest.param([operated(10, STOP, "web")], True, [(10, None)], id="stopped"),
        pytest.param([operated(10, STOP, "web")], False, [], id="started by hand"),
        pytest.param([operated(10, STOP, "web"), operated(20, START, "web")], False, [(10, 21)], id="started"),
        pytest.param([operated(10, STOP, "web"), operated(20, START, "worker")], True, [(10, None)], id="another"),
        pytest.param([operated(10, STOP, "web"), deployment(20, 25, OK, 1, 1)], False, [(10, 25)], id="deployed"),
        pytest.param(
            [operated(10, SCALE, "web", replicas=0), operated(20, SCALE, "web", replicas=2)],
            False,
            [(10, 21)],
            id="scaled to none",
        ),
        pytest.param([operated(10, SCALE, "web", replicas=2)], False, [], id="scaled"),
    ],
)
def test_stopped_service_is_no_healthy_one(later, marked, stopped):
    marks = {"web": Stop("staging", "web", DORA, "", at(10))} if marked else {}
    found = [(trouble.began, trouble.ended) for trouble in find_stops([FIRST, *later], marks)]
    assert found == [(at(began), None if ended is None else at(ended)) for began, ended in stopped]


@pytest.mark.parametrize(
    ("image", "built", "taken"),
    [
        ("registry.test/app:v2", False, True),
        ("registry.test/app:v1-alpine", False, True),
        ("elsewhere.test/app:v2", False, False),
        ("stack-prod-web", True, True),
    ],
)
def test_image_of_another_repository_is_an_override(image, built, taken):
    pin = ImagePin("registry.test/app:v2", "sha256:1")
    services = (ReleaseService("web", pin, "h"), ReleaseService("gone", pin, "h"))
    release = Release("staging", 1, "v2", ReleaseState.SUCCEEDED, services, "m", NOON, DORA)
    definitions = {
        "web": ServiceDefinition("web", image, "h", built=built),
        "own": ServiceDefinition("own", "registry.test/app:v2", "h"),
    }
    assert taken_images(release, definitions) == ({"web": pin} if taken else {})


def test_overrides_of_another_folder_are_not_shared():
    """In one folder a name means one file; in two, only the first compose file and what it includes are meant."""
    files = SharedFiles({"compose.yml": "1", "override.yml": "2", "common.yml": "3"}, {}, ("override.yml",), "/srv/a")
    assert files.shared_with("/srv/a", ("compose.prod.yml",)).compose == files.compose
    assert set(files.shared_with("/srv/b", ("common.yml",)).compose) == {"compose.yml"}


GIT = {"url": "https://git.example.org/shop.git", "path": "deploy"}


@pytest.mark.parametrize(
    ("places", "requires", "target"),
    [
        ("aaa", {}, "staging"),
        ("aba", {}, "prod"),
        ("abc", {}, ""),
        ("aaa", {"staging": "prod"}, "prod"),
        ("aaa", {"prod": "dev"}, "prod"),
        ("abc", {"prod": "dev"}, "prod"),
        ("aaa", {"staging": "prod", "prod": "staging"}, ""),
        ("gig", {}, "prod"),
        ("ghi", {}, ""),
    ],
)
def test_next_environment(places, requires, target):
    """What requires it, or the next one of the same folder or repository that requires no other."""
    repositories = {"g": Repository(**GIT), "h": Repository(**GIT | {"path": "other"})}
    environments = {
        name: Environment(
            name,
            name,
            Path("/srv", name if place in "ghi" else place),
            (),
            repository=repositories.get(place),
            requires=requires.get(name, ""),
        )
        for name, place in zip(("dev", "staging", "prod"), places, strict=True)
    }
    assert next_environment(environments, "dev") == target


def test_next_is_all_hosts_and_never_one_of_them():
    """What requires an environment is named as people name it; a release of many hosts goes nowhere."""
    whole = Environment("prod", "shop", Path("/shop"), (), requires="dev")
    host = replace(whole, name="prod@a", part_of="prod")
    whole = replace(whole, hosts=(host,))
    known = {"dev": Environment("dev", "shop-dev", Path("/shop"), ()), "prod": whole, "prod@a": host}
    known["late"] = Environment("late", "shop-late", Path("/shop"), ())
    assert next_environment(known, "dev") == "prod"
    assert next_environment(known, "prod") == ""
    assert next_environment(known, "prod@a") == ""
