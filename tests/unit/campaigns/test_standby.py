"""The campaign of lost nodes notices two leaders, and what the channel is told twice."""

from types import SimpleNamespace
from typing import Any, cast

from sandbox.views import Message
from tools.campaigns.standby.lease_watch import LeaseWatch, Seen, acts_of_others, tokens_taken_twice
from tools.campaigns.standby.people import end_of, told_wrong
from tools.campaigns.standby.rounds import Phase, all_rounds
from tools.campaigns.swarm.gate import Report

ID = "DEPLOY-01ABC"


def watch() -> LeaseWatch:
    """A lease that passes from the first node to the second: a look that began at second 95 did not see it yet."""
    seen = [Seen(0.0, 0.0, "node1", "BOT-1", 1), Seen(95.0, 100.0, "node2", "BOT-2", 2)]
    return LeaseWatch(cast("Any", None), seen, {"aaa": "node1", "bbb": "node2"})


def report(at: float, container: str, when: str = "after") -> Report:
    return Report(at, container, when, "execution: update services web")


def posted(text: str) -> Message:
    return cast("Any", SimpleNamespace(text=text, embeds=[{"title": text.splitlines()[0]}]))


def test_leader_that_is_replaced_may_write_no_more() -> None:
    reports = [report(50, "aaa"), report(110, "bbb"), report(120, "aaa")]
    (wrong,) = acts_of_others(watch(), reports)
    assert wrong == "the bot on node1 did “execution: update services web” while that on node2 led"


def test_standby_that_writes_is_noticed() -> None:
    assert list(acts_of_others(watch(), [report(50, "bbb")])) != []


def test_token_that_does_not_grow_is_noticed() -> None:
    first, second = watch().seen
    assert list(tokens_taken_twice([first, second])) == []
    assert list(tokens_taken_twice([second, first])) == ["BOT-1 on node1 led by token 1 after 2"]


def test_write_that_is_refused_and_moment_of_takeover_are_no_breach() -> None:
    assert list(acts_of_others(watch(), [report(120, "aaa", "before"), report(101, "aaa"), report(95, "bbb")])) == []


def test_outcome_that_is_posted_twice_is_noticed() -> None:
    outcome, live = posted(f"✅ succeeded\n{ID} · outcome"), posted(f"🚀 Deploy\n{ID}")
    assert list(told_wrong([live, outcome], deployments=1)) == []
    assert list(told_wrong([live, outcome, outcome], deployments=1)) == [f"the outcome of {ID} was posted 2 times"]
    assert list(told_wrong([live, live, outcome], deployments=1)) == [f"the live message of {ID} was posted 2 times"]
    assert list(told_wrong([live], deployments=1)) == ["the channel has outcomes of 0 deployments instead of 1"]


def test_end_is_read_from_the_title_of_the_outcome() -> None:
    assert end_of(posted("↩️ Deploy v2 to prod: was rolled back")) == "rolled_back"


def test_each_phase_is_played_with_each_loss() -> None:
    rounds = all_rounds()
    assert len(set(rounds)) == len(rounds) >= 100
    assert {item.phase for item in rounds} == set(Phase)
