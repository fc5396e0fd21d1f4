"""Write a whole plan as a text file: a plan must not be confirmed without the part that a message has no room for."""

from collections.abc import Iterator, Sequence

from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.ui.drawing import Attachment
from roas.ui.formatting import release
from roas.ui.translation import _, translate

PLAN_FILE = "plan.txt"


def draw_plan_text(plan: Plan) -> Attachment:
    """Write everything of a plan: each service and image in full, every changed key, never a value."""
    return Attachment(PLAN_FILE, "\n".join(_lines(plan)) + "\n")


def plan_heading(plan: Plan) -> str:
    """Summarise the change of release: `prod: r3 → a new release (v2)`."""
    return _(
        "{environment}: {old} → {new} ({version})",
        environment=plan.environment,
        old=release(plan.from_release),
        new=release(plan.to_release) if plan.to_release is not None else _("a new release"),
        version=plan.version,
    )


def refused_heading() -> str:
    """Say, above what refuses a deployment, that it does."""
    return _("Refused as things are: nothing is changed")


def action_text(service: ServicePlan) -> str:
    """Describe what happens to a service."""
    text = {
        ServiceAction.CREATE: _("is created"),
        ServiceAction.RECREATE: _("is recreated"),
        ServiceAction.RESTART: _("is restarted"),
        ServiceAction.START: _("is started"),
        ServiceAction.ADJUST: _("changes its number of containers"),
        ServiceAction.RELOAD: _("reads its configuration again"),
        ServiceAction.REMOVE: _("is removed"),
        ServiceAction.KEEP: _("stays"),
    }[service.action]
    text = f"{text} {_('(the new one first)')}" if service.start_first else text
    return f"{text} {_('(if the image differs)')}" if service.if_image_differs else text


def _lines(plan: Plan) -> Iterator[str]:
    yield plan_heading(plan)
    for service in plan.changed:
        yield ""
        yield f"{service.service} {action_text(service)}"
        yield from (f"  {reason}" for reason in _reasons(service))
    if kept := [service for service in plan.services if service.action is ServiceAction.KEEP]:
        yield ""
        yield _("Unchanged ({count})", count=len(kept))
        yield from (f"  {service.service} {service.new_image or ''}".rstrip() for service in kept)
    if plan.order:
        yield ""
        yield _("Order")
        yield from (f"  {number}. {name}" for number, name in enumerate(plan.order, start=1))
    yield from _listed(refused_heading(), plan.refusals)
    yield from _listed(_("Warnings"), plan.cautions)


def _listed(heading: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield ""
        yield heading
        yield from (f"  {translate(text)}" for text in texts)


def _reasons(service: ServicePlan) -> Iterator[str]:
    old, new = service.old_image, service.new_image
    if old != new and old and new:
        yield _("image {change}", change=f"{old} → {new}")
    elif image := new or old:
        yield _("image {image}", image=image)
    if service.is_built:
        yield _("is built, then compared")
    elif service.expected_image:
        yield _("content {identity}", identity=service.expected_image)
    if service.changed_keys:
        yield _("changed: {keys}", keys=", ".join(service.changed_keys))
    yield from (translate(reason) for reason in service.reasons)
