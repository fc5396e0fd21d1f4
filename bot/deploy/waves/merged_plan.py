"""Merge the plans of all hosts into one: what is the same on each is said once, what differs by host."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from roas.messages.message import joined, said
from roas.models.environment import Environment
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.release import Release

NAMED = 3


def merge_plans(
    environment: Environment,
    plans: Mapping[str, Plan],
    away: Mapping[str, str],
    *,
    current: Release | None,
    target: Release | None = None,
) -> Plan:
    """Return one plan of the plans by host, which are bound by its digest; hosts that are `away` count as failed."""
    groups = _alike(plans)
    first = next(iter(plans.values()))
    services = [
        service if len(groups) == 1 else replace(service, service=f"{_named(hosts)}/{service.service}")
        for hosts, plan in groups
        for service in plan.services
    ]
    order = [name if len(groups) == 1 else f"{_named(hosts)}/{name}" for hosts, plan in groups for name in plan.order]
    to_release = None if target is None else target.number
    if target is None and current is not None and not away and all(_changes_nothing(plan) for plan in plans.values()):
        to_release = current.number
    return replace(
        first,
        environment=environment.name,
        version=first.version if target is None else target.version,
        from_release=None if current is None else current.number,
        to_release=to_release,
        services=tuple(services),
        order=tuple(order),
        warnings=(*_about_hosts(environment, groups, away), *_texts(plans, lambda plan: plan.warnings)),
        refusals=_texts(plans, lambda plan: plan.refusals),
        missing=_texts(plans, lambda plan: plan.missing),
        diff=tuple(dict.fromkeys(line for plan in plans.values() for line in plan.diff)),
        new_powers=tuple(dict.fromkeys(power for plan in plans.values() for power in plan.new_powers)),
        readings={name: text for plan in plans.values() for name, text in plan.readings.items()},
        data=_texts(plans, lambda plan: plan.data),
        digest=_digest(environment, plans, away),
    )


def _alike(plans: Mapping[str, Plan]) -> list[tuple[list[str], Plan]]:
    """Return the plans that differ, each with the hosts that have it."""
    groups: dict[tuple[ServicePlan, ...], tuple[list[str], Plan]] = {}
    for host, plan in plans.items():
        groups.setdefault(tuple(map(_without_kept_image, plan.services)), ([], plan))[0].append(host)
    return list(groups.values())


def _without_kept_image(service: ServicePlan) -> ServicePlan:
    """Leave out the content of an image that stays: what each host has built itself is another one on each."""
    return replace(service, expected_image=None) if service.action is ServiceAction.KEEP else service


def _named(hosts: list[str]) -> str:
    more = [f"+{len(hosts) - NAMED}"] if len(hosts) > NAMED else []
    return ",".join(hosts[:NAMED] + more)


def _changes_nothing(plan: Plan) -> bool:
    return plan.to_release is not None and plan.to_release == plan.from_release


def _about_hosts(
    environment: Environment, groups: list[tuple[list[str], Plan]], away: Mapping[str, str]
) -> Iterator[str]:
    waves = environment.waves
    yield said(
        "On {count} {count|host|hosts}, {parallelism} at a time: {hosts}.",
        count=len(environment.hosts),
        parallelism=waves.parallelism or len(environment.hosts),
        hosts=", ".join(host.host for host in environment.hosts),
    )
    if len(groups) > 1:
        yield said("The hosts differ: {groups}.", groups=joined("; ", (", ".join(hosts) for hosts, _plan in groups)))
    for host, reason in away.items():
        yield said("{host} stays as it is, and counts as failed: {reason}", host=host, reason=reason)


def _texts(plans: Mapping[str, Plan], read: Callable[[Plan], tuple[str, ...]]) -> tuple[str, ...]:
    """Return what plans say: once where all say it, else by host."""
    found = dict.fromkeys(text for plan in plans.values() for text in read(plan))
    return tuple(said_text for text in found for said_text in _by_host(plans, read, text))


def _by_host(plans: Mapping[str, Plan], read: Callable[[Plan], tuple[str, ...]], text: str) -> Iterator[str]:
    hosts = [host for host, plan in plans.items() if text in read(plan)]
    if len(hosts) == len(plans):
        yield text
    else:
        yield said("{host}: {text}", host=_named(hosts), text=text)


def _digest(environment: Environment, plans: Mapping[str, Plan], away: Mapping[str, str]) -> str:
    waves = environment.waves
    facts = [
        environment.name,
        sorted((host, plan.digest) for host, plan in plans.items()),
        sorted(away),
        [waves.parallelism, waves.delay_seconds, waves.max_failure_ratio],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
