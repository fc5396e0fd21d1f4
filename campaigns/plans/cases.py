"""Make a random stack, let hands do what hands do, plan, deploy, and compare; a seed gives the same again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from campaigns.plans.double import PROJECT, EngineDouble, Machine, Service
from campaigns.plans.effects import find_lies
from roas.deployment.context import Components
from roas.deployment.orchestrator import DeploymentOrchestrator
from roas.deployment.peers import HealthAnswer, Peers
from roas.engine.manager import DeploymentManager
from roas.events import EventBus
from roas.models.actor import Actor, ActorKind
from roas.models.check import ValidationReport
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import ContainerState
from roas.settings import Settings
from roas.state.manager import StateManager
from roas.state.ownership import HeldLease

DORA = Actor(ActorKind.DISCORD, "1", "dora")
NAMES = ("api", "db", "job", "tools", "vpn", "web")
VERSIONS = ("v1", "v2", "v3")


@dataclass
class Result:
    """Hold what was played and what was not as the plan said."""

    seed: int
    story: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)
    changed: int = 0


class _Accepting:
    async def validate(
        self, environment: Environment, version: str | None = None, *, model_hash: str | None = None
    ) -> ValidationReport:
        return ValidationReport(environment.name, ())

    async def prepare_monitoring_stack(self, environment: Environment) -> tuple[str, ...]:
        return ()

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        return True


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
        self.machine = Machine({})
        engine, accepting = EngineDouble(self.machine), _Accepting()
        components = Components(
            settings=Settings(_env_file=None, state_dir=folder / "state"),
            state=state,
            bus=EventBus(),
            engine=engine,
            manager=DeploymentManager(engine, state),
            validator=accepting,
            monitoring=accepting,
            prober=accepting,
            own_container=_nobody,
            held_lease=HeldLease(),
            peers=Peers(engine, state, _nobody, _no_answer),
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
            self._use_hand()
        request = self._request(limited=True)
        plan = await self.orchestrator.plan(request)
        before = self.machine.look()
        between(self)
        deployment = await self._deploy(replace(request, plan_digest=plan.digest if bound else None))
        self.result.story.append(f"{request.kind} {request.version} {request.services}: {deployment.outcome}")
        if deployment.outcome is not Outcome.SUCCEEDED:
            self.result.lies.append(f"it did not succeed: {deployment.problem}")
        self.result.changed = len(plan.changed)
        self.result.lies += find_lies(plan, before, self.machine.look())

    def _request(self, *, limited: bool = False) -> DeploymentRequest:
        active = [name for name, one in self.machine.file.items() if one.active]
        if limited and self.rng.random() < 0.2 and len(self.machine.models) > 1:
            return DeploymentRequest(self.environment.name, DeploymentKind.ROLLBACK, DORA)
        named = tuple(self.rng.sample(active, 1)) if limited and self.rng.random() < 0.25 else ()
        version = self.rng.choice(VERSIONS)
        return DeploymentRequest(self.environment.name, DeploymentKind.DEPLOY, DORA, version=version, services=named)

    async def _deploy(self, request: DeploymentRequest) -> Deployment:
        return await self.orchestrator.run(request)

    # The compose file

    def _write_stack(self) -> None:
        rng = self.rng
        names = sorted(rng.sample(NAMES, rng.randint(2, len(NAMES))))
        for position, name in enumerate(names):
            self.machine.file[name] = self._service(name, names[:position])
        if not any(one.active for one in self.machine.file.values()):
            first = names[0]
            self.machine.file[first] = replace(self.machine.file[first], active=True)
        for tag in VERSIONS:
            for name in NAMES:
                self.machine.registry[f"{name}:{tag}"] = f"sha256:{name}{tag}"
                if rng.random() < 0.5:
                    self.machine.local[f"{name}:{tag}"] = f"sha256:{name}{tag}"

    def _service(self, name: str, earlier: list[str]) -> Service:
        rng = self.rng
        job = name == "job"
        active = [one for one in earlier if self.machine.file[one].active and one != "job"]
        running = [one for one in active if self.machine.file[one].replicas]
        shares = rng.choice(running) if running and not job and rng.random() < 0.25 else ""
        needs = tuple((one, rng.random() < 0.5) for one in active if one != shares and rng.random() < 0.4)
        plain = not shares and not job
        return Service(
            image=f"{name}:{rng.choice(VERSIONS)}",
            setting=rng.randint(0, 2),
            replicas=rng.choice((1, 1, 1, 2, 0)) if plain else 1,
            shares=shares,
            needs=() if job else needs,
            one_shot=job,
            start_first=plain and rng.random() < 0.2,
            active=name != "tools" or rng.random() < 0.5,
            built=rng.random() < 0.15,
        )

    def _edit(self) -> None:
        """Change the compose file, the registry or the local images, as people do between deployments."""
        rng, file = self.rng, self.machine.file
        for name in sorted(file):
            if rng.random() < 0.3:
                file[name] = replace(file[name], setting=rng.randint(0, 2))
            if rng.random() < 0.2:
                file[name] = replace(file[name], image=f"{name}:{rng.choice(VERSIONS)}")
            if rng.random() < 0.1 and not file[name].shares and not file[name].one_shot:
                file[name] = replace(file[name], replicas=rng.choice((1, 2, 3)))
        needed = {on for one in file.values() for on in (one.shares, *(need for need, _ in one.needs))}
        leaf = sorted(set(file) - needed)
        if len(file) > 2 and rng.random() < 0.25:
            gone = rng.choice(leaf)
            if any(one.active for name, one in file.items() if name != gone):
                del file[gone]
        if "tools" in file and rng.random() < 0.3:
            others = [one for name, one in file.items() if name != "tools" and one.active]
            if others and "tools" in leaf:
                file["tools"] = replace(file["tools"], active=not file["tools"].active)
        if rng.random() < 0.3:  # a tag that was moved
            reference = rng.choice(sorted(self.machine.registry))
            self.machine.registry[reference] = f"sha256:moved{rng.randint(0, 9)}"
            if rng.random() < 0.5:
                self.machine.local[reference] = self.machine.registry[reference]

    # Hands

    def _use_hand(self) -> None:
        machine, rng = self.machine, self.rng
        hands = [
            self._stop, self._kill, self._pause, self._remove, self._restart, self._rename, self._copy, self._up,
            self._update, self._leave_behind, self._start_inactive, self._start_orphan, self._down,
        ]  # fmt: skip
        hand = rng.choice(hands)
        chosen = rng.choice(sorted(machine.there)) if machine.there else ""
        if chosen or hand in (self._start_inactive, self._start_orphan):
            service = machine.there[chosen].service if chosen else ""
            self.result.story.append(f"{hand.__name__.strip('_')} {service}")
            hand(chosen)

    def _stop(self, one: str) -> None:
        self.machine.change(one, state=ContainerState.EXITED, exit_code=0)

    def _kill(self, one: str) -> None:
        self.machine.change(one, state=ContainerState.EXITED, exit_code=137)

    def _pause(self, one: str) -> None:
        if self.machine.there[one].state is ContainerState.RUNNING:
            self.machine.change(one, state=ContainerState.PAUSED)

    def _remove(self, one: str) -> None:
        self.machine.discard(one)

    def _restart(self, one: str) -> None:
        if self.machine.there[one].state is not ContainerState.PAUSED:
            self.machine.run(one, ends=self.machine.there[one].service == "job")

    def _rename(self, one: str) -> None:
        container = self.machine.there[one]
        name = self.rng.choice((f"mine-{container.service}", f"{self.rng.getrandbits(48):012x}_{container.name}"))
        if name not in {other.name for other in self.machine.there.values()}:
            self.machine.change(one, name=name)

    def _copy(self, one: str) -> None:
        """Scale up by hand, from the release's own file."""
        container = self.machine.there[one]
        copy = self.machine.add(container.service, container.config_hash, container.image_id)
        self.machine.run(copy, ends=container.service == "job")

    def _up(self, one: str) -> None:
        """Make a service again with other variables, or with another image: all of its containers."""
        container = self.machine.there[one]
        image = self.rng.choice((container.image_id, "sha256:hand"))
        for old in self.machine.of(container.service):
            self.machine.discard(old.id)
            new = self.machine.add(container.service, f"hand{self.rng.randint(0, 9)}", image, number=old.number)
            self.machine.run(new, ends=container.service == "job")

    def _update(self, one: str) -> None:
        """`docker update` and a disconnected network change neither hash nor image."""
        self.machine.change(one, restart_policy="no")

    def _leave_behind(self, one: str) -> None:
        """Leave what a killed Compose leaves: a container that never ran, under its own or a wrong name."""
        container = self.machine.there[one]
        name = self.rng.choice(("", f"{container.id[:12]}_{container.name}"))
        self.machine.add(container.service, f"hand{self.rng.randint(0, 9)}", "sha256:hand", name=name)

    def _start_inactive(self, one: str) -> None:
        tools = self.machine.file.get("tools")
        if tools is not None and not tools.active and not self.machine.of("tools"):
            self.machine.run(self.machine.add("tools", "hand", "sha256:hand"))

    def _start_orphan(self, one: str) -> None:
        self.machine.run(self.machine.add("orphan", "hand", "sha256:hand"))

    def _down(self, one: str) -> None:
        for container in list(self.machine.there):
            self.machine.discard(container)
