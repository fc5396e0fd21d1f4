"""Find what a stack newly gets beyond its own containers, and refuse what nobody granted."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from roas.deploy.components import Components
from roas.errors import NewPowersError
from roas.messages.message import joined, said
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.plan import Plan
from roas.models.release import ReleaseState
from roas.stack.interface import ResolvedStack
from roas.stack.model.services import services_of
from roas.stack.stack import Stack

# What the powers of a build are called after the name of its service.
OF_BUILD = ("build", "ulimits")
# What these have rides along, on a deployment as on the way back.
GRANTING = frozenset({ReleaseState.SUCCEEDED, ReleaseState.ADOPTED})


async def find_new_powers(components: Components, stack: Stack, resolved: ResolvedStack) -> dict[str, str]:
    """Return the powers of a stack that no kept, successful release of its environment has: names, and readings."""
    if not resolved.powers:
        return {}
    kept = await components.state.releases.list(stack.environment.name, limit=components.settings.releases_kept)
    return await stack.releases.new_powers(
        resolved, [release.model_hash for release in kept if release.state in GRANTING]
    )


def has_approvers(components: Components) -> bool:
    """Return whether there is a second person to say yes."""
    return bool(components.settings.discord_approver_role_ids)


def ungranted_of_builds(request: DeploymentRequest, plan: Plan, model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the powers that a build of a plan would use and that nobody granted: its `RUN` lines act by themselves."""
    services = services_of(model)
    builds = {name: service["build"] for name, service in services.items() if service.get("build")}
    secrets = {str(entry.get("source")) for build in builds.values() for entry in build.get("secrets") or ()}
    found = ((name, *name.partition(": ")[::2]) for name in ungranted(request, plan))
    return tuple(
        name
        for name, subject, power in found
        if (subject in builds and power.startswith(OF_BUILD)) or subject.rpartition(" ")[2] in secrets
    )


def ungranted(request: DeploymentRequest, plan: Plan) -> tuple[str, ...]:
    """Return the new powers of a plan that a request does not name."""
    return tuple(name for name in plan.new_powers if name not in request.granted)


def refuse_ungranted(request: DeploymentRequest, plan: Plan, *, has_approvers: bool) -> None:
    """Raise NewPowersError where a plan has new powers that the request does not name, and nobody is asked for them.

    Of what was planned in the channel a second person approves the draft, which names them.
    """
    missing = ungranted(request, plan)
    if missing and request.kind is DeploymentKind.HOTFIX:
        raise NewPowersError(
            said("A hotfix gives no new powers:\n{powers}", powers=_lines(plan.read(missing))),
            hint=said("Use /deploy, which asks for them."),
        )
    if missing and (request.interaction_id is None or not has_approvers):
        options = " ".join(f"--grant {shlex.quote(name)}" for name in missing)
        raise NewPowersError(
            said("Nobody granted what this stack newly gets:\n{powers}", powers=_lines(plan.read(missing))),
            hint=said("Deploy it in the channel, where the plan asks for them, or add: {options}", options=options),
        )


def _lines(names: Iterable[str]) -> str:
    return joined("\n", (said("  - {name}", name=name) for name in names))
