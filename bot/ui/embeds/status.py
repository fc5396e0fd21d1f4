"""Draw the status of an environment: each service, the release it runs, and what is in progress."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from types import MappingProxyType

import discord

from roas.api.documents import EnvironmentStatus
from roas.messages.message import joined, said
from roas.metrics.integration_monitor import (
    EVENT_LATENCY,
    FEWEST_DEPLOYMENTS,
    LIMITS,
    STATE_SYNC_LAG,
    SUCCESS_RATE,
    WAITING,
    IntegrationFigures,
    Limit,
    values_of,
)
from roas.models.candidate import Hold
from roas.models.deployment import DeploymentRequest, Freeze
from roas.models.health import WORST_FIRST, ContainerState, Rest, ServiceDrift, ServiceHealth, StackHealth, Verdict
from roas.models.plan import PlanRecord
from roas.models.release import Release
from roas.ui.drawing import (
    BAD,
    CAREFUL,
    DESCRIPTION,
    EMBEDS,
    FIELD_VALUE,
    GOOD,
    QUIET,
    TOTAL,
    VERDICTS,
    Attachment,
    Drawing,
    add_field,
    clip,
    code,
    fit,
    lines,
    marked_up,
    marked_up_line,
    more,
    one_line,
    plain,
)
from roas.ui.embeds.live import paused
from roas.ui.embeds.plan import plan_headline
from roas.ui.formatting import at, begins, headline, image, person, since
from roas.ui.translation import _, translate, word
from roas.ui.units import aligned, duration, size

TABLE = "services.txt"
MINUTE, HOUR, DAY = 60, 3600, 86_400
# What is stopped shall not run; who looks wants to know before what is well.
STATES_WORST_FIRST: tuple[Verdict | Rest, ...] = (*WORST_FIRST[:-2], Rest.STOPPED, *WORST_FIRST[-2:])
# Of several environments, each has to be short.
BRIEF = 220
FEWEST = 150


def worst_first(services: Sequence[ServiceHealth]) -> list[ServiceHealth]:
    """Order services by what needs a look."""
    return sorted(services, key=lambda service: STATES_WORST_FIRST.index(service.state))


def draw_service_table(environments: Sequence[EnvironmentStatus]) -> Attachment:
    """Write the services of environments, one a row."""
    return Attachment(TABLE, "\n\n".join(_table(environment) for environment in environments) + "\n")


def running_version(health: ServiceHealth, release: Release | None) -> str:
    """Return the image as the release names it, where that is what runs; else what the container says of itself."""
    pinned = release.service(health.service) if release else None
    containers = health.containers
    if pinned is not None and (
        not containers or any(container.image_id == pinned.image.image_id for container in containers)
    ):
        return image(pinned.image.reference)
    return image(containers[0].image_reference) if containers else ""


def started_at(health: ServiceHealth) -> datetime | None:
    """Return when the youngest container started: that is how long all of it has been up."""
    return max(
        (container.started_at for container in health.containers if container.started_at is not None), default=None
    )


def _table(environment: EnvironmentStatus) -> str:
    health = environment.health
    if health is None:
        return environment.environment
    titles = (_("service"), _("verdict"), _("version"), _("up"), "CPU", _("memory"), _("restarts"), _("reason"))
    rows = [titles, *(_row(service, environment.release, health.taken_at) for service in worst_first(health.services))]
    if any(service.nodes for service in health.services):  # they run on a Swarm
        nodes = [_("node"), *(" ".join(service.nodes) or "-" for service in worst_first(health.services))]
        rows = [(*row[:-1], node, row[-1]) for row, node in zip(rows, nodes, strict=True)]
    heading = f"{environment.environment}, {health.taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return "\n".join([heading, *aligned(rows)])


def _row(health: ServiceHealth, release: Release | None, taken_at: datetime) -> tuple[str, ...]:
    started = started_at(health)
    return (
        health.service,
        word(health.state),
        running_version(health, release) or "-",
        "-" if started is None else _uptime((taken_at - started).total_seconds()),
        "-" if health.cpu_percent is None else f"{health.cpu_percent:.1f} %",
        size(health.memory_bytes) or "-",
        str(health.restart_count),
        " ".join("; ".join(map(translate, filter(None, (health.reason, health.note)))).split()),
    )


def _uptime(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d{whole % DAY // HOUR:02}h"


def draw_status(
    statuses: Sequence[EnvironmentStatus],
    beside: Sequence[discord.Embed] = (),
    trouble: Mapping[str, str] = MappingProxyType({}),
) -> Drawing:
    """Draw one embed per environment, and others after them, within what one message takes.

    Services come the worst first. Where not all of them fit, the rest is counted, and a file has every one. `trouble`
    says, by environment, why nothing can be posted to its channel.
    """
    shown = list(statuses[: EMBEDS - len(beside)])
    embeds = [_embed(status, trouble.get(status.environment, ""), brief=len(statuses) > 1) for status in shown]
    if hidden := len(statuses) - len(shown):
        embeds[-1].set_footer(text=more(hidden))
    room = (TOTAL - sum(len(embed) for embed in [*embeds, *beside])) // max(len(embeds), 1)
    cut = [status for status, embed in zip(shown, embeds, strict=True) if not _add_services(embed, status, room)]
    attachments = (draw_service_table(cut),) if cut else ()
    return Drawing("", tuple(fit([*embeds, *beside])), attachments=attachments)


def _embed(status: EnvironmentStatus, trouble: str, *, brief: bool) -> discord.Embed:
    """Draw what is known of an environment but for its services."""
    verdict = status.health.verdict if status.health and not status.fault else Verdict.UNKNOWN
    icon, colour = VERDICTS[verdict]
    if not status.fault and status.health is not None and _nothing_runs(status.health):
        icon, colour = "⚫", QUIET
    embed = discord.Embed(title=f"{icon} {status.environment}: {_verdict(status, verdict)}", colour=colour)
    facts = _facts(status, trouble)
    if brief:
        embed.description = "\n".join(f"**{name}** {clip(' '.join(value.split()), BRIEF)}" for name, value in facts)
    else:
        for name, value in facts:
            add_field(embed, name, value)
    return embed


def _requires(status: EnvironmentStatus) -> str:
    """Write from where to where releases go, and how long they have to be healthy there."""
    order = f"{status.requires} → {status.environment}"
    if not status.soak_seconds:
        return order
    return _("{order}, once healthy there for {time}", order=order, time=duration(status.soak_seconds))


def _facts(status: EnvironmentStatus, trouble: str) -> list[tuple[str, str]]:
    """Name the release that it is on, and what is in progress."""
    facts = [(_("Release"), _release(status.release))]
    if going_on := _going_on(status):
        facts.append((_("In progress"), going_on))
    if (drafted := status.drafted) is not None:
        facts.append(
            (
                _("Awaiting approval"),
                _listed("🗳️", headline(drafted), drafted.request, [since(drafted.created_at)], drafted.id),
            )
        )
    facts += [(_("Scheduled"), _scheduled(plan_record)) for plan_record in status.scheduled]
    if status.requires:
        facts.append((_("Takes from"), _requires(status)))
    if status.next_window is not None:
        opens = _(
            "⏰ outside of its windows; the next one opens {when}, {relative}",
            when=at(status.next_window),
            relative=since(status.next_window),
        )
        facts.append((_("Windows"), opens))
    if status.health is not None and status.health.drift:
        by_hand = [drift for drift in status.health.drift if not drift.left_by]
        left = [drift for drift in status.health.drift if drift.left_by]
        titled = ((_("Changed by hand"), by_hand), (_("Left by a failed deployment"), left))
        facts += [(title, _drift(found)) for title, found in titled if found]
    if status.freeze is not None:
        facts.append((_("Locked"), _freeze(status.freeze)))
    if status.holds:
        facts.append((_("On hold"), lines([_hold(hold) for hold in status.holds], FIELD_VALUE)))
    if status.health is not None and status.health.lost:
        labels = ", ".join(status.health.lost)
        facts.append((_("Cannot be restored"), _("{releases}: images were pruned", releases=labels)))
    if trouble:
        facts.append((_("Channel problems"), plain(trouble, FIELD_VALUE)))
    return facts


def _drift(drift: Sequence[ServiceDrift]) -> str:
    found = [f"≠ **{one_line(entry.service, 60)}** {_reason(entry)}" for entry in drift]
    return lines(found, FIELD_VALUE)


def _reason(drift: ServiceDrift) -> str:
    return marked_up_line(joined("; ", drift.reasons or (drift.reason,)), 200)


def _add_services(embed: discord.Embed, status: EnvironmentStatus, room: int) -> bool:
    """Put the services first, and return whether each of them is there."""
    facts = f"\n\n{embed.description}" if embed.description else ""
    limit = max(min(room - len("\n\n"), DESCRIPTION - len(facts)), FEWEST)
    parts = _service_lines(status)
    if len("\n".join(parts)) <= limit:
        embed.description = ("\n".join(parts) + facts).strip()
        return True
    if status.health is None:
        embed.description = clip(parts[0], limit) + facts
        return True
    note = "\n" + _("📎 All of it is in {file}.", file=code(TABLE))
    embed.description = lines(parts, limit - len(note)) + note + facts
    return False


def _freeze(freeze: Freeze) -> str:
    parts = [_("by {person}", person=person(freeze.frozen_by)), since(freeze.since)]
    if freeze.until is not None:
        parts[1] = _("until {when}", when=at(freeze.until))
    return f"🧊 {' · '.join(parts)}\n> {one_line(freeze.reason, 500)}"


def _scheduled(plan_record: PlanRecord) -> str:
    starts_at = plan_record.request.starts_at or plan_record.created_at
    parts = [begins(starts_at)]
    if plan_record.note:
        parts.append(f"⏳ {marked_up_line(plan_record.note, 300)}")
    return _listed("⏰", plan_headline(plan_record), plan_record.request, parts, plan_record.id)


def _listed(icon: str, what: str, request: DeploymentRequest, parts: Sequence[str], subject: str) -> str:
    """Draw one deployment that is asked for: what, by whom, how far it is, and its id."""
    asker = _("by {person}", person=person(request.requested_by))
    return f"{' · '.join([f'{icon} {what} {asker}', *parts])}\n-# {subject}"[:FIELD_VALUE]


def _hold(hold: Hold) -> str:
    reason = marked_up_line(hold.reason, 200)
    if not hold.version:
        return f"⛔ {_('nothing is deployed by itself')} · {since(hold.since)}: {reason}"
    return f"⛔ {code(hold.version, 64)} · {since(hold.since)}: {reason}"


def _verdict(status: EnvironmentStatus, verdict: Verdict) -> str:
    if status.fault:
        return _("not known")
    if status.health is not None and not status.health.services:
        return translate(said("nothing runs"))
    if status.health is not None and _nothing_runs(status.health):
        return word(Rest.STOPPED)
    return word(verdict)


def _nothing_runs(health: StackHealth) -> bool:
    return all(service.state is Rest.STOPPED for service in health.services)


def _service_lines(status: EnvironmentStatus) -> list[str]:
    """Count the services by how they are, then give each a line, the worst first."""
    if status.health is None:
        return [f"⚠️ {marked_up(status.fault, 1000)}"] if status.fault else []
    if not status.health.services:
        return []
    before = []
    if status.health.remembered:
        seen = _("As it was seen {when}:", when=since(status.health.taken_at))
        before = [f"⚠️ {marked_up(status.fault, 1000)}\n{seen}"]
    elif status.health.manager:
        before = [_("Asked: the manager at {address}", address=code(status.health.manager, 200))]
    services = worst_first(status.health.services)
    counts = Counter(service.state for service in services)
    summary = " · ".join(
        f"{_icon(state)} {counts[state]} {word(state)}" for state in STATES_WORST_FIRST if counts[state]
    )
    return [*before, summary, *(_service(service, status.release) for service in services)]


def _icon(state: Verdict | Rest) -> str:
    return "⏹️" if state is Rest.STOPPED else VERDICTS[state][0]


def _service(health: ServiceHealth, release: Release | None) -> str:
    head = f"{_icon(health.state)} **{one_line(health.service, 60)}** {word(health.state)}"
    rests = not any(container.state is ContainerState.RUNNING for container in health.containers)
    if health.reason and (health.verdict is not Verdict.HEALTHY or rests):  # such as: somebody has stopped it
        head += f": {marked_up_line(health.reason, 120)}"
    details = " · ".join(part for part in _details(health, release) if part)
    return f"{head}\n-# {details}" if details else head


def _details(health: ServiceHealth, release: Release | None) -> list[str]:
    """List image, uptime, CPU, memory and restarts, as far as they are known."""
    containers = health.containers
    version = running_version(health, release)
    started = started_at(health)
    return [
        code(version, 60) if version else "",
        _("{count} {count|container|containers}", count=len(containers)) if len(containers) > 1 else "",
        _("on {nodes}", nodes=one_line(", ".join(health.nodes), 200)) if health.nodes else "",
        _("started {when}", when=since(started)) if started else "",
        _("CPU {percent} %", percent=f"{health.cpu_percent:.1f}") if health.cpu_percent is not None else "",
        size(health.memory_bytes),
        _("CPU and memory on other nodes not known") if health.unmeasured else "",
        _("{count} {count|restart|restarts}", count=health.restart_count) if health.restart_count else "",
        marked_up_line(health.note, 200),
    ]


def _release(release: Release | None) -> str:
    if release is None:
        return _("none")
    has_version = release.version not in {None, "", release.state.value}  # what was adopted has none
    parts = [
        f"**{release.label}**",
        *([_("version {version}", version=code(release.version))] if has_version else []),
        word(release.state),
        _("{when} by {person}", when=at(release.created_at), person=person(release.created_by)),
    ]
    return " · ".join(parts)


def _going_on(status: EnvironmentStatus) -> str:
    """Name the deployment that runs, or the holder of the deployment lock."""
    active, lock = status.active, status.lock
    if active is not None and (pause := active.waits_in) is not None:
        parts = [paused(pause), marked_up_line(pause.message, 500)]
        return _listed("🚀", headline(active), active.request, parts, active.id)
    if active is not None:
        phase = active.current_phase
        parts = [_("started {when}", when=since(active.created_at)), word(phase.name) if phase else _("waiting")]
        if phase is not None and phase.summary:  # what it waits for
            parts.append(f"⚠️ {marked_up_line(phase.summary, 500)}")
        return _listed("🚀", headline(active), active.request, parts, active.id)
    if lock is not None:
        holder = _("by {person}", person=person(lock.held_by))
        return f"🔒 {marked_up_line(lock.purpose, 300)} {holder} · {_('since {when}', when=at(lock.since))}"
    return ""


def draw_integration(
    figures: IntegrationFigures, firing: AbstractSet[str], *, is_engine_unavailable: bool = False
) -> discord.Embed:
    """Draw the figures; an icon before each says whether its alert fires. Without an engine nothing is called well."""
    measured = {
        limit: "" if value is None else translate(limit.write(value)) for limit, value, _suspect in values_of(figures)
    }
    if figures.slowest_subscriber and EVENT_LATENCY.name in firing:
        name = code(figures.slowest_subscriber, 50)
        measured[EVENT_LATENCY] = _("{value}, slowest: {name}", value=measured[EVENT_LATENCY], name=name)
    if (waiting := figures.dependency_resolution_seconds) is not None:
        share = measured[WAITING]
        measured[WAITING] = _("{seconds} s, {share} of the timeout", seconds=f"{waiting:.1f}", share=share)
    shown = [limit for limit in LIMITS if limit is not STATE_SYNC_LAG or figures.has_redis]
    parts = [_line(limit, firing, translate(limit.title), measured[limit]) for limit in shown]
    title, colour = _("🩺 Bot components: healthy"), GOOD
    if is_engine_unavailable:
        title, colour = _("⚠️ Bot components: running, but a Docker engine cannot be reached"), CAREFUL
    if components := firing - {SUCCESS_RATE.name}:
        title, colour = _("⚠️ Bot components: {count} {count|alert|alerts}", count=len(components)), BAD
    elif firing:  # it is about what was deployed, not about the bot
        title, colour = f"⚠️ {translate(SUCCESS_RATE.title)}", CAREFUL
    return discord.Embed(title=title, description="\n".join(parts), colour=colour)


def _line(limit: Limit, firing: AbstractSet[str], name: str, value: str) -> str:
    if not value and limit is SUCCESS_RATE:
        told = _("measured once there are {fewest} in a day", fewest=FEWEST_DEPLOYMENTS)
        return f"▫️ {name}: {told}"
    if not value:
        return f"▫️ {name}: {_('nothing to measure yet')}"
    icon = "🔴" if limit.name in firing else "🟢"
    allowed = limit.write(limit.threshold)
    side = _("at least {limit}", limit=allowed) if limit.low else _("at most {limit}", limit=allowed)
    return f"{icon} {name}: {value} ({side})"
