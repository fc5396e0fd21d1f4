"""Draw a proposal: the version that a source offers, what it would change, and what became of it."""

from collections.abc import Iterator, Sequence

import discord

from roas.models.candidate import ANSWERABLE, Candidate, CandidateState
from roas.models.deployment import Deployment, Outcome
from roas.ui.drawing import (
    BAD,
    CAREFUL,
    FIELD_VALUE,
    GOOD,
    QUIET,
    RUNNING,
    Button,
    Drawing,
    add_field,
    code,
    fit,
    lines,
    mark,
    marked_up_line,
    more,
    one_line,
)
from roas.ui.embeds.plan import draw_plan, whole_plan, whole_plan_note
from roas.ui.formatting import ending, person, since
from roas.ui.translation import _

TAKE_PREFIX, LATER_PREFIX, SKIP_PREFIX = "roas:take:", "roas:later:", "roas:skip:"
COMMITS_SHOWN = 10
SHORT_SHA = 7
COLOURS = {
    CandidateState.PROPOSED: CAREFUL,
    CandidateState.LATER: QUIET,
    CandidateState.WAITING: CAREFUL,
    CandidateState.CONFIRMED: RUNNING,
    CandidateState.STARTING: RUNNING,
    CandidateState.STARTED: RUNNING,
    CandidateState.REFUSED: BAD,
    CandidateState.HELD: BAD,
}


def draw_proposal(
    candidate: Candidate, before: Sequence[Candidate] = (), deployment: Deployment | None = None, link: str = ""
) -> Drawing:
    """Draw the newest candidate of a proposal; `before` are those whose place it has taken, the newest first."""
    embed = discord.Embed(
        title=_title(candidate, deployment),
        description="\n".join(_description(candidate, before, deployment, link)),
        colour=_colour(candidate, deployment),
    ).set_footer(text=candidate.proposal)
    if candidate.origin.commits:
        add_field(embed, _("Commits"), lines([*_commits(candidate)], FIELD_VALUE))
    drawn = draw_plan(candidate.plan) if candidate.plan is not None and candidate.is_open else []
    shown = fit([embed, *drawn])
    files = whole_plan(candidate.plan, shown[1:]) if candidate.plan is not None and drawn else ()
    if files:
        embed.description = f"{embed.description}\n{whole_plan_note(files)}"
        shown = fit([embed, *drawn])
    buttons = _buttons(candidate) if candidate.state in ANSWERABLE else ()
    return Drawing(candidate.proposal, tuple(shown), buttons=buttons, attachments=files)


def _buttons(candidate: Candidate) -> tuple[Button, ...]:
    take = Button(_("Deploy"), f"{TAKE_PREFIX}{candidate.id}", discord.ButtonStyle.success, "🚀")
    later = Button(_("Later"), f"{LATER_PREFIX}{candidate.id}", discord.ButtonStyle.secondary, "💤")
    skip = Button(_("Skip this version"), f"{SKIP_PREFIX}{candidate.id}", discord.ButtonStyle.secondary, "⏭️")
    is_put_off = candidate.state is CandidateState.LATER
    return (take, skip) if is_put_off else (take, later, skip)


def _title(candidate: Candidate, deployment: Deployment | None) -> str:
    version = one_line(candidate.version, 64)
    if candidate.state in {CandidateState.NEW, CandidateState.PROPOSED, CandidateState.LATER}:
        return _("📦 New version for {environment}: {version}", environment=candidate.environment, version=version)
    icon, text = _became(candidate, deployment)
    return f"{icon} {version} → {candidate.environment}: {text}"


def _became(candidate: Candidate, deployment: Deployment | None) -> tuple[str, str]:
    """Return an icon, and what became of a candidate."""
    if deployment is not None and deployment.outcome is not None:
        return mark(deployment)[0], ending(deployment)
    match candidate.state:
        case CandidateState.WAITING:
            return "⏳", _("waiting")
        case CandidateState.CONFIRMED | CandidateState.STARTING | CandidateState.STARTED:
            return "🚀", _("is running")
        case CandidateState.SKIPPED:
            return "⏭️", _("skipped")
        case CandidateState.UNCHANGED:
            return "✅", _("it runs already")
        case CandidateState.HELD:
            return "⛔", _("on hold")
        case CandidateState.SUPERSEDED:
            return "⏭️", _("replaced by a newer version")
        case _:
            return "🚫", _("cannot be deployed")


def _description(
    candidate: Candidate, before: Sequence[Candidate], deployment: Deployment | None, link: str
) -> Iterator[str]:
    offered = _("offered by {source} {when}", source=code(candidate.source), when=since(candidate.created_at))
    yield offered + _where(candidate)
    if candidate.services:
        yield _("only {services}", services=one_line(", ".join(candidate.services), 200))
    if candidate.reason:
        yield f"> {one_line(candidate.reason, 300)}"
    if replaced := [item.version for item in before if item.version != candidate.version]:
        shown = ", ".join(code(version, 40) for version in dict.fromkeys(replaced[:5]))
        yield _("It takes the place of {versions}.", versions=shown)
    yield from _state(candidate, deployment, link)


def _where(candidate: Candidate) -> str:
    """Name commit and branch, with a link where the source gave one."""
    origin = candidate.origin
    branch = origin.ref.rpartition("/")[2]
    parts = [code(part, 80) for part in (origin.commit[:SHORT_SHA], branch) if part]
    text = " · " + " · ".join(parts) if parts else ""
    return f"{text} · <{origin.url}>" if origin.url and ">" not in origin.url else text


def _state(candidate: Candidate, deployment: Deployment | None, link: str) -> Iterator[str]:
    who = person(candidate.decided_by) if candidate.decided_by is not None else ""
    note = marked_up_line(candidate.note, 500).strip()
    match candidate.state:
        case CandidateState.NEW:
            yield _("The bot is finding out what it would change.")
        case CandidateState.PROPOSED:
            yield _("Nothing changes until somebody confirms it.")
        case CandidateState.LATER:
            yield _("{person} postponed it. It can still be deployed.", person=who)
        case CandidateState.CONFIRMED:
            yield _("{person} confirmed it.", person=who)
        case CandidateState.SKIPPED:
            yield _("{person} skipped it: it is not proposed again.", person=who)
        case CandidateState.STARTED if deployment is not None:
            yield f"`{deployment.id}`: {link}"
            if deployment.problem is not None and deployment.outcome not in {None, Outcome.SUCCEEDED}:
                yield f"> {marked_up_line(deployment.problem.message, 500)}"
    if note:
        yield f"> {note}"


def _commits(candidate: Candidate) -> Iterator[str]:
    commits = candidate.origin.commits
    for commit in commits[:COMMITS_SHOWN]:
        yield f"{code(commit.sha[:SHORT_SHA])} {one_line(commit.title, 80)} · {one_line(commit.author, 40)}"
    if len(commits) > COMMITS_SHOWN:
        yield more(len(commits) - COMMITS_SHOWN)
    if candidate.origin.compare_url.startswith("https://") and ">" not in candidate.origin.compare_url:
        yield f"<{candidate.origin.compare_url}>"


def _colour(candidate: Candidate, deployment: Deployment | None) -> discord.Colour | int:
    if deployment is not None and deployment.outcome is not None:
        return GOOD if deployment.outcome is Outcome.SUCCEEDED else BAD
    return COLOURS.get(candidate.state, QUIET)
