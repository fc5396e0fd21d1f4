"""Judge a plan by its effect: which containers there are before and after, by id and by the time of their start.

Nothing here knows how a plan is made.
"""

from collections.abc import Iterator, Mapping

from roas.models.plan import Plan, ServiceAction, ServicePlan

# Of each service, the containers by id, with when each was started and what it does.
Look = Mapping[str, Mapping[str, tuple[str, str]]]

LEFTOVER = "left over"
NARROWER = {
    ServiceAction.RECREATE: {ServiceAction.KEEP, ServiceAction.START, ServiceAction.RESTART, ServiceAction.ADJUST},
    ServiceAction.RESTART: {ServiceAction.KEEP, ServiceAction.START},
    ServiceAction.START: {ServiceAction.KEEP},
    ServiceAction.ADJUST: {ServiceAction.KEEP, ServiceAction.START},
    ServiceAction.CREATE: {ServiceAction.KEEP},
}


def find_lies(plan: Plan, before: Look, after: Look) -> list[str]:
    """Return in words where the effect is another than the plan says; empty where the plan is true."""
    return list(_lies(plan, before, after))


def _lies(plan: Plan, before: Look, after: Look) -> Iterator[str]:
    planned = {service_plan.service: service_plan for service_plan in plan.services}
    for name in sorted(before.keys() | after.keys() | planned.keys()):
        service = planned.get(name)
        was, is_now = before.get(name, {}), after.get(name, {})
        effect = effect_on(was, is_now)
        allowed = allowed_effects(service) if service is not None else {ServiceAction.KEEP}
        if not {effect, effect_on(_without_leftovers(service, was, is_now), is_now)} & allowed:
            said = "is not in the plan" if service is None else f"the plan says {service.action}"
            yield f"{name}: {said}, the effect is {effect} ({before.get(name, {})} -> {after.get(name, {})})"


def allowed_effects(service: ServicePlan) -> set[ServiceAction]:
    """Return what may become of a service: what the plan says, or less where an image decides."""
    narrower = NARROWER.get(service.action, set()) if service.if_image_differs else set()
    return {service.action} | narrower


def _without_leftovers(
    service: ServicePlan | None, before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]
) -> Mapping[str, tuple[str, str]]:
    """Leave out what the plan says is cleared away beside what it does to the service, one container a reason."""
    if service is None:
        return before
    said = sum(LEFTOVER in reason for reason in service.reasons)
    gone = before.keys() - after.keys()
    return {value: how for value, how in before.items() if value not in gone} if len(gone) <= said else before


def effect_on(before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]) -> ServiceAction:
    """Name what became of the containers of one service."""
    if before == after:
        return ServiceAction.KEEP
    if not before:
        return ServiceAction.CREATE
    if not after:
        return ServiceAction.REMOVE
    if before.keys() == after.keys():
        idle = any(state != "running" for _, state in before.values())
        return ServiceAction.START if idle else ServiceAction.RESTART
    # Fewer or more of the same is another number; one that went while another came was replaced.
    only_more_or_fewer = before.keys() <= after.keys() or after.keys() <= before.keys()
    return ServiceAction.ADJUST if only_more_or_fewer else ServiceAction.RECREATE
