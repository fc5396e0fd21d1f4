"""The world changes between plan, draft, yes and execution: what runs is what was approved, or nothing."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from roas.errors import RoasError
from roas.models.deployment import DeploymentKind, Outcome
from tests.e2e.acceptance.people import ANNA, DORA, People, request
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone, service
from tests.e2e.acceptance.test_new_powers import APPROVER, DEPLOYER, approvals, asker

MOMENTS = ("planned", "drafted", "approved")
ROUNDS = 4
CONF = "/conf"
# How often one of the services is built, which takes its time.
BUILDING = 0.4


@dataclass
class World:
    """Know a stack that somebody else changes, and what its next release is to be."""

    people: People
    stack: Stack
    chance: random.Random
    version: str = "v1"
    content: str = ""
    builds: bool = False

    @property
    def name(self) -> str:
        """Return an image's name that no other stack has."""
        return f"{self.stack.base_name}-app"

    def write(self, number: int) -> None:
        """Write what is asked for in this round."""
        self.version, self.content = f"v{1 + number % 2}", f"round {number}\n"
        self.builds = self.chance.random() < BUILDING
        self._tag(f"{self.name}-base", self.version)
        self.stack.put("Dockerfile", f"FROM {self.name}-base\nLABEL round={number}\n")
        for version in ("v1", "v2"):
            self._tag(f"{self.name}:{version}", version)
        self.stack.put("conf", self.content)
        self.stack.put(".env.prod", f"LEVEL={number}\n")
        self._compose()

    def _tag(self, name: str, version: str) -> None:
        self.stack.client.images.get(f"{REPOSITORY}:{version}").tag(name)

    def _compose(self, **more: Any) -> None:
        fields = {"image": f"{self.name}:${{VERSION:?}}", "environment": {"LEVEL": "$LEVEL"}, "healthcheck": None}
        web = service(**fields, networks=["inner"], volumes=[f"./conf:{CONF}:ro"], **more)
        built = {"built": alone(build=".", image=None, healthcheck=None)} if self.builds else {}
        self.stack.write({"web": web, **built}, networks={"inner": {}})

    async def edit_file(self) -> None:
        self.stack.put("conf", "nobody has seen this\n")

    async def edit_variables(self) -> None:
        self.stack.put(".env.prod", "LEVEL=unseen\n")

    async def edit_model(self) -> None:
        self._compose(command=["sh", "-c", "exit 1"], privileged=True)

    async def move_tag(self) -> None:
        self._tag(f"{self.name}:{self.version}", "v3")

    async def move_base(self) -> None:
        self._tag(f"{self.name}-base", "v3")

    async def recreate_network(self) -> None:
        with suppress(NotFound):
            network = self.stack.client.networks.get(f"{self.stack.project('prod')}_inner")
            for container in self.stack.containers("prod"):
                with suppress(APIError):  # it is in no network
                    network.disconnect(container, force=True)
            network.remove()
            self.stack.client.networks.create(network.name, labels=network.attrs["Labels"])

    async def change_settings(self) -> None:
        orchestrator = self.people.application.orchestrator
        other = replace(orchestrator.environment("prod"), observation_seconds=0.4)
        orchestrator._environments = {**orchestrator._environments, "prod": other}

    async def remove_tag(self) -> None:
        with suppress(Exception):
            self.stack.client.images.remove(f"{self.name}:{self.version}")

    async def replace_container(self) -> None:
        for container in self.stack.containers("prod"):
            container.remove(force=True)

    async def deploy_another(self) -> None:
        with suppress(RoasError):
            await self.people.hotfix("v1" if self.version == "v2" else "v2")

    def changes(self) -> list[Callable[[], Awaitable[None]]]:
        """Choose what somebody does now."""
        known = (self.edit_file, self.edit_variables, self.edit_model, self.move_tag, self.remove_tag)
        known += (self.move_base, self.recreate_network, self.change_settings)
        return self.chance.sample((*known, self.replace_container, self.deploy_another), self.chance.randint(1, 4))


def looks(stack: Stack) -> dict[str, str]:
    return {container.id: container.attrs["Image"] for container in stack.containers("prod")}


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 21))], ids=lambda seed: f"seed {seed}"
)
@pytest.mark.timeout(600)
async def test_what_runs_is_what_was_approved(people, stack, images, monkeypatch, seed: int) -> None:
    monkeypatch.setattr(people.application.settings, "discord_approver_role_ids", frozenset({APPROVER}))
    world = World(people, stack, random.Random(seed))
    channel, orchestrator = approvals(people, approvers=True), people.application.orchestrator
    usual = orchestrator._environments
    for number in range(ROUNDS):
        orchestrator._environments = usual
        world.write(number)
        wanted = stack.client.images.get(f"{world.name}:{world.version}").id
        layers = stack.client.images.get(f"{world.name}-base").attrs["RootFS"]["Layers"]
        moment, told = world.chance.choice(MOMENTS), [f"seed {seed}, round {number}"]

        async def change(now: str, moment: str = moment, told: list[str] = told) -> None:
            for act in world.changes() if now == moment else ():
                told.append(f"{now}: {act.__name__}")
                await act()

        outcome, before = None, looks(stack)
        try:
            record = await channel.create_plan(request(DeploymentKind.DEPLOY, "prod", world.version))
            await change("planned")
            before = looks(stack)
            record, _ = await channel.confirm(record.id, asker(DORA, DEPLOYER), DORA)
            await orchestrator.wait(record.deployment_id)
            await change("drafted")
            before = looks(stack)
            await channel.approve(record.id, asker(ANNA, APPROVER), ANNA)
            await change("approved")
            outcome = (await orchestrator.wait(record.deployment_id)).outcome
        except RoasError as error:
            told.append(error.message)
        if outcome is not Outcome.SUCCEEDED:
            assert looks(stack) == before or moment == "approved", told
            continue
        web = stack.container("web", "prod")
        assert web.attrs["Image"] == wanted, told
        assert not web.attrs["HostConfig"]["Privileged"], told
        assert stack.variables("web", "prod")["LEVEL"] == str(number), told
        assert stack.read("web", CONF, "prod") == world.content, told
        if world.builds:
            built = stack.client.images.get(stack.container("built", "prod").attrs["Image"])
            assert built.attrs["RootFS"]["Layers"][: len(layers)] == layers, told
            assert built.labels["round"] == str(number), told
