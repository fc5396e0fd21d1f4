"""Draw a plan, and what has become of it: who confirmed and who approved."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import discord

from roas.messages.message import joined, said
from roas.models.actor import ActorKind
from roas.models.deployment import DeploymentKind, Operation
from roas.models.plan import Plan, PlanRecord, PlanState, ServiceAction, ServicePlan
from roas.ui.drawing import (
    ACTIONS,
    ATTACHMENT_BYTES,
    CAREFUL,
    DESCRIPTION,
    FIELD_VALUE,
    GOOD,
    QUIET,
    RUNNING,
    Attachment,
    Button,
    Drawing,
    add_field,
    code,
    diff_block,
    fit,
    lines,
    marked_up,
    marked_up_line,
    more,
    one_line,
)
from roas.ui.formatting import (
    begins,
    image,
    image_change,
    mentions,
    person,
    release,
    request_headline,
    since,
)
from roas.ui.translation import _, translate
from roas.ui.units import duration

PLAN_FILE, DIFF_FILE = "plan.txt", "plan.diff"
KEYS_SHOWN = 5
BYTES_OF_A_CHARACTER = 4
# So much of a list of names: a message that asks for an approval has to have room for what changes.
NAMES = 400
# What to type where a plan cannot be confirmed any more.
ASK_AGAIN = said("Type it again, such as /deploy, for a new plan.")


def draw_plan_text(plan: Plan) -> Attachment:
    """Write everything of a plan: each service and image in full, every changed key, never a value.

    Of one that no file can hold the beginning is written, and how much is missing.
    """
    return Attachment(PLAN_FILE, lines(list(_lines(plan)), ATTACHMENT_BYTES // BYTES_OF_A_CHARACTER) + "\n")


def draw_diff(plan: Plan) -> Attachment:
    """Write what changes, line by line; Discord colours it."""
    return Attachment(DIFF_FILE, "\n".join(translate(line) for line in plan.diff) + "\n")


def plan_heading(plan: Plan) -> str:
    """Summarise the change of release: `prod: r3 → a new release (v2)`; one that stays is named alone."""
    if plan.promoted_from and plan.to_release is None:
        return _(
            "{environment}: {old} → {release} of {source} ({version})",
            environment=plan.environment,
            old=release(plan.from_release),
            release=release(plan.promoted_release),
            source=plan.promoted_from,
            version=plan.version,
        )
    if plan.to_release is not None and plan.to_release == plan.from_release:
        return _(
            "{environment} stays on {release} ({version})",
            environment=plan.environment,
            release=release(plan.to_release),
            version=plan.version,
        )
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


def promotion_heading(plan: Plan) -> str:
    """Head the list of what is meant to differ from the environment that a release is promoted from."""
    return _("Not as in {environment}", environment=plan.promoted_from)


def powers_heading() -> str:
    """Head the list of what services newly get beyond their own containers."""
    return _("New powers")


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
        ServiceAction.STOP: _("is stopped, and stays so until it is started or deployed"),
        ServiceAction.KEEP: _("stays"),
    }[service.action]
    text = f"{text} {_('(the new one first)')}" if service.start_first else text
    return f"{text} {_('(if the image differs)')}" if service.if_image_differs else text


def _lines(plan: Plan) -> Iterator[str]:
    yield plan_heading(plan)
    yield from _listed(powers_heading(), plan.read(plan.new_powers))
    for service in plan.changed:
        yield ""
        yield f"{service.service} {action_text(service)}"
        yield from (f"  {reason}" for reason in _plain_reasons(service))
    if kept := [service for service in plan.services if service.action is ServiceAction.KEEP]:
        yield ""
        yield _("Unchanged ({count})", count=len(kept))
        yield from (f"  {service.service} {service.new_image or ''}".rstrip() for service in kept)
    if plan.order:
        yield ""
        yield _("Order")
        yield from (f"  {number}. {name}" for number, name in enumerate(plan.order, start=1))
    yield from _listed(_("Data"), plan.data)
    yield from _listed(promotion_heading(plan), plan.promotion)
    yield from _listed(refused_heading(), plan.refused)
    yield from _listed(_("Warnings"), plan.cautions)


def _listed(heading: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield ""
        yield heading
        yield from (f"  {translate(text)}" for text in texts)


def _plain_reasons(service: ServicePlan) -> Iterator[str]:
    old, new = service.old_image, service.new_image
    if old != new and old and new:
        yield _("image {image}", image=f"{old} → {new}")
    elif image := new or old:
        yield _("image {image}", image=image)
    if service.is_built:
        yield _("is built, then compared")
    elif service.expected_image:
        yield _("content {identity}", identity=service.expected_image)
    if service.changed_keys:
        yield _("changed: {keys}", keys=", ".join(service.changed_keys))
    yield from (translate(reason) for reason in service.reasons)


def draw_plan(plan: Plan, *, dry_run: bool = False, last_seconds: float | None = None) -> list[discord.Embed]:
    """Draw a plan: per service what happens and why, which stay, in which order; keys, never values.

    `last_seconds` is the duration of the last one.
    """
    heading = plan_heading(replace(plan, version=one_line(plan.version, 64)))
    embed = discord.Embed(title=f"📋 {heading}", description=_description(plan), colour=_colour(plan))
    for name, value in _fields(plan):
        add_field(embed, name, value)
    if last_seconds is not None:
        add_field(embed, _("Last time"), _("took {duration}", duration=duration(last_seconds)))
    if dry_run:
        embed.set_footer(text=_("Dry run: nothing that runs was changed."))
    return fit([embed])


def draw_plan_message(
    plan: Plan, text: str = "", *, dry_run: bool = False, last_seconds: float | None = None
) -> Drawing:
    """Draw a plan as an answer with some text, with the whole of it as a file if it does not fit."""
    embeds = draw_plan(plan, dry_run=dry_run, last_seconds=last_seconds)
    files = whole_plan(plan, embeds)
    content = "\n".join(part for part in (text, whole_plan_note(files)) if part)
    return Drawing(key="", content=content, embeds=tuple(embeds), attachments=files)


def whole_plan(plan: Plan, shown: Sequence[discord.Embed]) -> tuple[Attachment, ...]:
    """Return the plan as a file where what is shown of it was cut anywhere."""
    text = "\n".join(part for embed in shown for part in _texts(embed) if not part.startswith("```diff"))
    hidden_keys = any(len(service.changed_keys) > KEYS_SHOWN for service in plan.changed)
    names = {field.name for embed in shown for field in embed.fields}
    missing = any(name not in names for name, _value in _fields(plan))
    whole = (draw_plan_text(plan),) if "…" in text or hidden_keys or missing else ()
    return (*whole, draw_diff(plan)) if plan.diff else whole


def whole_plan_note(files: tuple[Attachment, ...]) -> str:
    """Say where the whole plan is, where it is in a file."""
    names = [file.name for file in files]
    parts = []
    if PLAN_FILE in names:
        parts.append(_("📎 All of it is in {file}.", file=code(PLAN_FILE)))
    if DIFF_FILE in names:
        parts.append(_("📎 What changes, line by line: {file}", file=code(DIFF_FILE)))
    return "\n".join(parts)


def _fields(plan: Plan) -> list[tuple[str, str]]:
    """List which services stay, the order in which the others change, and warnings."""
    fields = []
    if kept := [service.service for service in plan.services if service.action is ServiceAction.KEEP]:
        fields.append((_("Unchanged ({count})", count=len(kept)), one_line(", ".join(kept), NAMES)))
    if len(plan.order) > 1:
        fields.append((_("Order"), one_line(" → ".join(plan.order), NAMES)))
    if plan.new_powers:
        powers = [f"🔑 {one_line(power, 300)}" for power in plan.read(plan.new_powers)]
        fields.append((powers_heading(), lines(powers, FIELD_VALUE)))
    if plan.data:
        fields.append((_("Data"), lines([f"💾 {marked_up_line(line, 300)}" for line in plan.data], FIELD_VALUE)))
    if plan.promotion:
        differences = [f"⏩ {marked_up_line(line, 300)}" for line in plan.promotion]
        fields.append((promotion_heading(plan), lines(differences, FIELD_VALUE)))
    if plan.refused:
        refusals = [f"⛔ {marked_up_line(refusal, 300)}" for refusal in plan.refused]
        fields.append((refused_heading(), lines(refusals, FIELD_VALUE)))
    if plan.cautions:
        warnings = [f"⚠️ {marked_up(warning, 300)}" for warning in plan.cautions]
        fields.append((_("Warnings"), lines(warnings, FIELD_VALUE)))
    if plan.diff:
        fields.append((_("Configuration"), diff_block([translate(line) for line in plan.diff], FIELD_VALUE)))
    return fields


def _texts(embed: discord.Embed) -> list[str]:
    values = [text for field in embed.fields for text in (field.name, field.value)]
    return [text for text in (embed.title, embed.description, *values) if text]


def _colour(plan: Plan) -> discord.Colour:
    if not plan.changed:
        return QUIET
    return CAREFUL if plan.warnings or plan.new_powers else RUNNING


def _description(plan: Plan) -> str:
    if not plan.changed and plan.warnings and plan.to_release is not None and plan.to_release == plan.from_release:
        return ""  # an interrupted change is rolled back: the warning says so
    if not plan.changed and (plan.warnings or plan.diff or plan.data):
        return _("No service is changed.")  # what does not fit, and why it stays so, is told below
    if not plan.changed:
        return _("No changes: everything already runs as this version defines it.")
    return lines([_service(service) for service in plan.changed], DESCRIPTION // 2)


def _service(service: ServicePlan) -> str:
    head = f"{ACTIONS[service.action]} **{one_line(service.service, 60)}** {action_text(service)}"
    return "\n".join([head, *(f"  {reason}" for reason in _reasons(service))])


def _reasons(service: ServicePlan) -> list[str]:
    """Give the reasons: the image, the configuration's keys, what else is not as it should be."""
    if service.action is ServiceAction.REMOVE:
        return [marked_up_line(reason, 200) for reason in service.reasons]
    reasons: list[str] = []
    if service.old_image != service.new_image and (change := image_change(service.old_image, service.new_image)):
        reasons.append(_("image {image}", image=code(change)))
    elif service.new_image:
        reasons.append(_("image {image}", image=code(image(service.new_image))))
    if service.changed_keys:
        reasons.append(_("changed: {keys}", keys=_keys(service.changed_keys)))
    reasons += [marked_up_line(reason, 200) for reason in service.reasons]
    return reasons


def _keys(keys: tuple[str, ...]) -> str:
    shown = ", ".join(code(key, 40) for key in keys[:KEYS_SHOWN])
    return shown if len(keys) <= KEYS_SHOWN else f"{shown} {more(len(keys) - KEYS_SHOWN)}"


CONFIRM_PREFIX = "roas:confirm:"
APPROVE_PREFIX = "roas:approve:"
WITHDRAW_PREFIX = "roas:withdraw:"
MISSED_SUFFIX = " · missed"

_COLOURS = {
    PlanState.DRAFTED: CAREFUL,
    PlanState.CONFIRMED: RUNNING,
    PlanState.STARTED: GOOD,
}


def draw_confirmation(plan_record: PlanRecord, *, last_seconds: float | None = None) -> Drawing:
    """Draw a plan with its buttons, for the one who asked."""
    confirm = _("Roll back") if plan_record.request.kind is DeploymentKind.ROLLBACK else _("Deploy")
    if plan_record.request.operation is Operation.STOP:
        confirm = _("Stop")
    elif plan_record.request.operation is Operation.KEEP:
        confirm = _("Keep it")
    elif plan_record.request.operation is Operation.SCALE:
        confirm = _("Scale")
    starts_at = plan_record.request.starts_at
    if starts_at is not None:
        confirm = _("Deploy at {when} UTC", when=f"{starts_at:%m-%d %H:%M}")
    buttons = (
        Button(confirm, f"{CONFIRM_PREFIX}{plan_record.id}", discord.ButtonStyle.success, "🚀"),
        _withdraw_button(plan_record),
    )
    text = _("Nothing changes until you confirm. The plan expires {when}.", when=since(plan_record.expires_at))
    if starts_at is not None:
        text += f"\n⏰ {begins(starts_at)}"
    message = draw_plan_message(plan_record.plan, text, last_seconds=last_seconds)
    return replace(message, key=plan_record.id, buttons=buttons)


def draw_approval(
    plan_record: PlanRecord, approvers: tuple[int, ...] = (), *, last_seconds: float | None = None
) -> Drawing:
    """Draw the message that asks a second person, and says later what became of it.

    While it waits it pings the approver roles. They see all that they approve: in a file, where a message cannot show
    all of it.
    """
    plan = draw_plan(plan_record.plan, last_seconds=last_seconds)
    embed = discord.Embed(
        title=_title(plan_record),
        description=_approval_description(plan_record),
        colour=_COLOURS.get(plan_record.state, QUIET),
    ).set_footer(text=plan_record.id)
    shown = fit([embed, *plan])
    if files := whole_plan(plan_record.plan, shown[1:]):
        embed.description = f"{embed.description}\n{whole_plan_note(files)}"
        shown = fit([embed, *plan])
    buttons: tuple[Button, ...] = ()
    if plan_record.asks_again:
        confirm = Button(_("Deploy"), f"{CONFIRM_PREFIX}{plan_record.id}", discord.ButtonStyle.success, "🚀")
        buttons = (confirm, _withdraw_button(plan_record))
    elif plan_record.state is PlanState.SCHEDULED:
        buttons = (_withdraw_button(plan_record),)
    elif plan_record.waits:
        approve = Button(_("Approve"), f"{APPROVE_PREFIX}{plan_record.id}", discord.ButtonStyle.success, "✅")
        buttons = (approve, _withdraw_button(plan_record))
    pings = approvers if plan_record.state is PlanState.DRAFTED else ()
    drawing = Drawing(plan_record.id, tuple(shown), mentions(pings), buttons, attachments=files, pings=pings)
    return _pinging_asker(drawing, plan_record) if plan_record.asks_again else drawing


def draw_missed(plan_record: PlanRecord) -> Drawing:
    """Say, in a message of its own, that a scheduled deployment does not begin, and why."""
    embed = discord.Embed(
        title=_("⏰ Not deployed at its time: {what}", what=plan_headline(plan_record)),
        description=f"{marked_up_line(plan_record.note, 1000)}\n{_('Nothing was changed.')}",
        colour=CAREFUL,
    ).set_footer(text=f"{plan_record.id}{MISSED_SUFFIX}")
    return _pinging_asker(Drawing(f"{plan_record.id}{MISSED_SUFFIX}", (embed,)), plan_record)


def _pinging_asker(drawing: Drawing, plan_record: PlanRecord) -> Drawing:
    asker = plan_record.request.requested_by
    if asker.kind is not ActorKind.DISCORD or not asker.id.isdigit():
        return drawing
    return replace(drawing, content=person(asker), pinged_person=int(asker.id))


def plan_headline(plan_record: PlanRecord) -> str:
    """Summarise what a plan is of: `Deploy v2 to prod`."""
    return request_headline(plan_record.request, plan_record.plan.to_release)


def _withdraw_button(plan_record: PlanRecord) -> Button:
    return Button(_("Cancel"), f"{WITHDRAW_PREFIX}{plan_record.id}", discord.ButtonStyle.secondary, "✖️")


def _title(plan_record: PlanRecord) -> str:
    values = {"what": plan_headline(plan_record)}
    return {
        PlanState.PLANNED: _("🔁 Confirm again: {what}", **values),
        PlanState.SCHEDULED: _("⏰ Scheduled: {what}", **values),
        PlanState.DRAFTED: _("🗳️ Approval needed: {what}", **values),
        PlanState.CONFIRMED: _("✅ Approved: {what}", **values),
        PlanState.STARTED: _("✅ Approved: {what}", **values),
        PlanState.WITHDRAWN: _("🚫 Withdrawn: {what}", **values),
        PlanState.VOID: _("🚫 Void: {what}", **values),
        PlanState.EXPIRED: _("⌛ Not approved in time: {what}", **values),
    }.get(plan_record.state, plan_headline(plan_record))


def _approval_description(plan_record: PlanRecord) -> str:
    request = plan_record.request
    parts = [_("by {person}", person=person(request.requested_by))]
    if request.services:
        parts[0] += " · " + _("only {services}", services=one_line(", ".join(request.services), 200))
    if request.reason:
        parts.append(f"> {one_line(request.reason, 300)}")
    parts.append(describe_outcome(plan_record))
    return "\n".join(parts)


def describe_outcome(plan_record: PlanRecord) -> str:
    """Describe the state of a plan, and what its reader can do."""
    decider = person(plan_record.decided_by) if plan_record.decided_by else ""
    state = plan_record.state
    if text := _describe_schedule(plan_record):
        return text
    if state is PlanState.PLANNED:
        return _("Waiting for {person} to confirm.", person=person(plan_record.request.requested_by))
    if state is PlanState.DRAFTED and plan_record.note:
        when = _("It expires {when}.", when=since(plan_record.expires_at))
        return f"{marked_up_line(plan_record.note, 500)} {when}"
    if state is PlanState.DRAFTED:
        return _(
            "It is prepared. A second person with the approver role has to approve exactly this. It expires {when}.",
            when=since(plan_record.expires_at),
        )
    if state is PlanState.CONFIRMED:
        return _("approved by {person}", person=decider)
    if state is PlanState.STARTED:
        return f"{_('approved by {person}', person=decider)} · {_started_as(plan_record)}"
    if state is PlanState.WITHDRAWN:
        return _("cancelled by {person}", person=decider)
    if state is PlanState.VOID:
        return f"{marked_up_line(plan_record.note, 500)} {translate(ASK_AGAIN)}"
    return translate(joined(" ", (said("Nobody approved it in time."), ASK_AGAIN)))


def _started_as(plan_record: PlanRecord) -> str:
    return _("started as `{id}`", id=plan_record.deployment_id)


def _describe_schedule(plan_record: PlanRecord) -> str:
    """Say of a plan that is or was scheduled when it begins, or what became of that; empty of every other."""
    state, starts_at = plan_record.state, plan_record.request.starts_at
    note = marked_up_line(plan_record.note, 500)
    if plan_record.asks_again:
        waiting = _("Waiting for {person} to confirm.", person=person(plan_record.request.requested_by))
        return f"{note} {waiting} {_('It expires {when}.', when=since(plan_record.expires_at))}"
    if plan_record.asked_again_as:
        return f"{note} {_('It is asked for again below.')}"
    if starts_at is None:
        return ""
    if state is PlanState.STARTED:
        return _started_as(plan_record)
    if state is not PlanState.SCHEDULED:
        return ""
    text = begins(starts_at)
    if plan_record.deployment_id is not None and plan_record.decided_by is not None:
        text = f"{_('approved by {person}', person=person(plan_record.decided_by))} · {text}"
    return f"{text}\n⏳ {note}" if note else text
