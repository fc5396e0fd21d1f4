"""Say at once what the policy refuses and what Swarm cannot do; the policy offers nothing that Swarm refuses anyway."""

from collections.abc import Callable, Mapping
from typing import Any

from roas.engine.model.services import services_of
from roas.engine.policy.refusal import refusal
from roas.engine.policy.violation import Violation
from roas.engine.swarm.unsupported import INSTEAD, becomes_a_config, find_unbound, is_of_a_swarm, unsupported
from roas.errors import ComposePolicyError, RoasError
from roas.messages.message import joined
from roas.models.environment import Environment

SOCKET = "docker.sock"


def with_unsupported(
    error: ComposePolicyError, model: Mapping[str, Any], environment: Environment, *, allows: Callable[[str], bool]
) -> RoasError:
    """Return the policy's error with what Swarm cannot do of a model, as far as its files tell; the model may be empty.

    Nothing that the policy refuses is let pass: what is left out of its list, Swarm's list has.
    """
    try:
        lines = find_unbound(model, allows)
    except RoasError:  # what the model asks for besides has its own refusal, once this one is settled
        return error
    if not lines:
        return error
    swarm = unsupported(lines, environment)
    kept = [Violation(*one) for one in error.found if not _is_refused_anyway(one[1], model)]
    if not kept:
        return swarm
    policy = refusal(kept, environment, of_release=False)
    return ComposePolicyError(
        joined("\n", (swarm.message, policy.message)),
        hint=joined("\n", (swarm.hint, policy.hint)),
        entries=policy.entries,
        found=policy.found,
    )


def _is_refused_anyway(entry: str, model: Mapping[str, Any]) -> bool:
    """Return whether what an entry would allow is in Swarm's own list."""
    kind, _, name = entry.partition(":")
    services = services_of(model)
    if kind == "bind":
        return name in {source for fields in services.values() for source in _refused_binds(fields)}
    if kind == "docker_socket":
        return any(one.endswith(SOCKET) for one in _refused_binds(services.get(name) or {}))
    if kind == "network":
        return not is_of_a_swarm((model.get("networks") or {}).get(name) or {})
    return kind in INSTEAD and bool((services.get(name) or {}).get(kind))


def _refused_binds(fields: Mapping[str, Any]) -> list[str]:
    volumes = fields.get("volumes") or ()
    return [str(one.get("source")) for one in volumes if one.get("type") == "bind" and not becomes_a_config(one)]
