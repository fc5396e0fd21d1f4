"""Describe a version that a source offers, from its first sight to what became of it, and what is kept out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from roas.models.actor import Actor
from roas.models.plan import Plan
from roas.models.stored import StoredEnum

# A person's `later` needs no answer; every other open state waits for somebody or something.
PROPOSAL_PREFIX = "PROP"
CANDIDATE_PREFIX = "CAND"


class SourceKind(StrEnum):
    """What a source is; all but `ci` and `git` also say how its webhooks are written and signed."""

    CI = "ci"
    GIT = "git"
    GITHUB = "github"
    GITLAB = "gitlab"
    FORGEJO = "forgejo"
    GITEA = "gitea"
    REGISTRY = "registry"
    HARBOR = "harbor"
    DOCKER_HUB = "docker_hub"
    QUAY = "quay"


REGISTRIES = frozenset({SourceKind.REGISTRY, SourceKind.HARBOR, SourceKind.DOCKER_HUB, SourceKind.QUAY})
FORGES = frozenset({SourceKind.GITHUB, SourceKind.GITLAB, SourceKind.FORGEJO, SourceKind.GITEA})


class SourceMode(StrEnum):
    """What becomes of a source's versions in an environment."""

    OFF = "off"
    PROPOSE = "propose"
    AUTO = "auto"


class SourceAction(StrEnum):
    """What a source's credentials may ask for."""

    PROPOSE = "propose"
    DEPLOY = "deploy"


class CandidateState(StoredEnum, unknown="refused"):
    """How far a candidate has come.

    `new` is to be planned, `proposed` and `later` wait for a person, `waiting` for the environment; `starting` is the
    intent to start it, `confirmed` a person's yes that is being carried out. Of an unknown one nothing is
    started.
    """

    NEW = "new"
    PROPOSED = "proposed"
    LATER = "later"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    STARTING = "starting"
    STARTED = "started"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    HELD = "held"
    REFUSED = "refused"


# What a newer candidate takes the place of.
REPLACEABLE = frozenset(
    {CandidateState.NEW, CandidateState.PROPOSED, CandidateState.LATER, CandidateState.WAITING, CandidateState.REFUSED}
)
# What a person may answer.
ANSWERABLE = frozenset({CandidateState.PROPOSED, CandidateState.LATER})
# What the bot has yet to do something about.
OPEN = frozenset(
    {
        CandidateState.NEW,
        CandidateState.PROPOSED,
        CandidateState.LATER,
        CandidateState.WAITING,
        CandidateState.CONFIRMED,
        CandidateState.STARTING,
    }
)


# What cannot be planned for so long is more than a registry's bad moment: people are told.
OVERDUE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Commit:
    """Describe a commit between the version that runs and the candidate."""

    sha: str
    title: str = ""
    author: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Say where a version comes from, as far as its source knows.

    `stack_commit` is the commit of the repository that the stack's files come from; only that is deployed.
    """

    repository: str = ""
    commit: str = ""
    ref: str = ""
    url: str = ""
    compare_url: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    commits: tuple[Commit, ...] = ()
    stack_commit: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Record a version that a source offers to an environment, and what became of it.

    `proposal` names the message that shows it: a newer candidate takes over that of the one before. `mode` is what is
    to become of it. `key` is what its source knows it by; what was asked for by that key is asked for once.
    `failing_since` is when it could not be planned for the first time since it last could.
    """

    id: str
    source: str
    environment: str
    version: str
    created_at: datetime
    mode: SourceMode = SourceMode.PROPOSE
    services: tuple[str, ...] = ()
    origin: Origin = field(default_factory=Origin)
    reason: str = ""
    key: str = ""
    proposal: str = ""
    state: CandidateState = CandidateState.NEW
    plan: Plan | None = None
    note: str = ""
    decided_by: Actor | None = None
    decided_at: datetime | None = None
    plan_id: str = ""
    deployment_id: str = ""
    failing_since: datetime | None = None

    @property
    def identity(self) -> str:
        """Return what it is: another version, commit or digest is another candidate."""
        parts = [self.version, sorted(self.services), self.origin.commit, sorted(self.origin.digests.items())]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def is_open(self) -> bool:
        """Return whether something is yet to become of it."""
        return self.state in OPEN

    @property
    def is_overdue(self) -> bool:
        """Return whether it could not be planned for long."""
        return self.state is CandidateState.NEW and self.fails_for(OVERDUE)

    def fails_for(self, time: timedelta) -> bool:
        """Return whether it could not be planned for so long."""
        return self.failing_since is not None and datetime.now(UTC) - self.failing_since > time


@dataclass(frozen=True, slots=True)
class Hold:
    """Record a version that is kept out of an environment, or, without a version, that nothing is deployed by itself.

    What a field leaves out, the hold does not know: it then holds by the rest. `configuration` is a hash of each
    service's definition, its files among it. One that was lifted is kept, so that the same deployment does not bring it
    back.
    """

    environment: str
    version: str
    since: datetime
    deployment_id: str
    reason: str = ""
    commit: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    lifted_by: Actor | None = None
    configuration: dict[str, str] = field(default_factory=dict)

    def holds(self, candidate: Candidate) -> bool:
        """Return whether a candidate is what is kept out, as far as both know."""
        origin = candidate.origin
        if not self.version or self.version != candidate.version:
            return False
        if self.commit and origin.commit and self.commit != origin.commit:
            return False
        planned = candidate.plan.configuration if candidate.plan is not None else {}
        if planned and not candidate.services and self.configuration.keys() - planned.keys():  # a service is gone
            return False
        return _agree(self.digests, origin.digests) and _agree(self.configuration, planned)


def _agree(held: Mapping[str, str], offered: Mapping[str, str]) -> bool:
    return all(held[name] == offered[name] for name in held.keys() & offered.keys())


@dataclass(frozen=True, slots=True)
class ImageAges:
    """Remember when the images behind tags and digests were made; None where an image does not say."""

    made_at: dict[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Record a webhook's delivery: it says where to look, never what is true.

    `body` holds only what is needed to look. One that was stored has been seen; the same id is not taken again.
    """

    source: str
    id: str
    event: str
    received_at: datetime
    hint: dict[str, str] = field(default_factory=dict)
    is_handled: bool = False
    note: str = ""

    @property
    def age(self) -> timedelta:
        """Return how long ago it was received."""
        return datetime.now(UTC) - self.received_at
