"""What the campaign of real canaries makes of what its users and the journal say."""

import json

import pytest
import yaml

from roas.stack.model.x_deploy.canary import canary_of
from tools.campaigns.canary.ground import OLD, SELDOM, canary_lines, tag_of
from tools.campaigns.canary.playing import POLICY, VERSIONS, End, Round
from tools.campaigns.canary.real_round import RealRound
from tools.campaigns.canary.real_table import table, too_often
from tools.campaigns.requests.recipe import write_recipe
from tools.campaigns.requests.users import Users


def ended(end: End, times: int) -> list[RealRound]:
    return [RealRound(f"round {number}", Round(end, 240.0, 100, 30, 2)) for number in range(times)]


def test_policy_is_that_of_the_simulation() -> None:
    written = yaml.safe_load(canary_lines(POLICY))["canary"]
    assert canary_of("web", {"x-deploy": {"canary": written}}) == POLICY


def test_page_has_all_that_is_changed(tmp_path) -> None:
    write_recipe(tmp_path, "HAProxy", 0)
    texts = (tmp_path / "compose.yaml").read_text() + (tmp_path / "haproxy.cfg").read_text()
    assert [text for text in SELDOM if text not in texts] == []


def test_versions_have_names_of_their_own() -> None:
    tags = {tag_of(version) for version in (OLD, *VERSIONS)}
    assert len(tags) == len(VERSIONS) + 1
    assert not any(tag != other and tag.startswith(other) for tag in tags for other in tags)


def test_users_count_answers_between_two_moments() -> None:
    """What comes before the canary, or after its verdict, says nothing of who met it."""
    moments = {"0": {"old": 9}, "100": {"old": 8, "v2": 2, "v2 failed": 1}, "101": {"old": 4}, "200": {"v2": 7}}
    seen = Users({"began": 1000.0, "moments": moments})
    assert seen.answered_by("v2", 1010.0, 1015.0) == (15, 3, 1)


def test_round_is_read_as_it_was_written() -> None:
    played = RealRound("5 % at 2/s, round 1", Round(End.TAKEN_BACK, 12.5, 40, 4, 2), "it is worse", 3, "")
    assert RealRound.read(played.key, json.loads(json.dumps(played.facts()))) == played


@pytest.mark.parametrize(
    ("good", "bad", "wrong"),
    [
        (ended(End.PROMOTED, 20), ended(End.TAKEN_BACK, 20), 0),
        (ended(End.ASKED, 20), ended(End.ASKED, 20), 0),
        (ended(End.PROMOTED, 19) + ended(End.TAKEN_BACK, 1), ended(End.TAKEN_BACK, 20), 0),
        (ended(End.PROMOTED, 16) + ended(End.TAKEN_BACK, 4), ended(End.TAKEN_BACK, 20), 1),
        (ended(End.TAKEN_BACK, 20), ended(End.PROMOTED, 20), 2),
    ],
)
def test_judge_is_blamed_for_more_than_luck(good: list[RealRound], bad: list[RealRound], wrong: int) -> None:
    assert len([*too_often({("0 %", 50.0): good, ("5 %", 50.0): bad, ("2 %", 50.0): bad})]) == wrong


def test_table_has_the_simulation_beside() -> None:
    played = ended(End.PROMOTED, 4) + ended(End.ASKED, 1)
    simulated = [Round(End.PROMOTED, 240.0, 200, 60, 1)] * 99 + [Round(End.ASKED, 600.0, 200, 60, 1)]
    *_, row = table({("0 %", 2.0): played}, {("0 %", 2.0): simulated}).splitlines()
    assert row == "| 0 % | 2 | 4 | 0 | 1 | 240 s | 30.0% | 2.00% | 99% / 0% / 1%, 240 s, 30.0%, 0.50% |"
