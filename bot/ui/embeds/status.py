"""Draw how an environment is: each service, the release it runs, and what is going on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import discord

from bot.models.deployment import Deployment, Lock, PhaseStatus
from bot.models.freeze import Freeze
from bot.models.health import ContainerSnapshot, ServiceHealth, StackHealth, Verdict
from bot.models.release import Release
from bot.ui.headlines import headline
from bot.ui.limits import DESCRIPTION, FIELD_VALUE, add_field, code, fit, lines, one_line, plain
from bot.ui.signs import QUIET, VERDICTS
from bot.ui.translation import _, told, word
from bot.ui.words import at, image, person, since, size

_WORST_FIRST = (Verdict.UNHEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.UNVERIFIED, Verdict.HEALTHY)


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Gather what `/status` shows of one environment; `fault` says why its health is not known.

    `trouble` says why the ops channel cannot be told of what happens.
    """

    environment: str
    health: StackHealth | None = None
    release: Release | None = None
    active: Deployment | None = None
    lock: Lock | None = None
    fault: str = ""
    freeze: Freeze | None = None
    trouble: str = ""


def draw_status(statuses: Sequence[EnvironmentStatus]) -> list[discord.Embed]:
    """Draw one embed per environment."""
    return fit([_embed(status, brief=len(statuses) > 1) for status in statuses])


def _embed(status: EnvironmentStatus, *, brief: bool) -> discord.Embed:
    verdict = status.health.verdict if status.health else Verdict.UNKNOWN
    sign, colour = VERDICTS[verdict]
    if not status.fault and status.health is not None and not status.health.services:
        sign, colour = "⚫", QUIET
    embed = discord.Embed(
        title=f"{sign} {status.environment}: {_verdict(status, verdict)}",
        description=_services(status, DESCRIPTION // 4 if brief else DESCRIPTION - 200),
        colour=colour,
    )
    add_field(embed, _("Release"), _release(status.release))
    if going_on := _going_on(status):
        add_field(embed, _("Going on"), going_on)
    if status.freeze is not None:
        add_field(embed, _("Locked"), _freeze(status.freeze))
    if status.trouble:
        add_field(embed, _("The channel cannot be posted to"), plain(status.trouble, FIELD_VALUE))
    return embed


def _freeze(freeze: Freeze) -> str:
    return _(
        "🧊 nobody may deploy: {person} locked it {when}\n> {reason}",
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


def _services(status: EnvironmentStatus, limit: int) -> str:
    if status.health is None:
        return f"⚠️ {plain(told(status.fault), 1000)}" if status.fault else _("Nothing is known of its services.")
    if not status.health.services:
        return _("No container of this environment runs.")
    services = sorted(status.health.services, key=lambda service: _WORST_FIRST.index(service.verdict))
    return lines([_service(service, status.release) for service in services], limit)


def _service(health: ServiceHealth, release: Release | None) -> str:
    head = f"{VERDICTS[health.verdict][0]} **{one_line(health.service, 60)}** {word(health.verdict)}"
    if health.verdict is not Verdict.HEALTHY and health.reason:
        head += f": {one_line(told(health.reason), 120)}"
    details = " · ".join(part for part in _details(health, release) if part)
    return f"{head}\n-# {details}" if details else head


def _details(health: ServiceHealth, release: Release | None) -> list[str]:
    """Say image, uptime, CPU, memory and restarts, as far as they are known."""
    pinned = release.service(health.service) if release else None
    containers = health.containers
    shown = pinned.image.reference if pinned else (containers[0].image_reference if containers else "")
    restarts = sum(container.restart_count for container in containers)
    started = _started(containers)
    return [
        code(image(shown), 60) if shown else "",
        _("{count} containers", count=len(containers)) if len(containers) > 1 else "",
        _("up {when}", when=since(started)) if started else "",
        _("CPU {percent} %", percent=f"{health.cpu_percent:.1f}") if health.cpu_percent is not None else "",
        size(health.memory_bytes),
        _("{count} restarts", count=restarts) if restarts else "",
    ]


def _started(containers: Sequence[ContainerSnapshot]) -> datetime | None:
    """Return when the youngest container started: that is how long all of it has been up."""
    return max((c.started_at for c in containers if c.started_at is not None), default=None)


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
    """Say which deployment runs, or who else holds the environment."""
    active, lock = status.active, status.lock
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
            when=since(lock.since),
            purpose=one_line(told(lock.purpose), 300),
        )
    return ""
