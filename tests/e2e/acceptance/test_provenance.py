"""What nobody has signed does not run, whoever asks and however; what ran before may always come back."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest

from roas.app.application import Application, open_application
from roas.concurrency import pause
from roas.configuration.tables import EnvironmentSettings, VerifySettings
from roas.errors import ImageNotVerifiedError, NotVerifiableNowError, RegistryUnavailableError
from roas.models.candidate import CandidateState, SourceMode
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.plan import PlanRecord, PlanState
from roas.models.stored import new_id
from testbed.cosign import Signer, cosign_folder
from testbed.private_registry import PrivateRegistry, private_registry
from tests.e2e.acceptance.conftest import OBSERVATION_SECONDS, settings_for
from tests.e2e.acceptance.people import People, request, succeeded, told
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone
from tests.integration.packages import packages_or_skip

pytestmark = pytest.mark.engine


class Shop:
    """Push versions of one image, signed or not, and look which of them runs."""

    def __init__(self, registry: PrivateRegistry, signer: Signer, stack: Stack, images: dict[str, str]) -> None:
        self.registry, self.signer, self.stack, self.images = registry, signer, stack, images
        self.name = f"{registry.address}/shop"

    def push(self, version: str, content: str, *, signed: bool) -> None:
        """Let a tag mean what an image that is here holds; the registry alone knows of it then."""
        client: docker.DockerClient = self.stack.client
        client.images.get(f"{REPOSITORY}:{content}").tag(self.name, version)
        client.api.push(self.name, version, auth_config=self.registry.login)
        digest = client.images.get(f"{self.name}:{version}").attrs["RepoDigests"]
        client.images.remove(f"{self.name}:{version}")
        if signed:
            self.signer.sign(next(item for item in digest if item.startswith(self.name)))

    @property
    def running(self) -> str:
        """Return the content that runs."""
        (container,) = self.stack.containers()
        return next(name for name, image_id in self.images.items() if image_id == container.attrs["Image"])


@pytest.fixture
def shop(stack: Stack, images: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with packages_or_skip():
        monkeypatch.setenv("PATH", f"{cosign_folder()}{os.pathsep}{os.environ['PATH']}")
    with private_registry(tmp_path / "registry") as registry:
        registry.write_login(tmp_path / "login")
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "login"))
        shop = Shop(registry, Signer(tmp_path / "signer", tmp_path / "login"), stack, images)
        stack.write({"web": alone(image=f"{shop.name}:${{VERSION:?}}", pull_policy="always")})
        yield shop


@pytest.fixture
async def application(shop: Shop, tmp_path: Path):
    verify = VerifySettings(key_files=(shop.signer.public,), transparency_log=False)
    dev = EnvironmentSettings(observation_seconds=OBSERVATION_SECONDS, verify=verify)
    async with open_application(settings_for(shop.stack, tmp_path / "state", environments={"dev": dev})) as opened:
        yield opened


async def test_only_what_is_signed_is_deployed(application: Application, shop: Shop, tmp_path: Path):
    people = People(application)
    for version, signed in (("v1", True), ("v2", False), ("v3", True)):
        shop.push(version, version, signed=signed)
    await people.succeed("v1")
    assert shop.running == "v1"
    await unsigned_is_refused_whoever_asks(people, shop)
    await moved_tag_does_not_run(people, shop)
    await without_a_registry_only_the_way_back_is_open(people, shop)


async def unsigned_is_refused_whoever_asks(people: People, shop: Shop):
    before = shop.stack.ids()
    for kind in (DeploymentKind.DEPLOY, DeploymentKind.HOTFIX):
        with pytest.raises(ImageNotVerifiedError, match="not signed"):
            await people.application.orchestrator.plan(request(kind, version="v2", reason="it burns"))
    failed = await people.deploy("v2")  # without a plan, as a recovery or the command line may
    assert failed.outcome is not Outcome.SUCCEEDED
    assert "not signed" in told(failed)
    assert "not signed" in await unsigned_of_a_source(people.application)
    assert "not signed" in await unsigned_at_its_time(people.application, shop)
    assert shop.stack.ids() == before


async def unsigned_of_a_source(application: Application) -> str:
    """Offer what a source would have deployed by itself, and return why it is not."""
    candidates = application.candidates
    await candidates.start()
    offered = await candidates.offer("shop", "dev", "v2", mode=SourceMode.AUTO, is_asked_for=True)
    async with asyncio.timeout(60):
        while (known := await application.state.candidates.get(offered.id)) and not known.note:
            await pause(0.1)
    await candidates.stop()
    assert known is not None
    assert known.state is CandidateState.REFUSED
    return known.note


async def unsigned_at_its_time(application: Application, shop: Shop) -> str:
    """Schedule what is signed, let its tag mean something else by then, and return why that does not begin."""
    shop.push("v5", "v3", signed=True)
    plan_id, now = new_id("PLAN"), datetime.now(UTC)
    wanted = replace(request(DeploymentKind.DEPLOY, version="v5"), starts_at=now, interaction_id=plan_id)
    plan = await application.orchestrator.plan(wanted)
    record = PlanRecord(plan_id, plan.bind(wanted), plan, now, now, PlanState.SCHEDULED, wanted.requested_by, now)
    await application.state.approvals.add(record)
    shop.push("v5", "v2", signed=False)
    await application.schedule.begin_due()
    known = await application.state.approvals.get(plan_id)
    assert known is not None
    assert known.state is PlanState.VOID
    return known.note


async def moved_tag_does_not_run(people: People, shop: Shop):
    """The yes is to a digest: what the tag means by now does not come in its place."""
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v3"))
    shop.push("v3", "v2", signed=False)
    ended = await people.deploy("v3", plan_digest=plan.digest)
    assert (succeeded(ended), shop.running)[1] == "v3"
    with pytest.raises(ImageNotVerifiedError):
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v3"))


async def without_a_registry_only_the_way_back_is_open(people: People, shop: Shop):
    """What was verified stays so; of another digest nothing can be known."""
    shop.push("v4", "fades", signed=True)
    login = Path(os.environ["DOCKER_CONFIG"], "config.json")
    login.write_text("{}")
    with pytest.raises((NotVerifiableNowError, RegistryUnavailableError)):
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v4"))
    succeeded(await people.rollback())
    assert shop.running == "v1"
