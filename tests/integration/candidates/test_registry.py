"""Registries: Debian's own with a password, and one that pages, limits and forgets; nothing is pulled at rest."""

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.sweep import RegistrySweep
from roas.configuration.tables import SourceSettings
from roas.errors import ComposeFileError, RegistryUnavailableError
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.candidate import CandidateState, SourceMode
from roas.models.environment import Environment
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.images.lookup import look_up_image
from roas.stack.images.registry import ImageName, RegistryClient
from roas.stack.model.x_deploy.track import track_of
from roas.state.manager import StateManager
from roas.ui.embeds.proposal import draw_proposal
from roas.web_client import Answer, WebClient
from testbed.ports import free_port
from testbed.private_registry import PASSWORD, USER, PrivateRegistry, private_registry
from tests.unit.played_orchestrator import PlayedOrchestrator

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[PrivateRegistry]:
    with private_registry(tmp_path / "registry") as registry:
        registry.write_login(tmp_path / "login")
        yield registry


class CountingClient(WebClient):
    """Count what is asked, by method."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Counter[str]()

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Answer:
        self.asked[method] += 1
        return await super().ask(method, *arguments, **options)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    web_client = CountingClient()
    yield RegistryClient(web_client, lambda: tmp_path / "login" / "config.json", [].extend)
    await web_client.close()


async def push(registry: PrivateRegistry, name: str, tag: str, *, days_old: float = 10) -> str:
    """Push an image of nothing but a configuration, and return its digest."""
    made = datetime.now(UTC) - timedelta(days=days_old)
    config = json.dumps({"created": f"{made:%Y-%m-%dT%H:%M:%S}.123456789Z", "tag": tag}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)},
            "layers": [],
        }
    ).encode()
    base = f"http://{registry.address}/v2/{name}"
    login = base64.b64encode(f"{USER}:{registry.password}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as session:
        async with session.post(f"{base}/blobs/uploads/") as begun:
            location = begun.headers["Location"]
        async with session.put(location, params={"digest": digest}, data=config) as put:
            assert put.status == 201, await put.text()
        headers = {"Content-Type": MANIFEST}
        async with session.put(f"{base}/manifests/{tag}", data=manifest, headers=headers) as put:
            assert put.status == 201, await put.text()
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


async def test_digest_by_head_with_the_login(registry, client):
    digest = await push(registry, "acme/web", "1.0")
    image = ImageName.read(f"{registry.address}/acme/web")
    assert await client.digest(image, "1.0") == digest
    assert await client.digest(image, "2.0") is None
    assert client._client.asked["GET"] == 0, "a GET of a manifest is a pull"
    assert set(await client.tags(image)) == {"1.0"}
    made = await client.created(image, "1.0")
    assert timedelta(days=9) < datetime.now(UTC) - made < timedelta(days=11)
    registry.change_password("another")
    again = RegistryClient(client._client, client._configuration, (learned := []).extend)
    with pytest.raises(RegistryUnavailableError, match="login"):
        await again.digest(image, "1.0")
    assert PASSWORD in learned


@pytest.fixture
async def limited() -> AsyncIterator[tuple[ImageName, dict]]:
    """Run a registry that pages, points elsewhere, and counts."""
    port, told = free_port(), {"status": 200, "headers": {}, "asked": []}

    async def tags(request: web.Request) -> web.Response:
        told["asked"].append(str(request.rel_url))
        if told["status"] != 200:
            return web.Response(status=told["status"], headers=told["headers"])
        page = int(request.query.get("page", "1"))
        link = {1: '</v2/acme/web/tags/list?page=2>; rel="next"', 2: "<https://evil.example.org/v2/x>; rel=next"}
        return web.json_response({"tags": [f"1.{page}", "not a tag!", None]}, headers={"Link": link.get(page, "")})

    async def manifest(request: web.Request) -> web.Response:
        told["asked"].append(request.method)
        return web.Response(status=told["status"], headers=told["headers"], body=b"{}")

    application = web.Application()
    application.add_routes([web.get("/v2/acme/web/tags/list", tags)])
    application.add_routes([web.route("*", "/v2/acme/web/manifests/{tag}", manifest)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield ImageName.read(f"127.0.0.1:{port}/acme/web"), told
    await runner.cleanup()


class PlayedEngine:
    """Have no image; what its registry is asked by costs a pull."""

    def __init__(self, *, is_local: bool) -> None:
        self.is_local, self.asked = is_local, []

    async def call(self, work):
        return work(self)

    def inspect_image(self, _reference):
        raise ApiNotFoundError(404, "no such image")

    def inspect_distribution(self, reference):
        self.asked.append(reference)
        return {"Descriptor": {"digest": f"sha256:{'9' * 64}"}}


@pytest.mark.parametrize(
    ("told", "is_local", "asked_by", "digest"),
    [
        ({"headers": {"Docker-Content-Digest": f"sha256:{'0' * 64}"}}, True, ["HEAD"], "0"),
        ({"status": 404}, True, ["HEAD"], "9"),
        ({"status": 503}, True, ["HEAD"], "9"),
        ({}, False, [], "9"),
    ],
    ids=["known", "unknown here", "away", "of another machine"],
)
async def test_plan_asks_for_a_digest_by_head(limited, client, told, is_local, asked_by, digest):
    """The engine is asked, which costs a pull, only where that tells nothing."""
    image, stand_in = limited
    stand_in.update(told)
    engine, reference = PlayedEngine(is_local=is_local), f"{image.host}/acme/web:1.1"
    found = await look_up_image(engine, client, reference, "missing")
    assert found == WantedImage(reference, None, f"{image.host}/acme/web@sha256:{digest * 64}", must_pull=True)
    assert stand_in["asked"] == asked_by
    assert engine.asked == ([] if digest == "0" else [reference])


async def test_pages_are_followed_and_credentials_go_nowhere_else(limited, client):
    image, told = limited
    assert await client.tags(image) == ("1.1", "1.2")
    assert len(told["asked"]) == 2


async def test_limits_are_heeded(limited, client):
    image, told = limited
    told.update(headers={"Docker-Content-Digest": f"sha256:{'0' * 64}", "RateLimit-Remaining": "5;w=21600"})
    assert await client.digest(image, "1.1") == f"sha256:{'0' * 64}"
    with pytest.raises(RegistryUnavailableError, match="left alone"):
        await client.digest(image, "1.1")
    client._not_before.clear()
    told.update(status=429, headers={"Retry-After": "120"})
    for _time in range(3):
        with pytest.raises(RegistryUnavailableError):
            await client.digest(image, "1.1")
    assert told["asked"] == ["HEAD", "HEAD"]
    assert 100 < client._not_before[image.host] - time.monotonic() <= 120


async def test_registry_without_digests_is_asked_for_the_manifest(limited, client):
    image, told = limited
    assert await client.digest(image, "1.1") == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert told["asked"] == ["HEAD", "GET"]


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateManager]:
    async with StateManager(tmp_path / "state") as state:
        yield state


class Scene:
    """Sweep with what the services of one release say they track."""

    def __init__(self, state, client, registry, running="0.1", **track) -> None:
        self.state, self.client = state, client
        bus = EventBus()
        known = {"dev": Environment("dev", "shop-dev", state.folder, ())}
        self.coordinator = CandidateCoordinator(state, PlayedOrchestrator(state, bus), bus, known)
        self.source = SourceSettings(kind="registry", environments={"dev": SourceMode.PROPOSE})
        self.tracks = {"web": track, "api": track}
        self.images = {name: f"{registry.address}/acme/{name}" for name in self.tracks}
        self.running = running

    @property
    def release(self) -> Release:
        """Return what runs."""
        pins = {name: ImagePin(f"{image}:{self.running}", "sha256:1") for name, image in self.images.items()}
        services = tuple(ReleaseService(name, pin, "hash") for name, pin in pins.items())
        person = Actor(ActorKind.DISCORD, "7", "Ada")
        return Release("dev", 1, "v1", ReleaseState.SUCCEEDED, services, "model", datetime.now(UTC), person)

    def sweeping(self) -> RegistrySweep:
        """Return the sweep of a bot that has just begun."""

        async def current(_environment: str) -> Release:
            return self.release

        async def definitions(release: Release) -> dict[str, ServiceDefinition]:
            tracks = {name: track_of(name, {"x-deploy": {"track": track}}) for name, track in self.tracks.items()}
            services = {service.name: service for service in release.services}
            return {
                name: ServiceDefinition(name, services[name].image.reference, "hash", track=track)
                for name, track in tracks.items()
            }

        state = SimpleNamespace(releases=SimpleNamespace(current=current), candidates=self.state.candidates)
        return RegistrySweep({"shop": self.source}, self.client, self.coordinator, state, definitions)

    async def sweep(self) -> list[str]:
        """Look once, and return what was offered so far, the newest first."""
        await self.sweeping().run()
        return [item.version for item in await self.state.candidates.of_environment("dev")]


async def test_newest_version_of_all_images_is_offered(registry, client, state):
    scene = Scene(state, client, registry, versions=">=1.2,<2")
    for tag in ("1.2", "1.10.0", "1.9", "2.0", "1.11.0rc1", "latest", "1.12.0"):
        await push(registry, "acme/web", tag)
    for tag in ("1.2", "1.10.0", "1.9", "2.0"):
        await push(registry, "acme/api", tag)
    assert await scene.sweep() == ["1.10.0"], "1.12.0 has no api yet"
    assert await scene.sweep() == ["1.10.0"], "the same is no news"
    await push(registry, "acme/api", "1.12.0")
    assert await scene.sweep() == ["1.12.0", "1.10.0"]
    (newest, *_rest) = await state.candidates.of_environment("dev")
    assert set(newest.origin.digests) == set(scene.images.values())
    assert newest.services == ("api", "web")


async def test_prereleases_are_offered_where_they_are_asked_for(registry, client, state):
    for tag in ("1.2", "1.10.0rc1", "1.3", "1.10.0b2"):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, tag)
    assert await Scene(state, client, registry, versions=">=1").sweep() == ["1.3"]
    assert await Scene(state, client, registry, versions=">=1", prereleases=True).sweep() == ["1.10.0rc1", "1.3"]
    off = Scene(state, client, registry, versions=">=2", prereleases=True)
    off.source = SourceSettings(kind="registry", environments={"dev": SourceMode.OFF})
    for name in ("acme/web", "acme/api"):
        await push(registry, name, "2.0")
    assert await off.sweep() == ["1.10.0rc1", "1.3"], "a source that is off is not asked for"


async def test_shorter_list_is_no_news(registry, client, state):
    for tag in ("1.2", "1.3"):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, tag)
    scene = Scene(state, client, registry, versions=">=1")
    assert await scene.sweep() == ["1.3"]
    (before,) = await state.candidates.of_environment("dev")
    for name in ("acme/web", "acme/api"):
        registry.forget_tag(name, "1.3")
    assert await client.tags(ImageName.read(scene.images["web"])) == ("1.2",)
    assert await scene.sweep() == ["1.3"]
    (after,) = await state.candidates.of_environment("dev")
    assert draw_proposal(after).embeds[0].to_dict() == draw_proposal(before).embeds[0].to_dict()


async def test_newest_that_is_old_enough(registry, client, state):
    """A busy project does not starve it."""
    for tag, days in (("1.0", 9), ("1.1", 4), ("1.2", 2), ("1.3", 0.1)):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, tag, days_old=days)
    scene = Scene(state, client, registry, versions=">=1", min_age="3d")
    assert await scene.sweep() == ["1.1"]


async def test_a_dozen_that_are_too_new_starve_nobody(registry, client, state, monkeypatch):
    """What one sweep may not ask for, the next one does, of another process, too; no age is asked for twice."""
    monkeypatch.setattr("roas.candidates.sweep.MOST_AGES", 5)
    for number in range(14):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, f"1.{number}", days_old=9 if number < 2 else 1)
    scene = Scene(state, client, registry, versions=">=1", min_age="3d")
    asked = []
    created = client.created
    monkeypatch.setattr(client, "created", lambda image, tag: asked.append(tag) or created(image, tag))
    assert [await scene.sweep() for _time in range(3)] == [[], [], ["1.1"]]
    assert await scene.sweep() == ["1.1"]
    assert asked == [f"1.{number}" for number in range(13, 0, -1)]
    for name in ("acme/web", "acme/api"):
        await push(registry, name, "1.14", days_old=4)
    assert await scene.sweep() == ["1.14", "1.1"]


async def test_pattern_orders_by_its_numbers(registry, client, state):
    for tag in ("build-9", "build-10", "build-x", "other-99"):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, tag)
    assert await Scene(state, client, registry, pattern=r"build-(\d+)").sweep() == ["build-10"]


async def test_tag_that_moves_is_another_candidate(registry, client, state):
    for name in ("acme/web", "acme/api"):
        await push(registry, name, "stable", days_old=2)
    scene = Scene(state, client, registry, digest_of="stable")
    assert await scene.sweep() == ["stable"]
    first = (await state.candidates.of_environment("dev"))[0]
    await push(registry, "acme/web", "stable", days_old=1)
    assert await scene.sweep() == ["stable", "stable"]
    assert (await state.candidates.get(first.id)).state is CandidateState.SUPERSEDED
    assert client._client.asked["GET"] == 0


async def test_digest_that_is_too_new_is_not_offered_yet(registry, client, state):
    """Each image has to be old enough."""
    scene = Scene(state, client, registry, digest_of="stable", min_age="3d")
    for days, offered in ((1, []), (4, ["stable"])):
        await push(registry, "acme/web", "stable", days_old=9)
        await push(registry, "acme/api", "stable", days_old=days)
        assert await scene.sweep() == offered


async def test_registry_away_is_told_and_delays_no_other(registry, client, state):
    await push(registry, "acme/web", "1.0")
    scene = Scene(state, client, registry)
    scene.images["api"] = f"127.0.0.1:{free_port()}/acme/api"
    scene.tracks = {"api": {"versions": ">=0"}, "web": {"versions": ">=0.1"}}
    assert await scene.sweep() == ["1.0"]


async def test_services_that_track_differently_are_proposals_of_their_own(registry, client, state):
    """One does not take the other's place, and nothing older than what runs is offered."""
    for tag in ("1.0", "2.0"):
        for name in ("acme/web", "acme/api"):
            await push(registry, name, tag)
    scene = Scene(state, client, registry, running="1.5")
    scene.tracks = {"web": {"versions": "<2"}, "api": {"versions": ">=2"}}
    assert await scene.sweep() == ["2.0"], "1.0 is older than 1.5"
    scene.running = "0.9"
    assert await scene.sweep() == ["1.0", "2.0"]
    found = await state.candidates.of_environment("dev")
    assert [(item.services, item.is_open) for item in found] == [(("web",), True), (("api",), True)]
    assert len({item.proposal for item in found}) == 2


async def test_fifty_services_at_rest_cost_no_pull(registry, client, state):
    """One HEAD for each in a sweep: 600 an hour."""
    scene = Scene(state, client, registry)
    scene.tracks = {f"s{number}": {"digest_of": "stable", "min_age": number} for number in range(50)}
    scene.images = dict.fromkeys(scene.tracks, f"{registry.address}/acme/web")
    await push(registry, "acme/web", "stable")
    sweep = scene.sweeping()
    await sweep.run()
    client._client.asked.clear()
    await sweep.run()
    assert client._client.asked == {"HEAD": 50}


WRONG_TRACKS = [
    [],
    {},
    {"versions": ">=1", "pattern": "x"},
    {"versions": "newest"},
    {"pattern": "("},
    {"pattern": "x" * 201},
    {"pattern": "(a+)+b"},
    {"pattern": "(a|a)" * 20},
    {"pattern": "a?" * 30},
    {"digest_of": "-x"},
    {"versions": ">=1", "min_age": "soon"},
    {"versions": ">=1", "often": True},
]


@pytest.mark.parametrize("track", WRONG_TRACKS)
def test_wrong_track_is_refused(track):
    with pytest.raises(ComposeFileError):
        track_of("web", {"x-deploy": {"track": track}})
