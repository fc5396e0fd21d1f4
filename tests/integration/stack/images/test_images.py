"""Images come from where they should, and are the ones that were planned."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import docker
import pytest

from roas.errors import (
    BuildFailedError,
    ImageNotFoundError,
    RegistryUnavailableError,
    ReleaseNotRestorableError,
)
from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.models.release import Release, ReleaseState
from roas.models.stack import WantedImage
from roas.stack.interface import PinnedStack, ProgressReport
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import draft
from tests.integration.stack.fake_registry import FakeRegistry

Reports = list[tuple[str, str, float | None]]


@pytest.fixture
async def registry(docker_client: docker.DockerClient) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().serve() as serving:
        yield serving
        for image in docker_client.images.list():
            for tag in image.tags:
                if tag.startswith(f"127.0.0.1:{serving.port}/"):
                    docker_client.images.remove(tag, force=True)


@pytest.fixture
def reports() -> Reports:
    return []


@pytest.fixture
def report(reports: Reports) -> ProgressReport:
    async def note(service: str, text: str, fraction: float | None) -> None:
        reports.append((service, text, fraction))

    return note


async def look_up(engine: Stacks, environment: Environment) -> WantedImage:
    stack = await engine.of(environment).resolve(None)
    return (await engine.of(stack.environment).images.look_up(stack, frozenset({"web"})))["web"]


def one(image: str, fields: str = "") -> str:
    return f"services: {{web: {{image: '{image}', {fields}}}}}"


async def test_missing_image_pulled_and_verified(
    engine: Stacks,
    stack: Callable[..., Environment],
    registry: FakeRegistry,
    report: ProgressReport,
    reports: Reports,
    docker_client: docker.DockerClient,
) -> None:
    digest = registry.publish("v1", "one")
    environment = stack(one(registry.reference("v1")))
    wanted = await look_up(engine, environment)
    assert (wanted.must_pull, wanted.image_id) == (True, None)
    assert wanted.digest == f"127.0.0.1:{registry.port}/app@{digest}"
    image_id = await engine.of(environment).images.pull(wanted, ("web",), report)
    assert image_id == docker_client.images.get(registry.reference("v1")).id
    assert reports
    drafted = await draft(engine, environment, None)
    assert drafted.services[0].image.digest == wanted.digest


async def test_local_image_pulled_only_by_always(
    engine: Stacks, stack: Callable[..., Environment], registry: FakeRegistry, report: ProgressReport
) -> None:
    registry.publish("v1", "one")
    environment = stack(one(registry.reference("v1")))
    await engine.of(environment).images.pull(await look_up(engine, environment), ("web",), report)
    registry.publish("v1", "two")
    registry.asked.clear()
    assert not (await look_up(engine, environment)).must_pull
    assert not (await look_up(engine, stack(one(registry.reference("v1"), "pull_policy: never")))).must_pull
    assert registry.asked == []
    environment = stack(one(registry.reference("v1"), "pull_policy: always"))
    newer = await look_up(engine, environment)
    assert newer.must_pull
    await engine.of(environment).images.pull(newer, ("web",), report)
    assert not (await look_up(engine, environment)).must_pull


async def test_planned_content_is_pulled_and_moves_no_name(
    engine: Stacks,
    stack: Callable[..., Environment],
    registry: FakeRegistry,
    report: ProgressReport,
    docker_client: docker.DockerClient,
) -> None:
    """Somebody moved the tag since; and what it means here runs until a release with the image is brought up."""
    name = registry.reference("v1")
    docker_client.images.get("tiny:v1").tag(*name.rsplit(":", 1))
    before = docker_client.images.get(name).id
    registry.publish("v1", "one")
    planned = await look_up(engine, stack(one(name, "pull_policy: always")))
    registry.publish("v1", "two")
    image_id = await engine.of(stack(one(name))).images.pull(planned, ("web",), report)
    assert docker_client.images.get(planned.digest).id == image_id != before
    assert docker_client.images.get(name).id == before


async def test_unknown_tag_not_found(
    engine: Stacks, stack: Callable[..., Environment], registry: FakeRegistry, report: ProgressReport
) -> None:
    environment = stack(one(registry.reference("nope")))
    with pytest.raises(ImageNotFoundError, match="nope"):
        await look_up(engine, environment)
    wanted = WantedImage(registry.reference("nope"), must_pull=True)
    with pytest.raises(ImageNotFoundError, match="nope"):
        await engine.of(environment).images.pull(wanted, ("web",), report)


async def test_unpullable_image_must_be_local(engine: Stacks, stack: Callable[..., Environment]) -> None:
    with pytest.raises(ImageNotFoundError, match="never"):
        await look_up(engine, stack(one("nowhere:v1", "pull_policy: never")))


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_registry_server_error_is_transient(
    engine: Stacks, stack: Callable[..., Environment], registry: FakeRegistry, status: int
) -> None:
    registry.status = status
    with pytest.raises(RegistryUnavailableError) as caught:
        await look_up(engine, stack(one(registry.reference("v1"))))
    assert caught.value.transient


async def test_unreachable_registry_is_transient(
    engine: Stacks, stack: Callable[..., Environment], report: ProgressReport
) -> None:
    environment = stack(one("127.0.0.1:9/app:v1"))
    with pytest.raises(RegistryUnavailableError):
        await look_up(engine, environment)
    with pytest.raises(RegistryUnavailableError):
        await engine.of(environment).images.pull(WantedImage("127.0.0.1:9/app:v1", must_pull=True), ("web",), report)


BUILT = """
services:
  web:
    build: {context: ., args: {WHAT: "${VERSION}"}}
"""
DOCKERFILE = """FROM tiny:v1
ARG WHAT
RUN echo "building $WHAT"
LABEL what=$WHAT
"""


@pytest.mark.parametrize("policy", ["never", "missing", "always"])
async def test_image_that_cannot_be_pulled_is_built(
    engine: Stacks, stack: Callable[..., Environment], policy: str
) -> None:
    """As in Compose: with `build`, an image that is nowhere is no fault, whatever the pull policy."""
    environment = stack(one("127.0.0.1:1/nowhere:v1", f"build: ., pull_policy: {policy}"))
    (environment.folder / "Dockerfile").write_text("FROM tiny:v1\n")
    assert (await look_up(engine, environment)).build_hash is not None


async def test_build_uses_requested_version(
    engine: Stacks,
    stack: Callable[..., Environment],
    report: ProgressReport,
    reports: Reports,
    docker_client: docker.DockerClient,
) -> None:
    environment = stack(BUILT)
    (environment.folder / "Dockerfile").write_text(DOCKERFILE)
    resolved = await engine.of(environment).resolve("v7")
    wanted = (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"]
    assert wanted.build_hash is not None
    assert wanted.identity == wanted.build_hash
    image_id = await engine.of(resolved.environment).images.build(resolved, "web", report)
    image = docker_client.images.get(image_id)
    assert image.labels["what"] == "v7"
    assert any("building v7" in text for _, text, _ in reports)
    assert any(fraction for _, _, fraction in reports)
    drafted = await engine.of(resolved.environment).releases.pin(resolved, {"web": image_id})
    assert drafted.services[0].image.built
    assert "build" not in (await engine.load_model(drafted.model_hash))["services"]["web"]
    docker_client.images.remove(image_id, force=True)


async def test_failed_build_shows_log_end(
    engine: Stacks, stack: Callable[..., Environment], report: ProgressReport
) -> None:
    environment = stack(BUILT)
    (environment.folder / "Dockerfile").write_text("FROM tiny:v1\nRUN echo connection refused; exit 3\n")
    with pytest.raises(BuildFailedError) as caught:
        await engine.of(environment).images.build(await engine.of(environment).resolve("v7"), "web", report)
    assert "connection refused" in caught.value.report
    assert not caught.value.transient


def release_of(drafted: PinnedStack, number: int = 3) -> Release:
    return Release(
        environment="dev",
        number=number,
        version="v1",
        state=ReleaseState.SUCCEEDED,
        services=drafted.services,
        model_hash=drafted.model_hash,
        created_at=datetime.now(UTC),
        created_by=Actor(ActorKind.SYSTEM, "0", "test"),
    )


async def test_prune_spares_protected_release(
    engine: Stacks, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    docker_client.api.import_image_from_data(b"\0" * 10240, repository="passing", tag="v1")
    environment = stack(one("passing:v1"))
    drafted = await draft(engine, environment)
    release, other = release_of(drafted), release_of(drafted, 4)
    await engine.of(environment).releases.protect(release, "JOURNAL-1")
    await engine.of(environment).releases.protect(other, "JOURNAL-2")
    assert await engine.of(environment).releases.journals() == {"JOURNAL-2"}
    docker_client.images.remove("passing:v1")
    docker_client.images.prune()
    assert await engine.of(environment).releases.missing_images(release) == ()
    await engine.of(environment).releases.unprotect(release)
    assert await engine.load_model(drafted.model_hash)
    assert await engine.of(environment).releases.missing_images(other) == ()
    await engine.of(environment).releases.unprotect(other)
    assert await engine.of(environment).releases.missing_images(other) == ("web",)
    with pytest.raises(ReleaseNotRestorableError):
        await engine.load_model(drafted.model_hash)
    await engine.of(environment).releases.unprotect(other)
