"""Draw what a deployment would change, before anything is touched."""

import discord

from bot.models.plan import Plan, ServiceAction, ServicePlan
from bot.ui.limits import DESCRIPTION, FIELD_VALUE, add_field, code, fit, lines, one_line
from bot.ui.quantities import duration
from bot.ui.signs import ACTIONS, CAREFUL, QUIET, RUNNING
from bot.ui.translation import _, told
from bot.ui.words import image, image_change, release

KEYS_SHOWN = 5


def draw_plan(plan: Plan, *, dry_run: bool = False, last_seconds: float | None = None) -> list[discord.Embed]:
    """Draw a plan: per service what happens and why, which stay, in which order; keys, never values.

    `last_seconds` is how long it took the last time.
    """
    embed = discord.Embed(title=_title(plan), description=_description(plan), colour=_colour(plan))
    if kept := [service.service for service in plan.services if service.action is ServiceAction.KEEP]:
        add_field(embed, _("Stays as it is ({count})", count=len(kept)), one_line(", ".join(kept), FIELD_VALUE))
    if len(plan.order) > 1:
        add_field(embed, _("Order"), one_line(" → ".join(plan.order), FIELD_VALUE))
    if last_seconds is not None:
        add_field(embed, _("Last time"), _("it took {duration}", duration=duration(last_seconds)))
    if plan.warnings:
        add_field(embed, _("Warnings"), lines([f"⚠️ {one_line(told(w), 300)}" for w in plan.warnings], FIELD_VALUE))
    if dry_run:
        embed.set_footer(text=_("Dry run: nothing was changed."))
    return fit([embed])


def _title(plan: Plan) -> str:
    values = {
        "environment": plan.environment,
        "version": one_line(plan.version, 64),
        "old": release(plan.from_release),
        "new": release(plan.to_release) if plan.to_release is not None else _("a new release"),
    }
    return _("📋 {environment}: {old} → {new} ({version})", **values)


def _colour(plan: Plan) -> discord.Colour:
    if not plan.changed:
        return QUIET
    return CAREFUL if plan.warnings else RUNNING


def _description(plan: Plan) -> str:
    if not plan.changed and plan.to_release is not None and plan.to_release == plan.from_release:
        return ""  # what broke off half way is brought back: the warning says so
    if not plan.changed:
        return _("Nothing would change: everything runs as this version says.")
    return lines([_service(service) for service in plan.changed], DESCRIPTION // 2)


def _service(service: ServicePlan) -> str:
    head = f"{ACTIONS[service.action]} **{one_line(service.service, 60)}** {_action(service)}"
    return "\n".join([head, *(f"  {reason}" for reason in _reasons(service))])


def _action(service: ServicePlan) -> str:
    words = {
        ServiceAction.CREATE: _("is created"),
        ServiceAction.RECREATE: _("is recreated"),
        ServiceAction.RESTART: _("is restarted"),
        ServiceAction.REMOVE: _("is removed"),
        ServiceAction.KEEP: _("stays"),
    }[service.action]
    return f"{words} {_('(the new one first)')}" if service.start_first else words


def _reasons(service: ServicePlan) -> list[str]:
    """Say why: the image, the configuration's keys."""
    reasons: list[str] = []
    if service.action is ServiceAction.REMOVE:
        return reasons
    if service.old_image != service.new_image and (change := image_change(service.old_image, service.new_image)):
        reasons.append(_("image {change}", change=code(change)))
    elif service.new_image:
        reasons.append(_("image {image}", image=code(image(service.new_image))))
    if service.changed_keys:
        reasons.append(_("changed: {keys}", keys=_keys(service.changed_keys)))
    return reasons


def _keys(keys: tuple[str, ...]) -> str:
    shown = ", ".join(code(key, 40) for key in keys[:KEYS_SHOWN])
    return shown if len(keys) <= KEYS_SHOWN else _("{keys} and {count} more", keys=shown, count=len(keys) - KEYS_SHOWN)
