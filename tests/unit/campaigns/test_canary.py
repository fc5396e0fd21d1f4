"""A sample of the campaign that plays canaries: how often the judge is wrong, and the ways beside it."""

import random

import pytest

from roas.models.canary import CanaryPolicy, TimeCheck
from tools.campaigns.canary.playing import End, Users, Version, Way, chance_of_ranks, play, upper_bound

POLICY = CanaryPolicy(shares=(10, 50), pause_seconds=30.0, deadline_seconds=150.0, times=TimeCheck())
ROUNDS = 60


@pytest.mark.parametrize(
    ("version", "usual", "never"),
    [
        (Version("0 %", 0.0), End.PROMOTED, End.TAKEN_BACK),
        (Version("0.5 %", 0.005), End.PROMOTED, End.TAKEN_BACK),
        (Version("5 %", 0.05), End.TAKEN_BACK, End.PROMOTED),
        (Version("20 %", 0.2), End.TAKEN_BACK, End.PROMOTED),
        (Version("slow", 0.005, times=3.0), End.TAKEN_BACK, End.PROMOTED),
    ],
)
def test_judge_is_seldom_wrong(version: Version, usual: End, never: End) -> None:
    luck = random.Random(version.name)
    ends = [play(Way.SEQUENTIAL, Users(100.0, version, luck), POLICY).end for _ in range(ROUNDS)]
    assert ends.count(usual) >= ROUNDS * 0.9
    assert ends.count(never) <= ROUNDS * 0.1, "5 % at most, and luck"


def test_quiet_service_asks() -> None:
    luck = random.Random("quiet")
    assert play(Way.SEQUENTIAL, Users(0.2, Version("0 %", 0.0), luck), POLICY).end is End.ASKED


def test_leak_is_found() -> None:
    luck = random.Random("leak")
    policy = CanaryPolicy(shares=(10, 50), pause_seconds=120.0, deadline_seconds=600.0)
    found = play(Way.SEQUENTIAL, Users(50.0, Version("leak", 0.05, leaks=True), luck), policy)
    assert found.end is End.TAKEN_BACK
    assert 60 < found.seconds < 240


@pytest.mark.parametrize(
    ("new", "old", "chance"),
    [([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], 0.05), ([1.0] * 4, [1.0] * 4, 0.557), ([5.0] * 4, [1.0] * 4, 1 / 70)],
)
def test_ranks_are_compared_exactly(new: list[float], old: list[float], chance: float) -> None:
    """One-sided: with three samples a side nothing is below 0.05, and to both sides nothing below 0.10."""
    assert chance_of_ranks(new, old) == pytest.approx(chance, abs=0.001)


def test_bound_of_what_was_seen() -> None:
    assert upper_bound(0, 300) == pytest.approx(0.00994, abs=0.0001)
    assert upper_bound(5, 5) == 1.0
