"""A proposal is one message with its deployment in a thread below it; a channel without threads has the rest."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from roas.events import EventBus
from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import PhaseStatus
from roas.models.events import CandidateChanged
from roas.models.phases import PhaseName
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.notifications.notifier import DETAILS, PROPOSAL
from tests.unit.ui.conftest import Messages
from tests.unit.ui.story import Story, until


async def play(state: StateManager, bus: EventBus, messages: Messages) -> Story:
    """Offer a version, let it be deployed, and wait until all of it is posted."""
    messages.start()
    candidate, _is_new = await state.candidates.add(
        Candidate("CAND-1", "shop", "staging", "v2", datetime.now(UTC), state=CandidateState.PROPOSED)
    )
    changed = CandidateChanged(
        source="test", candidate_id=candidate.id, proposal=candidate.proposal, environment="staging"
    )
    bus.publish(changed)
    await until(lambda: posted(state, candidate.proposal, PROPOSAL))
    story = await Story.begin(state, bus)
    await story.phase(PhaseName.VALIDATION, PhaseStatus.SUCCESS)
    states = [CandidateState.PROPOSED]
    await state.candidates.move(candidate.id, CandidateState.STARTED, from_states=states, deployment_id=story.id)
    bus.publish(changed)
    await story.finish()
    bus.publish(changed)
    await until(lambda: posted(state, candidate.proposal, PROPOSAL, finished=True))
    return story


async def posted(state: StateManager, proposal: str, kind: str, *, finished: bool = False) -> bool:
    post = await state.posts.get(proposal, kind)
    return post is not None and post.message_id is not None and (post.finished or not finished)


async def test_deployment_is_told_in_a_thread(state, bus, channel, messages):
    await play(state, bus, messages)
    (proposal,) = [number for number, drawing in channel.messages.items() if drawing.key.startswith("PROP-")]
    (details,) = channel.threads[proposal].messages
    assert "✅ validation" in channel.threads[proposal].text(details)
    assert not channel.threads[proposal].messages[details].buttons
    post = await state.posts.get(channel.messages[proposal].key, DETAILS)
    assert (post.finished, post.channel_id) == (True, proposal)


async def test_each_version_that_is_refused_is_shown_in_the_one_message(state, bus, channel, messages):
    """The first refusal is the last word on that version only: a newer one takes the message over."""
    messages.start()
    for version in ("v1", "v2", "v3"):
        offered = Candidate(f"CAND-{version}", "shop", "staging", version, datetime.now(UTC))
        candidate, _is_new = await state.candidates.add(offered)
        changed = CandidateChanged(
            source="test", candidate_id=candidate.id, proposal=candidate.proposal, environment="staging"
        )
        if version != "v3":  # of the last one nothing is shown before it is refused
            bus.publish(changed)
            await until(lambda version=version: shown(channel, f"New version for staging: {version}"))
        await state.candidates.move(candidate.id, CandidateState.REFUSED, from_states=[CandidateState.NEW], note="no")
        bus.publish(changed)
        await until(lambda version=version: shown(channel, f"{version} → staging: cannot be deployed"))
    assert len(channel.messages) == 1
    await until(lambda: posted(state, candidate.proposal, PROPOSAL, finished=True))


class EndingLate(Leadership):
    """Let something happen after a message's task has looked for the last time, and before that is noticed."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def run_while_leader(self, work):
        result = await super().run_while_leader(work)
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            await meanwhile()
        return result


async def test_what_comes_while_a_message_ends_is_shown(state, bus, channel, messages):
    """Nothing else would wake it: the proposal's message is finished, and its candidate is not open."""
    leadership = EndingLate()
    messages.start(leadership=leadership)

    async def refuse(version: str) -> str:
        offered = Candidate(f"CAND-{version}", "shop", "staging", version, datetime.now(UTC))
        candidate, _is_new = await state.candidates.add(offered)
        await state.candidates.move(candidate.id, CandidateState.REFUSED, from_states=[CandidateState.NEW], note="no")
        changed = {"candidate_id": candidate.id, "proposal": candidate.proposal, "environment": "staging"}
        bus.publish(CandidateChanged(source="test", **changed))
        return candidate.proposal

    async def refuse_another() -> None:
        ending = messages.started[-1].follow(await refuse("v2"), "staging")
        await until(lambda: ending.has_news)

    leadership.meanwhile = refuse_another
    await refuse("v1")
    await until(lambda: shown(channel, "v2 → staging: cannot be deployed"))


async def shown(channel, title: str) -> bool:
    return any(title in found for found in channel.titles())


async def test_channel_without_threads_has_the_rest(state, bus, channel, messages):
    channel.may_open = False
    await play(state, bus, messages)
    assert any("v2 → staging: succeeded" in title for title in channel.titles())
