"""Write times, images and people as a person on a phone wants to read them."""

from collections.abc import Iterable
from datetime import datetime

from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Operation, Outcome
from roas.ui.drawing import one_line
from roas.ui.translation import _
from roas.ui.units import known_name

SHORT_ID = 12


def since(moment: datetime) -> str:
    """Format a time as a Discord timestamp, which every reader's client keeps up to date without an edit."""
    return f"<t:{int(moment.timestamp())}:R>"


def clock(moment: datetime) -> str:
    """Write a time of today in the reader's own time zone, to the second: it stays true without an edit."""
    return f"<t:{int(moment.timestamp())}:T>"


def at(moment: datetime) -> str:
    """Write a date and time in the reader's own time zone."""
    return f"<t:{int(moment.timestamp())}:f>"


def image(reference: str | None) -> str:
    """Shorten an image reference to what distinguishes two versions: its last name and tag, or the start of its id."""
    if not reference:
        return ""
    name, _at, digest = known_name(reference).partition("@")
    if name.startswith("sha256:"):
        return name.removeprefix("sha256:")[:SHORT_ID]
    last = name.rsplit("/", 1)[-1]
    short = digest.removeprefix("sha256:")[:SHORT_ID]
    return last if ":" in last or not short else f"{last}@{short}"


def image_change(old: str | None, new: str | None) -> str:
    """Write which image becomes which; only the tags of one name, all where it is new or from elsewhere."""
    before, after = image(old), image(new)
    if old and new and _is_from_elsewhere(old, new):
        return f"{known_name(old).partition('@')[0]} → {known_name(new).partition('@')[0]}"
    if not old and new and (whole := _repository(known_name(new))):
        place, slash, _last = whole.rpartition("/")
        return f"{place}{slash}{after}"
    if not before or not after or before == after:
        return after or before
    name, _colon, tag = after.partition(":")
    old_name, _colon, old_tag = before.partition(":")
    return f"{old_tag} → {tag}" if tag and old_tag and name == old_name else f"{before} → {after}"


def _is_from_elsewhere(old: str, new: str) -> bool:
    """Return whether an image comes from another repository; the bot's own names do not tell the registry."""
    before, after = _repository(known_name(old)), _repository(known_name(new))
    is_shortened = known_name(old) != old and after.endswith(f"/{before}")
    return bool(before and after) and before != after and not is_shortened


def _repository(reference: str) -> str:
    """Return the repository of an image, without its tag; empty for one that is named by its id alone."""
    name = reference.partition("@")[0]
    place, slash, last = name.rpartition("/")
    return "" if name.startswith("sha256:") else f"{place}{slash}{last.partition(':')[0]}"


def person(actor: Actor) -> str:
    """Name an actor: a mention, which pings nobody within an embed, or a name."""
    return f"<@{actor.id}>" if actor.kind is ActorKind.DISCORD and actor.id.isdigit() else one_line(actor.name, 80)


def mentions(roles: Iterable[int]) -> str:
    """Mention roles; this pings them only in a message's content, and only where the message allows it."""
    return " ".join(f"<@&{role}>" for role in roles)


def release(number: int | None) -> str:
    """Write a release as people do: `r12`."""
    return f"r{number}" if number is not None else _("none")


def headline(deployment: Deployment) -> str:
    """Summarise a deployment: `Deploy v2 to staging`."""
    return request_headline(deployment.request, deployment.to_release)


def request_headline(request: DeploymentRequest, to_release: int | None = None) -> str:
    """Summarise a request: `Deploy v2 to staging`, `Restart web of staging`."""
    if request.operation is not None:
        return _operation_headline(request)
    values = {"environment": request.environment, "version": one_line(request.version or "", 64)}
    if request.kind is DeploymentKind.ROLLBACK:
        target = request.target_release if request.target_release is not None else to_release
        if request.services and target is not None:
            values["services"] = one_line(", ".join(request.services), 200)
            return _("Roll back {services} of {environment} to {release}", release=release(target), **values)
        if target is None:
            return _("Roll back {environment}", **values)
        return _("Roll back {environment} to {release}", release=release(target), **values)
    if request.kind is DeploymentKind.HOTFIX:
        return _("Hotfix {version} for {environment}", **values)
    if request.promoted_from:
        values |= {"release": release(request.promoted_release), "source": request.promoted_from}
        return _("Promote {release} of {source} to {environment}", **values)
    return _("Deploy {version} to {environment}", **values)


def _operation_headline(request: DeploymentRequest) -> str:
    values = {"services": one_line(", ".join(request.services), 200), "environment": request.environment}
    match request.operation:
        case Operation.STOP:
            return _("Stop {services} of {environment}", **values)
        case Operation.START:
            return _("Start {services} of {environment}", **values)
        case Operation.KEEP:
            return _("Keep what runs in {environment}", **values)
        case Operation.SCALE:
            return _("Scale {services} of {environment} to {count}", count=request.replicas, **values)
        case Operation.SAVE:
            return _("Back up {services} of {environment}", **values)
        case _:
            return _("Restart {services} of {environment}", **values)


def begins(moment: datetime) -> str:
    """Say when something begins."""
    return _("begins {when}, {relative}", when=at(moment), relative=since(moment))


def ending(deployment: Deployment) -> str:
    """Say how a deployment that has ended did so."""
    outcome = deployment.outcome or Outcome.FAILED
    if outcome is Outcome.FAILED and not deployment.touched:
        return _("failed before it changed anything")
    return outcome_text(outcome)


def outcome_text(outcome: Outcome) -> str:
    """Name an outcome."""
    return {
        Outcome.SUCCEEDED: _("succeeded"),
        Outcome.ROLLED_BACK: _("failed and was rolled back"),
        Outcome.CANCELLED: _("was cancelled"),
        Outcome.FAILED: _("failed and needs an operator"),
    }[outcome]
