"""Read `update_config` and `rollback_config` of the Compose Specification: how replicas are replaced."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import joined, said
from roas.models.rollout import ALL_AT_ONCE, FailureAction, RolloutPolicy
from roas.stack.model.durations import read_duration
from roas.stack.model.services import services_of

SECTIONS = ("update_config", "rollback_config")
DURATIONS = ("delay", "monitor")


def rollout_policy(config: Mapping[str, Any]) -> RolloutPolicy:
    """Read a section; a key that it does not have is as without the section, not as Swarm's default of it.

    A stored model may have what is refused today (`refuse_wrong_rollouts`): such a value is as if it were not there.
    """
    return RolloutPolicy(
        parallelism=max(0, int(config.get("parallelism") or 0)),
        delay_seconds=_duration(config.get("delay")) or 0.0,
        failure_action=FailureAction(config.get("failure_action") or ALL_AT_ONCE.failure_action),
        max_failure_ratio=float(config.get("max_failure_ratio") or 0.0),
    )


def monitor_of(config: Mapping[str, Any]) -> float | None:
    """Return for how long a new replica is watched, where a section says so."""
    return _duration(config.get("monitor"))


def refuse_wrong_rollouts(model: Mapping[str, Any]) -> None:
    """Raise ComposeFileError for values that Compose lets pass and that mean nothing: all of them at once.

    Its schema refuses unknown keys, other orders, and what is no number or duration. An action it takes as it is.
    """
    found = [
        said(
            "{service}: {key} of `{section}` is {value}; use {allowed}",
            service=name,
            key=key,
            section=section,
            value=repr(value),
            allowed=allowed,
        )
        for name, service in services_of(model).items()
        for section in SECTIONS
        for key, value, allowed in _wrong((service.get("deploy") or {}).get(section) or {})
    ]
    if found:
        raise ComposeFileError(
            said("How replicas are replaced is not valid: {problems}.", problems=joined("; ", found)),
            hint=said("See *{page}* in the documentation.", page="Replace replicas a few at a time"),
        )


def _wrong(config: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Return the keys of a section with wrong values, and what is allowed there."""
    known = [failure_action.value for failure_action in FailureAction]
    if (action := config.get("failure_action")) is not None and action not in known:
        yield "failure_action", action, " | ".join(known)
    if (ratio := config.get("max_failure_ratio")) is not None and not 0 <= float(ratio) <= 1:
        yield "max_failure_ratio", ratio, "0.0–1.0"
    if (parallelism := config.get("parallelism")) is not None and int(parallelism) < 0:
        yield "parallelism", parallelism, "0, 1, 2, 3, …"
    for key in DURATIONS:
        if (written := config.get(key)) is not None and _duration(written) is None:
            yield key, written, "10s, 500ms, 1m30s"


def _duration(written: object) -> float | None:
    """Return seconds, or None for what is none."""
    with suppress(ValueError):
        if written is not None and (seconds := read_duration(written)) >= 0:
            return seconds
    return None
