"""Say when a deployment may begin: in a window of its environment, at a time that somebody typed, or now."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from roas.errors import InvalidRequestError, RoasError
from roas.messages.message import said
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment
from roas.models.gate import Gate, judge_request
from roas.models.windows import Windows, read_length

FURTHEST = timedelta(days=90)
TIMESTAMP = re.compile(r"<t:(\d{1,11})(?::[tdfsr])?>")  # of a text in lower case
IN = re.compile(r"(?:in\s+)?((?:\d{1,6}\s*[mhd]\s*)+)")
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
NEXT_WINDOW = "next window"


class WindowClosedError(RoasError):
    """The environment is outside of its windows."""

    key = "window_closed"

    @classmethod
    def of(cls, environment: Environment, *, needs_reason: bool = False) -> "WindowClosedError":
        """Create the error: until when, and how a deployment begins all the same."""
        opens_at = environment.windows.next_open(datetime.now(UTC))
        if opens_at is None:
            text = said("{environment} is outside of its windows, and none opens again.", environment=environment.name)
        else:
            text = said(
                "{environment} is outside of its windows until {when} ({zone}).",
                environment=environment.name,
                when=f"{opens_at.astimezone(environment.windows.place):%Y-%m-%d %H:%M}",
                zone=environment.windows.zone,
            )
        hint = said("It passes with a reason: `reason:` in the channel, `--reason` on the command line.")
        if not needs_reason:
            hint = said(
                "Schedule it for the next window (`when`, or `--when` where a bot runs), or use a hotfix, which passes "
                "with its reason."
            )
        return cls(text, hint=hint)


def require_window(environment: Environment, request: DeploymentRequest) -> tuple[str, ...]:
    """Raise WindowClosedError where a deployment cannot begin now; returns what has to be told where it can.

    One that a second person has to approve begins with that.
    """
    if (request.needs_approval and request.approved_by is None) or environment.windows.is_open(datetime.now(UTC)):
        return ()
    judgement = judge_request(request, {Gate.WINDOW})
    if not judgement.may_begin:
        raise WindowClosedError.of(environment, needs_reason=judgement.needs_reason)
    if not judgement.by_reason:
        return ()
    text = said("It began outside of a window: {reason}", reason=request.reason)
    return (text,)


def starting_time(environment: Environment, wanted: datetime | None) -> datetime | None:
    """Return when a deployment begins that everybody has said yes to; None for at once.

    Raises WindowClosedError where no window opens again.
    """
    now = datetime.now(UTC)
    if wanted is not None and wanted > now:
        return wanted
    opens_at = environment.windows.next_open(now)
    if opens_at is None:
        raise WindowClosedError.of(environment)
    return opens_at if opens_at > now else None


def read_when(text: str, windows: Windows, *, now: datetime | None = None) -> datetime:
    """Read when a deployment shall begin. Raises InvalidRequestError for a moment outside of every window, too."""
    moment = read_moment(text, windows, now=now)
    if not windows.is_open(moment):
        opens_at = windows.next_open(moment)
        hint = "" if opens_at is None else said("The next window opens at {when}.", when=local_time(opens_at, windows))
        raise InvalidRequestError(
            said("{when} is outside of every window.", when=local_time(moment, windows)), hint=hint
        )
    return moment


def read_moment(text: str, windows: Windows, *, now: datetime | None = None) -> datetime:
    """Read `in 2h` or `2h`, `22:00`, `2026-12-01 22:00`, `next window` or Discord's own `<t:…>`.

    Clock times are in the zone of the windows. Raises InvalidRequestError where it is none of them, in the past, or too
    far away.
    """
    now, typed = now or datetime.now(UTC), " ".join(text.split())
    moment = _moment(typed.lower(), windows, now)
    if moment is None:
        with suppress(ValueError):
            local = datetime.fromisoformat(typed)
            moment = local.replace(tzinfo=windows.place) if local.tzinfo is None else local
    if moment is None:
        raise InvalidRequestError(
            said("{text} is no time.", text=repr(typed[:100])),
            hint=said("Write `in 2h`, `22:00`, `2026-12-01 22:00` ({zone}) or `next window`.", zone=windows.zone)
            if windows.windows
            else said("Write `in 2h`, `22:00` or `2026-12-01 22:00` ({zone}).", zone=windows.zone),
        )
    moment = moment.astimezone(UTC)
    if not now <= moment <= now + FURTHEST:
        raise InvalidRequestError(
            said("{when} UTC is in the past, or more than {days} days ahead.", when=f"{moment:%F %H:%M}", days=90)
        )
    return moment


def _moment(text: str, windows: Windows, now: datetime) -> datetime | None:
    if text == NEXT_WINDOW:
        return windows.next_open(now)
    if (stamp := TIMESTAMP.fullmatch(text)) is not None:
        with suppress(OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(int(stamp[1]), UTC)
    if (length := IN.fullmatch(text)) is not None:
        return now + read_length(length[1].replace(" ", ""))
    if (clock := CLOCK.fullmatch(text)) is not None:
        local = now.astimezone(windows.place)
        moment = local.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0, fold=0)
        if moment.astimezone(UTC) < now:
            moment = (moment + timedelta(days=1)).replace(fold=0)
        return moment
    return None


def local_time(moment: datetime, windows: Windows) -> str:
    """Write a moment as the clocks of the windows' zone show it."""
    return f"{moment.astimezone(windows.place):%Y-%m-%d %H:%M} ({windows.zone})"
