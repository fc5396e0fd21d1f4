"""Where a webhook points is asked of registry and forge: what they say is offered, and how long that may take."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from roas.candidates.inspection import SourceInspector
from roas.configuration.tables import SourceSettings
from roas.errors import RegistryUnavailableError
from roas.models.candidate import Commit, Delivery, SourceKind, SourceMode
from roas.models.environment import Repository

SHA = "a" * 40
DIGEST = f"sha256:{'0' * 64}"
BETWEEN = ("https://forge.example.org/compare", (Commit(SHA, "Add a button", "Ada"),))
AWAY = RegistryUnavailableError("The registry does not answer.")


class PlayedRegistry:
    """Have one digest for all images, none, or be away."""

    has: str | RegistryUnavailableError | None = DIGEST

    async def digest(self, _image, _tag):
        if isinstance(self.has, RegistryUnavailableError):
            raise self.has
        return self.has


class PlayedForge:
    """Know a commit, not know it, or be away."""

    def __init__(self, knows) -> None:
        self.knows = knows

    async def commits(self, _before, _commit):
        if isinstance(self.knows, Exception):
            raise self.knows
        return self.knows


class PlayedMirror:
    """Have one commit at the ref."""

    async def head(self):
        return SHA

    async def fetch(self):
        return SHA


@pytest.fixture
def make_inspector(make_coordinator, known):
    def make(forge=None, *, registry=None, environments=known):
        source = SourceSettings(
            kind=SourceKind.GITHUB,
            repository="acme/shop",
            images=("ghcr.io/acme/shop",),
            environments={"dev": SourceMode.PROPOSE},
        )
        return SourceInspector(
            {"shop": source},
            registry or PlayedRegistry(),
            make_coordinator(),
            {} if forge is None else {"shop": forge},
            environments,
            SimpleNamespace(mirror=lambda _repository: PlayedMirror()),
        )

    return make


def delivery(minutes_ago=0.0, **hint):
    received = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return Delivery("shop", "1", "push", received, hint={"commit": SHA, "ref": "refs/heads/main"} | hint)


@pytest.mark.parametrize(
    ("hint", "reason"),
    [({}, ""), ({"forced": "False"}, ""), ({"forced": "True"}, "The branch was force-pushed.")],
    ids=["ordinary", "ordinary, as the release before wrote it", "forced"],
)
async def test_force_push_alone_is_told_as_one(make_inspector, state, hint, reason):
    await make_inspector().inspect(delivery(**hint))
    (offered,) = await state.candidates.of_environment("dev")
    assert (offered.reason, offered.origin.digests) == (reason, {"ghcr.io/acme/shop": DIGEST})


@pytest.mark.parametrize(
    ("knows", "note", "between"),
    [
        (BETWEEN, "dev: CAND-", BETWEEN),
        (None, "Contents: read", None),
        (OSError("away"), "dev: CAND-", ("", ())),
    ],
    ids=["known", "unknown", "away"],
)
async def test_commit_is_asked_of_the_forge(make_inspector, state, knows, note, between):
    """One that it does not know is not offered; a forge that is away is not waited for."""
    assert note in await make_inspector(PlayedForge(knows)).inspect(delivery())
    found = await state.candidates.of_environment("dev")
    assert [(item.origin.compare_url, item.origin.commits) for item in found] == ([between] if between else [])


@pytest.mark.parametrize("is_followed", [False, True], ids=["of images", "of a repository"])
@pytest.mark.parametrize(
    ("has", "minutes", "is_over"), [(None, 14, False), (None, 16, True), (AWAY, 14, False), (AWAY, 16, False)]
)
async def test_image_may_come_for_a_while_and_a_registry_for_longer(
    make_inspector, known, is_followed, has, minutes, is_over
):
    """Whoever handles the delivery ends what is tried for a day."""
    registry = PlayedRegistry()
    registry.has = has
    repository = Repository("https://git.example.org/acme/shop") if is_followed else None
    environment = SimpleNamespace(name="dev", repository=repository)
    inspector = make_inspector(registry=registry, environments={"dev": environment})
    if is_over:
        assert "There is no ghcr.io/acme/shop:" in await inspector.inspect(delivery(minutes))
    else:
        with pytest.raises(RegistryUnavailableError):
            await inspector.inspect(delivery(minutes))
