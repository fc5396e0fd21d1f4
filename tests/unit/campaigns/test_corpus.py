"""The campaign over stacks that others made: what it counts."""

from dataclasses import replace
from pathlib import Path

from tools.campaigns.corpus import stacks as corpus_stacks
from tools.campaigns.corpus.ground import Look
from tools.campaigns.corpus.playing import Adoption, Played, Verdict, changed_services
from tools.campaigns.corpus.record import is_good, share
from tools.campaigns.corpus.stacks import Model, read_stacks

PUBLIC = Path(corpus_stacks.__file__).with_name("public.toml")


def test_share_is_of_what_compose_takes() -> None:
    good = Played("a", "a/a")
    refused = replace(good, verdict=Verdict.REFUSED)
    assert share([good, refused, replace(good, verdict=Verdict.NOT_FOR_COMPOSE)]) == 0.5
    assert is_good([good] * 19 + [refused])
    assert not is_good([good] * 18 + [refused])
    assert not is_good([good] * 30 + [replace(good, verdict=Verdict.CRASHED)])
    assert not is_good([good] * 30 + [replace(good, adoption=Adoption.UNTRUE)])
    assert is_good([replace(good, typed={"up": {"recreated": ["web"]}, "up, again": {"jobs": ["migrate"]}})])
    assert not is_good([replace(good, typed={"up, again": {"recreated": ["web"]}})])


def test_container_made_or_started_is_a_change() -> None:
    look = Look("web", "09:00", "running", 0, 0, "", "sha256:1")
    assert changed_services({"1": look}, {"1": replace(look, health="healthy")}) == set()
    assert changed_services({"1": look}, {"2": look}) == {"web"}
    assert changed_services({"1": look}, {"1": replace(look, started_at="10:00")}) == {"web"}


def test_probes_of_a_shell_line_are_found() -> None:
    test = ["CMD-SHELL", 'pg_isready -U "$USER" || (curl -f http://a/ | grep -q OK) && exit 1']
    model = Model({"services": {"a": {"healthcheck": {"test": test}}, "b": {"healthcheck": {"test": ["CMD", "x"]}}}})
    assert model.probes >= {"pg_isready", "curl", "grep", "x"}


def test_list_of_public_stacks_is_read() -> None:
    """Each says which commit of which repository its folder was taken from."""
    stacks = read_stacks(Path(), PUBLIC)
    assert len(stacks) > 30
    assert all(len(stack.commit) == 40 and stack.folder == stack.name for stack in stacks)
