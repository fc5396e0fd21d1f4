"""Releases are kept, protected, and honest about what cannot be brought back."""

import contextlib
from dataclasses import replace

import docker
import pytest

from roas import limits
from roas.app.application import open_application
from roas.errors import InvalidRequestError, ReleaseNotRestorableError
from roas.limits import STANDARD
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.phases import PhaseName
from testbed.sample import sample_image
from tests.e2e.acceptance.people import ANNA, DORA, People, request, succeeded
from tests.e2e.acceptance.stack import WATCHED_CHECK, alone
from tests.e2e.wire.refusing_engine import RefusingEngine

OWN_REPOSITORY = "roas-acceptance/kept"


@pytest.fixture
def make(stack):
    """Make an image that only its tag and our own tags hold: `make("v1")`."""
    made = []

    def make(version: str) -> str:
        made.append(f"{OWN_REPOSITORY}:{version}")
        return sample_image(stack.client, made[-1], version=f"{stack.base_name} {version}")

    yield make
    for tag in made:
        with contextlib.suppress(docker.errors.APIError):
            stack.client.images.remove(tag, force=True)


@pytest.fixture
def two_releases(stack, make):
    """Write a stack of an image of this file's own, and make v1 and v2 of it."""
    stack.write({"web": alone(image=f"{OWN_REPOSITORY}:${{VERSION}}")})
    return {version: make(version) for version in ("v1", "v2")}


async def test_repeated_deployments_keep_the_way_back(people, stack, two_releases):
    """As CI does, the same again and again: that makes no release, and a plain rollback goes to the other version."""
    state = people.application.state
    await people.succeed("v1")
    for number, by in enumerate((ANNA, DORA) * 5 + (ANNA,)):
        commit = f"{number:040x}"  # the files are the same in it
        started = await people.succeed("v2", by=by, stack_commit=commit)
        [told] = await state.records.list("dev", limit=1)
        assert (told.id, told.version, told.requested_by, told.commit) == (started.id, "v2", by.name, commit)
        assert told.to_release == 2
    stack.container("web").remove(force=True)
    assert (await people.succeed("v2")).to_release == 2, "what is missing is made again"
    assert stack.images() == {"web-1": two_releases["v2"]}
    assert [release.number for release in await state.releases.list("dev")] == [2, 1]
    succeeded(await people.rollback())
    assert stack.images() == {"web-1": two_releases["v1"]}
    with pytest.raises(InvalidRequestError, match="no release before the current one, none that differs"):
        await people.rollback()


async def test_images_are_named_before_any_bot_needs_them(people, stack, make, images):
    """Also those of services that another bot is to create: a successor of an older version names none by itself."""
    after = {"store": {"condition": "service_healthy"}}
    store = alone(image="roas-acceptance/app:exits")
    stack.write({"store": store, "web": alone(image=f"{OWN_REPOSITORY}:${{VERSION}}", depends_on=after)})
    image = make("v1")
    assert (await people.deploy("v1")).outcome is Outcome.ROLLED_BACK
    assert any(tag.startswith(f"roas/{OWN_REPOSITORY}:v1-") for tag in stack.client.images.get(image).tags)


def exists(stack, image_id: str) -> bool:
    """Ask the engine whether an image is there."""
    try:
        stack.client.images.get(image_id)
    except docker.errors.ImageNotFound:
        return False
    return True


async def test_kept_release_survives_image_prune(people, stack, make, two_releases):
    """A kept release survives an image prune, and is restored without its tag; once its image is gone, it is refused.

    What becomes of a deployment then is said before anybody says yes, and asks for an operator if it fails.
    """
    await people.succeed("v1")
    await people.succeed("v2")
    stack.client.images.remove(f"{OWN_REPOSITORY}:v1")
    stack.client.images.prune()
    assert exists(stack, two_releases["v1"])
    succeeded(await people.rollback())
    assert stack.images() == {"web-1": two_releases["v1"]}
    await release_with_missing_image_is_refused(people, stack, two_releases["v2"])
    third = make("v3")
    await plan_says_that_there_is_no_way_back(people, stack, two_releases["v1"])
    await people.succeed("v3")
    await failed_rollback_needs_operator(people, stack, third)


async def release_with_missing_image_is_refused(people, stack, image_id):
    """Before anything is touched."""
    before = stack.ids()
    prune_all(stack, image_id)
    with pytest.raises(ReleaseNotRestorableError, match="images of web are gone"):
        await people.application.orchestrator.plan(request(DeploymentKind.ROLLBACK, target_release=2))
    with pytest.raises(ReleaseNotRestorableError) as refused:
        await people.rollback(to=2)
    assert "r2 cannot be restored: the images of web are gone" in refused.value.message
    assert "choose another release" in refused.value.hint.lower()
    assert stack.ids() == before
    release = await people.application.state.releases.get("dev", 2)
    environment = people.application.environments["dev"]
    assert await people.application.stacks.of(environment).releases.missing_images(release) == ("web",)


async def plan_says_that_there_is_no_way_back(people, stack, image_id):
    """`docker system prune -af` takes stopped containers, and then their images."""
    asked = request(DeploymentKind.DEPLOY, version="v3")
    warnings = (await people.application.orchestrator.plan(asked)).warnings
    assert not [text for text in warnings if "docker compose up -d" not in text]
    for container in stack.containers():
        container.remove(force=True)
    prune_all(stack, image_id)
    plan = await people.application.orchestrator.plan(asked)
    assert "Should this fail, r1 cannot be restored: the images of web are gone." in plan.warnings


async def failed_rollback_needs_operator(people, stack, image_id):
    """A failed deployment whose way back was pruned in its middle asks for an operator, and stops nothing for it."""
    sample_image(stack.client, f"{OWN_REPOSITORY}:broken", version="x", behaviour="unhealthy")
    stack.write({"web": alone(image=f"{OWN_REPOSITORY}:${{VERSION}}", healthcheck=WATCHED_CHECK)})
    started = await people.application.orchestrator.start(request(DeploymentKind.DEPLOY, version="broken"))
    await until_gone(people, stack, image_id)
    deployment = await people.application.orchestrator.wait(started.id)
    assert deployment.outcome is Outcome.FAILED
    assert deployment.problem.key == "rollback_failed"
    assert "health check fails" in deployment.problem.message
    assert "rollback failed too" in deployment.problem.message
    assert "operator" in deployment.problem.hint
    assert "the images of web are gone" in deployment.problem.message
    assert [container.status for container in stack.containers()] == ["running"]
    stack.client.images.remove(f"{OWN_REPOSITORY}:broken", force=True)


@pytest.mark.long
async def test_release_whose_tags_went_while_it_ran_is_protected_again(people, stack, make):
    """`docker system prune -af` leaves containerd's store the one tag that an adopted container is called by."""
    stack.write({"web": alone(image=f"{OWN_REPOSITORY}:stable")})
    first = make("stable")
    stack.manually("up", "-d")
    await people.succeed("v1")
    assert stack.images() == {"web-1": first}
    for tag in stack.client.images.get(first).tags:
        if tag != f"{OWN_REPOSITORY}:stable":
            stack.client.images.remove(tag)
    second = make("stable")
    await people.succeed("v2")
    stack.client.images.prune()
    assert exists(stack, first)
    assert stack.images() == {"web-1": second}
    succeeded(await people.rollback())
    assert stack.images() == {"web-1": first}


@pytest.mark.long
async def test_older_releases_lose_tags(settings, stack, make, tmp_path, monkeypatch):
    """What a stalled completion has forgotten and could not let go of, the next one does; what is another's stays."""
    stack.write({"web": alone(image=f"{OWN_REPOSITORY}:${{VERSION}}")})
    made = {version: make(version) for version in ("v1", "v2", "v3", "v4", "other")}
    async with RefusingEngine(stack.docker_host, tmp_path / "engine.sock").listening() as engine:
        changes = {"releases_kept": 2, "docker_host": engine.docker_host}
        async with open_application(settings.model_copy(update=changes)) as application:
            people = People(application)
            for version in ("v1", "v2"):
                await people.succeed(version)
            await stalled_completion_undoes_nothing(people, stack, made["v3"], engine, monkeypatch)
            repository = f"roas-release/{stack.project()}-web"
            for tag in ("r2", "r99"):  # one that a release to be forgotten has, and one of none
                stack.client.api.tag(made["other"], repository, tag)
            await people.succeed("v4")
            assert [release.number for release in await application.state.releases.list("dev")] == [4, 3]
            tags = {tag for image in stack.client.images.list() for tag in image.tags if tag.startswith(repository)}
            assert tags == {f"{repository}:{tag}" for tag in ("r2", "r3", "r4", "r99")}
            # Two models, and the list of the files that both were made of.
            assert len(list((settings.state_dir / "models").glob("*.yml"))) == 3
            for version in ("v1", "v2", "v3", "v4"):
                stack.client.images.remove(f"{OWN_REPOSITORY}:{version}", force=True)
            stack.client.images.prune()
            assert [exists(stack, made[version]) for version in ("v1", "v3", "v4")] == [False, True, True]
            with pytest.raises(ReleaseNotRestorableError) as refused:
                await people.rollback(to=1)
            assert "r1 cannot be restored: it is not kept any more" in refused.value.message
            assert "roas releases dev" in refused.value.hint


async def stalled_completion_undoes_nothing(people, stack, image_id, engine, monkeypatch):
    short = tuple(replace(p, timeout_seconds=2.0) if p.name is PhaseName.COMPLETION else p for p in STANDARD.phases)
    table = {**limits.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=short)}
    with monkeypatch.context() as patched:
        patched.setattr(limits, "COORDINATIONS", table)
        engine.mode = "stall"
        deployment = await people.succeed("v3")
    assert engine.met
    assert any("completion did not end within 2 s" in warning for warning in deployment.warnings)
    engine.mode = "pass"
    assert stack.images() == {"web-1": image_id}
    assert (await people.application.state.releases.current("dev")).number == 3
    repository = f"roas-release/{stack.project()}-web"
    assert stack.client.images.get(f"{repository}:r1"), "it could not be let go of"


def prune_all(stack, image_id: str) -> None:
    """Remove one image with all its tags, as `docker image prune -a` removes every image that nothing uses."""
    stack.client.images.remove(image_id, force=True)
    assert not exists(stack, image_id)


async def until_gone(people, stack, image_id: str) -> None:
    """Wait until no container uses an image, and remove it with all its tags."""
    environment = people.application.environments["dev"]
    async with people.application.stacks.of(environment).events() as events:
        while any(container.attrs["Image"] == image_id for container in stack.containers()):
            await anext(events)
    prune_all(stack, image_id)
