"""Play random cases on a real engine: a random stack, what hands do to it, a plan, and what then happens."""

import json
import random
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.errors import InvalidRequestError
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.plan import Plan, ServiceAction
from tools.campaigns.plans.cases import DORA, NAMES, Result
from tools.campaigns.plans.effects import find_lies
from tools.campaigns.plans.engine_hands import Hands
from tools.campaigns.plans.ground import ENDS, VERSIONS, Ground

ENVIRONMENT = "dev"
IN_PLACE = "changed while it ran"
JOB, TOOLS = "job", "tools"


class EngineCase:
    """Play one case on an engine of its own; a seed gives the same stack and the same hands again."""

    def __init__(self, seed: int, ground: Ground, folder: Path) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a case is to be the same again
        self.result = Result(seed)
        self.ground = ground
        self.folder = folder / f"case{seed}-{secrets.token_hex(3)}"
        self.base = f"plan{seed}"
        self.project = f"{self.base}-{ENVIRONMENT}"
        self.repository = f"{self.base}/app"
        self.services: dict[str, dict[str, Any]] = {}

    async def play(self) -> Result:
        """Deploy once or twice, let hands do something, plan, deploy just that, and compare."""
        (self.folder / "stack").mkdir(parents=True)
        self.ground.tag_images(self.repository)
        settings = Settings(
            _env_file=None,
            stack_dir=self.folder / "stack",
            state_dir=self.folder / "state",
            docker_host=self.ground.docker_host,
            compose_project_name=self.base,
            environments={ENVIRONMENT: EnvironmentSettings(observation_seconds=0.0)},
        )
        try:
            async with open_application(settings, instance_prefix="CASE") as application:
                await self._play(application)
        finally:
            self.ground.clear()
        return self.result

    async def _play(self, application: Application) -> None:
        rng = self.rng
        self._make_stack()
        hands = Hands(self.ground, rng, self.folder / "stack", self.project, self.repository, self.services)
        if rng.random() < 0.2:
            self.result.story.append(
                f"started by hand {hands.compose('up', '-d', VERSION=rng.choice(VERSIONS))}".strip()
            )
        for _ in range(rng.choice((0, 1, 1)) if self.result.story else rng.choice((1, 1, 2))):
            await self._deploy(application, self._request())
            self._edit()
        for _ in range(rng.randint(0, 4)):
            self.result.story.append(hands.use())
        request = await self._limited(application)
        self.ground.wait_for_jobs(JOB)
        before = self.ground.look(self.project)
        plan = await application.orchestrator.plan(request)
        if self.ground.look(self.project) != before:
            self.result.lies.append("the plan changed something")
        deployment = await self._deploy(application, replace(request, plan_digest=plan.digest))
        self.result.changed = len(plan.changed)
        self.result.lies += find_lies(plan, before, self.ground.look(self.project))
        if deployment.outcome is Outcome.SUCCEEDED:
            self.result.lies += self._wrong_images(plan)
            if not request.services:
                self.result.lies += await self._not_settled(application, request, plan)

    def _wrong_images(self, plan: Plan) -> list[str]:
        """Say where another image runs than the plan says."""
        images = self.ground.images(self.project)
        return [
            f"{service.service}: the plan says {service.new_image} ({service.expected_image}), {sorted(runs)} runs"
            for service in plan.services
            if service.expected_image and (runs := images.get(service.service)) and runs != {service.expected_image}
        ]

    async def _not_settled(self, application: Application, request: DeploymentRequest, done: Plan) -> list[str]:
        """Say what would change if the same were deployed again, and what is called drift: nothing should be.

        But for what the plan said before: what hands changed in place stays so.
        """
        if request.kind is DeploymentKind.ROLLBACK:
            again: list[str] = []
        else:
            plan = await application.orchestrator.plan(request)
            again = [
                f"{service.service}: deployed again, it would {service.action} ({'; '.join(service.reasons)})"
                for service in plan.changed
                if service.action is not ServiceAction.KEEP
            ]
        drift = (await application.collector.collect_all_metrics(application.environments[ENVIRONMENT])).drift
        stays = {warning.partition(" ")[0] for warning in done.warnings if IN_PLACE in warning}
        return again + [
            f"{service.service}: is called drift at once: {service.reason}"
            for service in drift or ()
            if service.service not in stays or IN_PLACE not in service.reason
        ]

    async def _limited(self, application: Application) -> DeploymentRequest:
        rng = self.rng
        releases = await application.state.releases.list(ENVIRONMENT)
        if rng.random() < 0.2 and len(releases) > 1 and await self._can_go_back(application):
            return DeploymentRequest(ENVIRONMENT, DeploymentKind.ROLLBACK, DORA)
        active = [name for name, fields in sorted(self.services.items()) if "profiles" not in fields]
        named = tuple(rng.sample(active, 1)) if rng.random() < 0.25 and releases else ()
        return self._request(services=named)

    async def _can_go_back(self, application: Application) -> bool:
        try:
            await application.orchestrator.plan(DeploymentRequest(ENVIRONMENT, DeploymentKind.ROLLBACK, DORA))
        except InvalidRequestError:  # there is no release that differs from the one that runs
            return False
        return True

    def _request(self, **more: Any) -> DeploymentRequest:
        version = self.rng.choice(VERSIONS)
        return DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, DORA, version=version, **more)

    async def _deploy(self, application: Application, request: DeploymentRequest) -> Deployment:
        deployment = await application.orchestrator.run(request)
        self.result.story.append(f"{request.kind} {request.version} {request.services}: {deployment.outcome}")
        if deployment.outcome is not Outcome.SUCCEEDED:
            self.result.lies.append(f"it did not succeed: {deployment.problem}")
        return deployment

    # The compose file

    def _make_stack(self) -> None:
        names = sorted(self.rng.sample(NAMES, self.rng.randint(2, 5)))
        for position, name in enumerate(names):
            self.services[name] = self._service(name, names[:position])
        if all("profiles" in fields for fields in self.services.values()):
            del self.services[names[0]]["profiles"]
        self._write()

    def _service(self, name: str, earlier: list[str]) -> dict[str, Any]:
        rng = self.rng
        fields: dict[str, Any] = {
            "image": f"{self.repository}:{rng.choice(('${VERSION:-v1}', '${VERSION:-v1}', 'v1', 'v2'))}",
            "environment": {"SETTING": str(rng.randint(0, 2))},
            "stop_grace_period": "0s",
            "init": True,
        }
        active = [item for item in earlier if "profiles" not in self.services[item] and item != JOB]
        running = [item for item in active if self.services[item].get("scale", 1) == 1]
        if name == JOB:
            return fields | {"command": ENDS, "network_mode": "none", "x-deploy": {"one_shot": True}}
        shares = rng.choice(running) if running and rng.random() < 0.3 else ""
        if shares:
            fields["network_mode"] = f"service:{shares}"
        elif rng.random() < 0.5:
            fields["network_mode"] = "none"
        needs = [item for item in active if item != shares and rng.random() < 0.4]
        if needs:
            fields["depends_on"] = {
                item: {"condition": "service_started", "restart": rng.random() < 0.5} for item in needs
            }
        if not shares and (scale := rng.choice((1, 1, 1, 2, 0))) != 1:
            fields["scale"] = scale
        if not shares and rng.random() < 0.2:
            fields["deploy"] = {"update_config": {"order": "start-first"}}
        if name == TOOLS and rng.random() < 0.7:
            fields["profiles"] = ["tools"]
        return fields

    def _edit(self) -> None:
        """Change the compose file, as people do between deployments."""
        rng = self.rng
        for _, fields in sorted(self.services.items()):
            if rng.random() < 0.25:
                fields["environment"] = {"SETTING": str(rng.randint(0, 2))}
            if rng.random() < 0.15:
                fields["image"] = f"{self.repository}:{rng.choice(('${VERSION:-v1}', 'v2', 'v3'))}"
            if rng.random() < 0.1 and "network_mode" not in fields:
                fields["scale"] = rng.choice((1, 2))
        gone = rng.choice(sorted(self.services))
        others = {name: fields for name, fields in self.services.items() if name != gone}
        if rng.random() < 0.2 and any("profiles" not in item for item in others.values()) and not _needed(gone, others):
            del self.services[gone]
        self._write()

    def _write(self) -> None:
        # JSON is YAML.
        text = json.dumps({"services": self.services}, indent=1)
        (self.folder / "stack" / "compose.yaml").write_text(text)


def _needed(name: str, services: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(
        name in (fields.get("depends_on") or {}) or fields.get("network_mode") == f"service:{name}"
        for fields in services.values()
    )
