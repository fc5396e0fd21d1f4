"""Make a random stack, let hands do what hands do, plan, deploy, and compare; a seed gives the same again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from roas.configuration.settings import Settings
from roas.deploy.components import Components
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.peers import HealthAnswer, Peers
from roas.errors import InvalidRequestError
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.check import ValidationReport
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.stack.interface import ResolvedStack
from roas.stack.stacks import Stacks
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from tools.campaigns.plans.composing import VERSION, Service
from tools.campaigns.plans.double import PROJECT, EngineDouble
from tools.campaigns.plans.effects import find_lies
from tools.campaigns.plans.machine import Machine
from tools.campaigns.plans.machine_hands import VERSIONS, Hands
from tools.campaigns.plans.settled import find_unsettled

DORA = Actor(ActorKind.DISCORD, "1", "dora")
NAMES = ("api", "db", "job", "tools", "vpn", "web")


@dataclass
class Result:
    """Hold what was played and what was not as the plan said."""

    seed: int
    story: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    changed: int = 0


class _Accepting:
    async def validate(
        self,
        environment: Environment,
        version: str | None = None,
        *,
        model_hash: str | None = None,
        found: ResolvedStack | None = None,
    ) -> ValidationReport:
        return ValidationReport(environment.name, ())

    async def prepare_monitoring_stack(self, environment: Environment) -> tuple[str, ...]:
        return ()

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        return True


@cache
def _settings(state_dir: Path) -> Settings:
    """Return what all cases of a folder have in common; to look for it takes longer than to plan."""
    return Settings(_env_file=None, state_dir=state_dir)


async def _nobody(environment: Environment) -> OwnContainer | None:
    return None


async def _no_answer(url: str) -> HealthAnswer | None:
    return None


class Case:
    """Play one case on a machine of its own; the journal is shared, under an environment's name of its own."""

    def __init__(self, seed: int, state: StateManager, folder: Path) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a case is to be the same again
        self.result = Result(seed)
        self.environment = Environment(f"e{seed}", PROJECT, folder, (), observation_seconds=0.0)
        self.machine = Machine()
        self.file: dict[str, Service] = {}
        self.hands = Hands(self.machine, self.rng, self.file, PROJECT)
        self.releases = 0
        self.engine = engine = EngineDouble(self.machine, self.file, self.environment)
        accepting, stacks = cast("Any", _Accepting()), cast("Stacks", engine)
        components = Components(
            settings=_settings(folder / "state"),
            state=state,
            bus=EventBus(),
            stacks=stacks,
            manager=DeploymentManager(),
            validator=accepting,
            monitoring=accepting,
            prober=accepting,
            own_container=_nobody,
            leadership=Leadership(is_leader=False),
            peers=Peers(stacks, state, _nobody, _no_answer),
        )
        self.bus = components.bus
        self.orchestrator = DeploymentOrchestrator(components, {self.environment.name: self.environment})

    async def play(self, *, between: Callable[["Case"], None] = lambda case: None, bound: bool = True) -> Result:
        """Deploy once or twice, let hands do something, plan, let `between` happen, deploy, and compare.

        Unless it is `bound` to the plan, the deployment does whatever is to be done by then.
        """
        try:
            await self._play(between, bound)
        finally:
            await self.orchestrator.close()
            await self.bus.close()
        return self.result

    async def _play(self, between: Callable[["Case"], None], bound: bool) -> None:
        self._write_stack()
        for _ in range(self.rng.choice((1, 1, 2))):
            await self._deploy(self._request())
            self._edit()
        for _ in range(self.rng.randint(0, 4)):
            self.result.story.append(self.hands.use())
        request = self._request(limited=True)
        try:
            plan = await self.orchestrator.plan(request)
        except InvalidRequestError:
            if request.kind is not DeploymentKind.ROLLBACK:
                raise
            request = self._request()  # there is no release that differs from the one that runs
            plan = await self.orchestrator.plan(request)
        before = self.machine.look(PROJECT)
        between(self)
        deployment = await self._deploy(replace(request, plan_digest=plan.digest if bound else None))
        self.result.story.append(f"{request.kind} {request.version} {request.services}: {deployment.outcome}")
        if deployment.outcome is not Outcome.SUCCEEDED:
            self.result.lies.append(f"it did not succeed: {deployment.problem}")
        self.result.changed = len(plan.changed)
        self.result.lies += find_lies(plan, before, self.machine.look(PROJECT))
        is_whole = request.kind is DeploymentKind.DEPLOY and not request.services
        if is_whole and deployment.outcome is Outcome.SUCCEEDED:
            self.result.lies += find_unsettled(self.machine, PROJECT, self.engine.drafted)

    def _request(self, *, limited: bool = False) -> DeploymentRequest:
        active = [name for name, item in self.file.items() if item.active]
        if limited and self.rng.random() < 0.2 and self.releases > 1:
            return DeploymentRequest(self.environment.name, DeploymentKind.ROLLBACK, DORA)
        named = tuple(self.rng.sample(active, 1)) if limited and self.rng.random() < 0.25 else ()
        version = self.rng.choice(VERSIONS)
        return DeploymentRequest(self.environment.name, DeploymentKind.DEPLOY, DORA, version=version, services=named)

    async def _deploy(self, request: DeploymentRequest) -> Deployment:
        deployment = await self.orchestrator.run(request)
        self.releases += deployment.outcome is Outcome.SUCCEEDED
        return deployment

    # The compose file

    def _write_stack(self) -> None:
        rng = self.rng
        names = sorted(rng.sample(NAMES, rng.randint(2, len(NAMES))))
        for position, name in enumerate(names):
            self.file[name] = self._service(name, names[:position])
        if not any(item.active for item in self.file.values()):
            first = names[0]
            self.file[first] = replace(self.file[first], active=True)
        for tag in VERSIONS:
            for name in NAMES:
                self.machine.registry[f"{name}:{tag}"] = f"sha256:{name}{tag}"
                if rng.random() < 0.5:
                    self.machine.tags[f"{name}:{tag}"] = f"sha256:{name}{tag}"

    def _service(self, name: str, earlier: list[str]) -> Service:
        rng = self.rng
        job = name == "job"
        active = [item for item in earlier if self.file[item].active and item != "job"]
        running = [item for item in active if self.file[item].replicas]
        shares = rng.choice(running) if running and not job and rng.random() < 0.25 else ""
        needs = tuple((item, rng.random() < 0.5) for item in active if item != shares and rng.random() < 0.4)
        plain = not shares and not job
        return Service(
            image=f"{name}:{rng.choice((VERSION, VERSION, *VERSIONS))}",
            setting=rng.randint(0, 2),
            replicas=rng.choice((1, 1, 1, 2, 0)) if plain else 1,
            shares=shares,
            needs=() if job else needs,
            one_shot=job,
            start_first=plain and rng.random() < 0.2,
            active=name != "tools" or rng.random() < 0.5,
            built=rng.random() < 0.15,
            pull_always=rng.random() < 0.5,
        )

    def _edit(self) -> None:
        """Change the compose file, the registry or the local images, as people do between deployments."""
        rng, file = self.rng, self.file
        for name in sorted(file):
            if rng.random() < 0.3:
                file[name] = replace(file[name], setting=rng.randint(0, 2))
            if rng.random() < 0.2:
                file[name] = replace(file[name], image=f"{name}:{rng.choice((VERSION, *VERSIONS))}")
            if rng.random() < 0.1 and not file[name].shares and not file[name].one_shot:
                file[name] = replace(file[name], replicas=rng.choice((1, 2, 3)))
        self._drop_services()
        if rng.random() < 0.3:  # a tag that was moved
            reference = rng.choice(sorted(self.machine.registry))
            self.machine.registry[reference] = f"sha256:moved{rng.randint(0, 9)}"
            if rng.random() < 0.5:
                self.machine.tags[reference] = self.machine.registry[reference]

    def _drop_services(self) -> None:
        """Take a service out of the file, or out of its profile, that no other needs."""
        rng, file = self.rng, self.file
        needed = {on for item in file.values() for on in (item.shares, *(need for need, _ in item.needs))}
        leaf = sorted(set(file) - needed)
        if len(file) > 2 and rng.random() < 0.25:
            gone = rng.choice(leaf)
            if any(item.active for name, item in file.items() if name != gone):
                del file[gone]
        if "tools" in file and rng.random() < 0.3:
            others = [item for name, item in file.items() if name != "tools" and item.active]
            if others and "tools" in leaf:
                file["tools"] = replace(file["tools"], active=not file["tools"].active)
