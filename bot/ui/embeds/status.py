"""Draw the status of an environment: each service, the release it runs, and what is in progress."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from roas.models.deployment import Deployment, Lock, PhaseStatus
from roas.models.freeze import Freeze
from roas.models.health import ServiceDrift, ServiceHealth, StackHealth, Verdict
from roas.models.release import Release
from roas.ui.drawing import Drawing
from roas.ui.embeds.service_table import (
    TABLE,
    draw_service_table,
    restart_count,
    running_version,
    started_at,
    worst_first,
)
from roas.ui.formatting import at, person, since
from roas.ui.headlines import headline
from roas.ui.icons import QUIET, VERDICTS, WORST_FIRST
from roas.ui.limits import (
    DESCRIPTION,
    EMBEDS,
    FIELD_VALUE,
    TOTAL,
    add_field,
    clip,
    code,
    fit,
    lines,
    marked_up,
    one_line,
    plain,
)
from roas.ui.quantities import size
from roas.ui.translation import _, translate, word

# Of several environments, each has to be short.
BRIEF = 220
FEWEST = 150


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Gather what `/status` shows of one environment; `fault` says why its health is not known.

    `trouble` says why nothing can be posted to the ops channel.
    """

    environment: str
    health: StackHealth | None = None
    release: Release | None = None
    active: Deployment | None = None
    lock: Lock | None = None
    fault: str = ""
    freeze: Freeze | None = None
    trouble: str = ""


def draw_status(statuses: Sequence[EnvironmentStatus], beside: Sequence[discord.Embed] = ()) -> Drawing:
    """Draw one embed per environment, and others after them, within what one message takes.

    Services come the worst first. Where not all of them fit, the rest is counted, and a file has every one.
    """
    shown = list(statuses[: EMBEDS - len(beside)])
    embeds = [_embed(status, brief=len(statuses) > 1) for status in shown]
    if hidden := len(statuses) - len(shown):
        embeds[-1].set_footer(text=_("… and {count} more environments: ask for one by its name", count=hidden))
    room = (TOTAL - sum(len(embed) for embed in [*embeds, *beside])) // max(len(embeds), 1)
    cut = [status for status, embed in zip(shown, embeds, strict=True) if not _add_services(embed, status, room)]
    attachments = (draw_service_table(cut),) if cut else ()
    return Drawing("", tuple(fit([*embeds, *beside])), attachments=attachments)


def _embed(status: EnvironmentStatus, *, brief: bool) -> discord.Embed:
    """Draw what is known of an environment but for its services."""
    verdict = status.health.verdict if status.health and not status.fault else Verdict.UNKNOWN
    icon, colour = VERDICTS[verdict]
    if not status.fault and status.health is not None and not status.health.services:
        icon, colour = "⚫", QUIET
    embed = discord.Embed(title=f"{icon} {status.environment}: {_verdict(status, verdict)}", colour=colour)
    facts = _facts(status)
    if brief:
        embed.description = "\n".join(f"**{name}** {clip(' '.join(value.split()), BRIEF)}" for name, value in facts)
    else:
        for name, value in facts:
            add_field(embed, name, value)
    return embed


def _facts(status: EnvironmentStatus) -> list[tuple[str, str]]:
    """Name the release that it is on, and what is in progress."""
    facts = [(_("Release"), _release(status.release))]
    if going_on := _going_on(status):
        facts.append((_("In progress"), going_on))
    if status.health is not None and status.health.drift:
        by_hand = [one for one in status.health.drift if not one.left_by]
        left = [one for one in status.health.drift if one.left_by]
        titled = ((_("Changed by hand"), by_hand), (_("Left by a failed deployment"), left))
        facts += [(title, _drift(found)) for title, found in titled if found]
    if status.freeze is not None:
        facts.append((_("Locked"), _freeze(status.freeze)))
    if status.health is not None and status.health.lost:
        labels = ", ".join(status.health.lost)
        facts.append((_("Cannot be restored"), _("{releases}: images were pruned", releases=labels)))
    if status.trouble:
        facts.append((_("Channel problems"), plain(status.trouble, FIELD_VALUE)))
    return facts


def _drift(drift: Sequence[ServiceDrift]) -> str:
    found = [f"≠ **{one_line(one.service, 60)}** {_reason(one)}" for one in drift]
    return lines(found, FIELD_VALUE)


def _reason(drift: ServiceDrift) -> str:
    return one_line("; ".join(map(translate, drift.reasons or (drift.reason,))), 200)


def _add_services(embed: discord.Embed, status: EnvironmentStatus, room: int) -> bool:
    """Put the services first, and return whether each of them is there."""
    facts = f"\n\n{embed.description}" if embed.description else ""
    limit = max(min(room - len("\n\n"), DESCRIPTION - len(facts)), FEWEST)
    parts = _service_lines(status)
    if len("\n".join(parts)) <= limit:
        embed.description = "\n".join(parts) + facts
        return True
    if status.health is None:
        embed.description = clip(parts[0], limit) + facts
        return True
    note = "\n" + _("All of them are in {file}.", file=code(TABLE))
    embed.description = lines(parts, limit - len(note)) + note + facts
    return False


def _freeze(freeze: Freeze) -> str:
    return _(
        "🧊 deployments are locked by {person} {when}\n> {reason}",
        person=person(freeze.frozen_by),
        when=since(freeze.since),
        reason=one_line(freeze.reason, 500),
    )


def _verdict(status: EnvironmentStatus, verdict: Verdict) -> str:
    if status.fault:
        return _("not known")
    if status.health is not None and not status.health.services:
        return _("nothing runs")
    return word(verdict)


def _service_lines(status: EnvironmentStatus) -> list[str]:
    """Count the services by verdict, then give each a line, the worst first."""
    if status.health is None:
        unknown = _("Nothing is known of its services.")
        return [f"⚠️ {marked_up(status.fault, 1000)}\n{unknown}" if status.fault else unknown]
    if not status.health.services:
        return [_("No container of this environment runs.")]
    before = []
    if status.health.remembered:
        seen = _("As it was seen {when}:", when=since(status.health.taken_at))
        before = [f"⚠️ {marked_up(status.fault, 1000)}\n{seen}"]
    services = worst_first(status.health.services)
    counts = Counter(service.verdict for service in services)
    summary = " · ".join(f"{VERDICTS[one][0]} {counts[one]} {word(one)}" for one in WORST_FIRST if counts[one])
    return [*before, summary, *(_service(service, status.release) for service in services)]


def _service(health: ServiceHealth, release: Release | None) -> str:
    head = f"{VERDICTS[health.verdict][0]} **{one_line(health.service, 60)}** {word(health.verdict)}"
    if health.verdict is not Verdict.HEALTHY and health.reason:
        head += f": {one_line(translate(health.reason), 120)}"
    details = " · ".join(part for part in _details(health, release) if part)
    return f"{head}\n-# {details}" if details else head


def _how_many(health: ServiceHealth) -> str:
    count = len(health.containers)
    return _("{count} tasks", count=count) if health.nodes else _("{count} containers", count=count)


def _details(health: ServiceHealth, release: Release | None) -> list[str]:
    """List image, uptime, CPU, memory and restarts, as far as they are known."""
    containers = health.containers
    version = running_version(health, release)
    started = started_at(health)
    restarts = restart_count(health)
    return [
        code(version, 60) if version else "",
        _how_many(health) if len(containers) > 1 else "",
        _("on {nodes}", nodes=one_line(", ".join(health.nodes), 200)) if health.nodes else "",
        _("started {when}", when=since(started)) if started else "",
        _("CPU {percent} %", percent=f"{health.cpu_percent:.1f}") if health.cpu_percent is not None else "",
        size(health.memory_bytes),
        _("CPU and memory on other nodes not known") if health.unmeasured else "",
        _("{count} restarts", count=restarts) if restarts else "",
    ]


def _release(release: Release | None) -> str:
    if release is None:
        return _("none yet: nothing was deployed by this bot")
    return _(
        "**{label}** · version {version} · {state} · {when} by {person}",
        label=release.label,
        version=code(release.version),
        state=word(release.state),
        when=at(release.created_at),
        person=person(release.created_by),
    )


def _going_on(status: EnvironmentStatus) -> str:
    """Name the deployment that runs, or the holder of the deployment lock."""
    active, lock = status.active, status.lock
    if active is not None and active.is_waiting and active.pause is not None:
        return _(
            "⏸️ {headline} by {person}, paused {when}: {reason} It waits for *Go on* or *Roll back*.\n-# {id}",
            headline=headline(active),
            person=person(active.request.requested_by),
            when=since(active.pause.since),
            reason=one_line(translate(active.pause.message), 500),
            id=active.id,
        )[:FIELD_VALUE]
    if active is not None:
        phase = next((word(p.name) for p in active.phases if p.status is PhaseStatus.IN_PROGRESS), _("waiting"))
        return _(
            "🚀 {headline} by {person}, started {when}, now in {phase}\n-# {id}",
            headline=headline(active),
            person=person(active.request.requested_by),
            when=since(active.created_at),
            phase=phase,
            id=active.id,
        )[:FIELD_VALUE]
    if lock is not None:
        return _(
            "🔒 held by {person} since {when}: {purpose}",
            person=person(lock.held_by),
            when=at(lock.since),
            purpose=one_line(translate(lock.purpose), 300),
        )
    return ""
