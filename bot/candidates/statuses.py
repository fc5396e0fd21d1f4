"""Tell the forge what became of a commit: a context for each environment, in order, once, and again until it is taken.

What was told is in the journal; what is to be told follows from it. So whichever bot leads tells what the one before
could not, and a forge that is away holds up nothing.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from roas.candidates.source_secrets import SourceSecrets
from roas.candidates.webhooks import SHA
from roas.configuration.settings import Settings
from roas.configuration.tables import SourceSettings
from roas.errors import SettingsError
from roas.events import EventBus, Subscription
from roas.extras import CI, load
from roas.limits import PATIENTLY, Backoffs
from roas.log import get_logger
from roas.models.candidate import FORGES, Candidate, CandidateState, Commit, Origin, SourceKind
from roas.models.deployment import Deployment, Outcome
from roas.models.events import CandidateChanged, Event
from roas.models.post import Post
from roas.redaction import Learn
from roas.rounds import Rounds
from roas.state.manager import StateManager
from roas.web_client import Answer, WebClient

log = get_logger(__name__)

FORGE_STATUS = "forge"
GITHUB_TYPE = "application/vnd.github+json"
# GitHub's live for an hour.
TOKEN_SECONDS = 50 * 60.0
DESCRIPTION_LENGTH = 140
MOST_COMMITS = 100
RECENT_CANDIDATES = 50
POLL_SECONDS, REST_SECONDS = 5.0, 60.0
ADDRESSES = {SourceKind.GITHUB: "https://api.github.com", SourceKind.GITLAB: "https://gitlab.com/api/v4"}
# What each kind of forge calls where a version is: of a commit and, at GitHub, of a deployment.
GITHUB_STATUS = {"queued": "pending", "in_progress": "pending", "success": "success", "failure": "failure"}
GITLAB_STATUS = {"queued": "pending", "in_progress": "running", "success": "success", "failure": "failed"}
FORGEJO_STATUS = {"queued": "pending", "in_progress": "pending", "success": "success", "failure": "failure"}
OVER = {SourceKind.GITHUB: "error", SourceKind.GITLAB: "canceled"}
# What passes: the token is renewed, the limit of requests is over; any other status of 400 to 499 is for good.
PASSING = frozenset({401, 403, 408, 429})
ENDED = frozenset({"success", "failure", "inactive"})


class ForgeError(Exception):
    """A forge did not take what it was told."""


class ForgeRefusedError(ForgeError):
    """A forge will not take it however often it is told."""


# What a forge that is away raises.
FORGE_AWAY = (ForgeError, OSError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """Say where a version is: `queued`, `in_progress`, `success`, `failure` or `inactive`."""

    state: str
    description: str

    @property
    def mark(self) -> str:
        """Return what tells it from another."""
        return f"{self.state}: {self.description}"


def status_of(candidate: Candidate, deployment: Deployment | None) -> CommitStatus:
    """Return what is to be told of a candidate."""
    version, environment = candidate.version, candidate.environment
    if deployment is not None and deployment.outcome is not None:
        told = {
            Outcome.SUCCEEDED: ("success", f"{version} runs on {environment}"),
            Outcome.ROLLED_BACK: ("failure", f"{version} was rolled back on {environment}"),
            Outcome.CANCELLED: ("inactive", f"{version} was cancelled on {environment}"),
            Outcome.FAILED: ("failure", f"{version} failed on {environment}"),
        }[deployment.outcome]
        return _clipped(*told)
    match candidate.state:
        case CandidateState.NEW | CandidateState.PROPOSED | CandidateState.LATER | CandidateState.WAITING:
            return _clipped("queued", f"{version} waits for {environment}")
        case CandidateState.CONFIRMED | CandidateState.STARTING | CandidateState.STARTED:
            return _clipped("in_progress", f"{version} is deployed to {environment}")
        case CandidateState.UNCHANGED:
            return _clipped("success", f"{version} runs on {environment}")
        case CandidateState.HELD:
            return _clipped("failure", f"{version} is on hold on {environment}: it was rolled back")
        case CandidateState.REFUSED:
            return _clipped("failure", f"{version} cannot be deployed to {environment}")
        case CandidateState.SKIPPED | CandidateState.SUPERSEDED:
            return _clipped("inactive", f"{version} was {candidate.state.value} on {environment}")


def _clipped(state: str, text: str) -> CommitStatus:
    return CommitStatus(state, text if len(text) <= DESCRIPTION_LENGTH else f"{text[: DESCRIPTION_LENGTH - 1]}…")


def forges_of(sources: Mapping[str, SourceSettings], client: WebClient, learn: Learn) -> dict[str, "Forge"]:
    """Return the forge of each source that names its repository, and has a token or is an App. Raises SettingsError.

    `learn` hears of every secret of every source, and of each token that an App gets.
    """
    secrets = {name: SourceSecrets(name, source) for name, source in sources.items()}
    learn(text for secret_of_source in secrets.values() for text in secret_of_source.texts)
    forges = {}
    for name, source in sources.items():
        if source.kind not in FORGES or (source.forge_token_file is None and source.app is None):
            continue
        if source.repository is None:
            log.warning("a source tells no commit: it names no repository", source=name)
            continue
        app = _app_of(name, source, secrets[name], client, learn)
        forges[name] = Forge(source, secrets[name].forge_token, client, app)
    return forges


def _app_of(
    name: str, source: SourceSettings, secrets: SourceSecrets, client: WebClient, learn: Learn
) -> "GitHubApp | None":
    if source.app is None:
        return None
    jwt = load(CI, SettingsError)
    try:
        return GitHubApp(
            source.app.id, secrets.app_key, source.forge_url or ADDRESSES[SourceKind.GITHUB], client, learn
        )
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise SettingsError(
            f"The key of the App of [sources.{name}] cannot be used: {error}",
            hint="Let `key_file` name the private key that GitHub made for the App.",
        ) from error


class GitHubApp:
    """Get tokens of a GitHub App: for an hour each, for one repository, and renewed before they end."""

    def __init__(self, app_id: int, key: str, address: str, client: WebClient, learn: Learn) -> None:
        """Take the App's private key. Raises ValueError, TypeError or PyJWTError where it is none, SettingsError."""
        self._jwt = load(CI, SettingsError)
        self._learn = learn
        self._app_id = app_id
        self._key = key
        self._base = address.rstrip("/")
        self._client = client
        self._tokens: dict[str, tuple[str, float]] = {}
        self._sign()

    async def token(self, repository: str) -> str:
        """Return a token for a repository that the App is installed in. Raises ForgeError, OSError, ValueError."""
        token, until = self._tokens.get(repository, ("", 0.0))
        if token and time.monotonic() < until:
            return token
        found = await self._ask("GET", f"/repos/{repository}/installation")
        asked = {"repositories": [repository.rpartition("/")[2]]}
        made = await self._ask("POST", f"/app/installations/{int(found['id'])}/access_tokens", asked)
        token = str(made["token"])
        self._learn([token])
        self._tokens[repository] = token, time.monotonic() + TOKEN_SECONDS
        return token

    async def _ask(self, method: str, path: str, document: Any = None) -> Any:
        headers = {"Accept": GITHUB_TYPE, "Authorization": f"Bearer {self._sign()}"}
        answer = await self._client.ask(method, f"{self._base}{path}", headers=headers, document=document)
        if answer.status >= 300:  # where the App is not installed, somebody may install it
            raise ForgeError(f"it answered {answer.status} for the App")
        return answer.json()

    def _sign(self) -> str:
        """Sign who the App is, for a few minutes; GitHub's clock may be behind ours."""
        now = int(time.time())  # what GitHub compares is the wall clock
        claims = {"iss": str(self._app_id), "iat": now - 60, "exp": now + 300}
        return str(self._jwt.encode(claims, self._key, algorithm="RS256"))


async def find_link(state: StateManager, settings: Settings, candidate: Candidate) -> str:
    """Return the address of the message that shows a candidate, or of the channel. Raises StateError."""
    subjects = ((candidate.deployment_id, "live"), (candidate.proposal, "proposal"))
    posts = [await state.posts.get(subject, kind) for subject, kind in subjects if subject]
    post = next((post for post in posts if post is not None), None)
    channel = post.channel_id if post is not None else settings.channel_of(candidate.environment)[0]
    place = f"https://discord.com/channels/{settings.discord_guild_id}/{channel}"
    return f"{place}/{post.message_id}" if post is not None and post.message_id is not None else place


class StatusReporter:
    """Tell forges, one after the other for each source. `link` returns where the channel shows a candidate."""

    def __init__(
        self,
        forges: Mapping[str, "Forge"],
        state: StateManager,
        bus: EventBus,
        link: Callable[[Candidate], Awaitable[str]],
    ) -> None:
        self._forges = forges
        self._state = state
        self._bus = bus
        self._link = link
        self._away = Backoffs(PATIENTLY)
        self._subscription: Subscription | None = None
        self._rounds = Rounds("statuses of commits", self._run_round, REST_SECONDS)

    async def start(self) -> None:
        """Begin to tell, where any source has a token for it."""
        if self._forges and not self._rounds.is_running:
            self._subscription = self._bus.subscribe(CandidateChanged, self._wake, name="statuses of commits")
            self._rounds.start()

    async def stop(self) -> None:
        """Stop; the next leader tells the rest."""
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)
            self._subscription = None
        await self._rounds.stop()

    async def _wake(self, _event: Event) -> None:
        self._rounds.wake()

    async def _run_round(self) -> float:
        await self.report()
        return POLL_SECONDS if self._away else REST_SECONDS

    async def report(self) -> None:
        """Tell whatever is not told yet, the oldest first."""
        for name, forge in self._forges.items():
            if self._away.must_wait(name):
                continue
            try:
                for candidate in reversed(await self._state.candidates.of_source(name, limit=RECENT_CANDIDATES)):
                    if forge.has(candidate.origin):
                        await self._report(forge, candidate)
            except FORGE_AWAY as error:
                log.warning(
                    "a forge was not told", source=name, error=str(error), seconds=round(self._away.failed(name))
                )
            else:
                self._away.forget(name)

    async def _report(self, forge: "Forge", candidate: Candidate) -> None:
        known = await self._state.posts.get(candidate.id, FORGE_STATUS)
        if known is not None and known.finished:
            return
        started = candidate.deployment_id
        deployment = await self._state.deployments.get(started) if started else None
        status = status_of(candidate, deployment)
        if (known is None and status.state == "inactive") or (known is not None and known.content_hash == status.mark):
            return
        number, finished = known.message_id if known is not None else None, status.state in ENDED
        try:
            number = await forge.report(candidate, status, number, await self._link(candidate))
        except ForgeRefusedError as error:  # the others are told all the same
            finished = True
            log.warning("a forge refuses a status for good", candidate_id=candidate.id, error=str(error))
        await self._state.posts.save(Post(candidate.id, FORGE_STATUS, 0, number, status.mark, finished=finished))


class Forge:
    """Speak to one forge with one token of one repository. What asks raises ForgeError, OSError or ValueError."""

    def __init__(self, source: SourceSettings, token: str, client: WebClient, app: GitHubApp | None = None) -> None:
        self._kind = source.kind
        self._base = (source.forge_url or ADDRESSES.get(source.kind, "")).rstrip("/")
        self._repository = source.repository or ""
        is_gitlab = source.kind is SourceKind.GITLAB
        self._path = (
            f"/projects/{quote(self._repository, safe='')}" if is_gitlab else f"/repos/{quote(self._repository)}"
        )
        self.token = token
        self._app = app
        self._client = client

    def has(self, origin: Origin) -> bool:
        """Return whether a version comes of a commit of the source's own repository: no job chooses another one."""
        return origin.repository.lower() == self._repository.lower() and SHA.match(origin.commit) is not None

    async def report(self, candidate: Candidate, status: CommitStatus, number: int | None, link: str) -> int | None:
        """Tell where a version is; returns GitHub's number of the deployment."""
        origin, context = candidate.origin, f"roas/{candidate.environment}"
        if self._kind is SourceKind.GITLAB:
            state = GITLAB_STATUS.get(status.state, OVER[SourceKind.GITLAB])
            body = {"state": state, "name": context, "description": status.description, "target_url": link}
            answer = await self._post(f"{self._path}/statuses/{origin.commit}", body)
            if answer.status != 400:  # GitLab refuses to be told the same twice
                _check(answer)
            return None
        if self._kind is SourceKind.GITHUB:
            number = number or await self._find_deployment(candidate) or await self._create_deployment(candidate)
            told = {"state": status.state, "description": status.description, "log_url": link, "auto_inactive": True}
            told["environment"] = candidate.environment
            _check(await self._post(f"{self._path}/deployments/{number}/statuses", told))
        names = GITHUB_STATUS if self._kind is SourceKind.GITHUB else FORGEJO_STATUS
        state = names.get(status.state, OVER.get(self._kind, "warning"))
        body = {"state": state, "context": context, "description": status.description, "target_url": link}
        _check(await self._post(f"{self._path}/statuses/{origin.commit}", body))
        return number

    async def commits(self, before: str, commit: str) -> tuple[str, tuple[Commit, ...]] | None:
        """Return where two commits are compared, and those between, the newest first; None if there is no such commit.

        Without one before, it is the commit itself.
        """
        if self._kind is SourceKind.GITLAB:
            path = f"compare?from={before}&to={commit}" if before else f"commits/{commit}"
            path = f"{self._path}/repository/{path}"
        else:
            # Forgejo and Gitea have what GitHub calls `commits` of one below `git`.
            resource = "commits" if self._kind is SourceKind.GITHUB else "git/commits"
            path = f"{self._path}/" + (f"compare/{before}...{commit}" if before else f"{resource}/{commit}")
        answer = await self._ask("GET", path)
        if answer.status in {404, 422} and before:  # what ran before may be gone from the history
            return await self.commits("", commit)
        if answer.status in {404, 422}:
            return None
        _check(answer)
        found = answer.json()
        listed = found.get("commits") if before else [found]
        address = str(found.get("html_url") or found.get("web_url") or "")
        commits = [_commit(item) for item in (listed or ())[-MOST_COMMITS:]]
        return address, tuple(reversed(commits))

    async def _find_deployment(self, candidate: Candidate) -> int | None:
        """Return what a bot that died may have created."""
        origin = candidate.origin
        query = f"sha={origin.commit}&environment={quote(candidate.environment)}&per_page=100"
        answer = await self._ask("GET", f"{self._path}/deployments?{query}")
        _check(answer)
        for known in answer.json():
            payload = known.get("payload")
            payload = json.loads(payload) if isinstance(payload, str) and payload.startswith("{") else payload
            if isinstance(payload, dict) and payload.get("candidate") == candidate.id:
                return int(known["id"])
        return None

    async def _create_deployment(self, candidate: Candidate) -> int:
        body = {
            "ref": candidate.origin.commit,
            "environment": candidate.environment,
            "description": candidate.version,
            "payload": {"candidate": candidate.id},
            "auto_merge": False,
            "required_contexts": [],
        }
        answer = await self._post(f"{self._path}/deployments", body)
        _check(answer)
        return int(answer.json()["id"])

    async def _post(self, path: str, document: Any) -> Answer:
        return await self._ask("POST", path, document)

    async def _ask(self, method: str, path: str, document: Any = None) -> Answer:
        headers = {"Accept": GITHUB_TYPE} if self._kind is SourceKind.GITHUB else {}
        if self._kind is SourceKind.GITLAB:
            headers["PRIVATE-TOKEN"] = self.token
        elif self._kind is SourceKind.GITHUB:
            token = self.token if self._app is None else await self._app.token(self._repository)
            headers["Authorization"] = f"Bearer {token}"
        else:
            headers["Authorization"] = f"token {self.token}"
        return await self._client.ask(method, f"{self._base}{path}", headers=headers, document=document)


def _commit(document: Mapping[str, Any]) -> Commit:
    """Read a commit as each kind of forge writes it."""
    inner = document.get("commit") or {}
    text = str(document.get("message") or inner.get("message") or document.get("title") or "")
    author = document.get("author_name") or (inner.get("author") or {}).get("name") or ""
    made = document.get("committed_date") or (inner.get("committer") or {}).get("date")
    return Commit(
        str(document.get("sha") or document.get("id") or ""),
        text.partition("\n")[0][:200],
        str(author)[:100],
        _moment(made),
    )


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _check(answer: Answer) -> None:
    if answer.status >= 300:
        is_final = 400 <= answer.status < 500 and answer.status not in PASSING
        raise (ForgeRefusedError if is_final else ForgeError)(f"it answered {answer.status}")
