"""Take webhooks: know by its signature who sent one, keep where it points to, and answer before any work is done.

A webhook says what to inspect, never what is true: digest and commit are asked of registry and forge. A delivery
counts as seen once it is stored, so that its sender sends it again where that failed.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import from_json

from roas.candidates.source_secrets import SourceSecrets
from roas.configuration.tables import SourceSettings
from roas.errors import StateError
from roas.log import get_logger
from roas.models.candidate import Delivery, SourceKind, SourceMode
from roas.stack.images.registry import ImageName
from roas.state.manager import StateManager

log = get_logger(__name__)

# A signed time may differ by so much from ours.
TOLERANCE_SECONDS = 300.0
DELIVERY_ID = re.compile(r"^[A-Za-z0-9._:-]{1,100}$")
SHA = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
TAG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
BRANCH, TAG_REF = "refs/heads/", "refs/tags/"
FORCED = "forced"
PING, OFF = "ping", SourceMode.OFF
FORM = "application/x-www-form-urlencoded"
UNSIGNED = frozenset({SourceKind.DOCKER_HUB, SourceKind.QUAY})
# Where each kind says which delivery this is, and of what.
ID_HEADERS: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.GITHUB: ("X-GitHub-Delivery",),
    SourceKind.GITLAB: ("webhook-id", "Idempotency-Key", "X-Gitlab-Event-UUID"),
    SourceKind.FORGEJO: ("X-Forgejo-Delivery", "X-Gitea-Delivery"),
    SourceKind.GITEA: ("X-Gitea-Delivery",),
}
EVENT_HEADERS: Mapping[SourceKind, tuple[str, ...]] = {
    SourceKind.GITHUB: ("X-GitHub-Event",),
    SourceKind.GITLAB: ("X-Gitlab-Event",),
    SourceKind.FORGEJO: ("X-Forgejo-Event", "X-Gitea-Event"),
    SourceKind.GITEA: ("X-Gitea-Event",),
}
Hint = dict[str, str]


class UselessError(Exception):
    """An event says nothing that the bot has a use for; the text says why."""


def is_signed(
    settings: SourceSettings, secrets: SourceSecrets, request: Mapping[str, str], path: str, body: bytes
) -> bool:
    """Return whether a delivery is its source's; nothing is compared in less time than anything else."""
    kind, secret = settings.kind, secrets.secret.encode()
    if kind is SourceKind.GITLAB:
        return _is_gitlabs(secrets, request, body)
    if not secret:
        return False
    if kind in UNSIGNED:
        return hmac.compare_digest(path.encode(errors="replace"), secret)
    if kind in {SourceKind.REGISTRY, SourceKind.HARBOR}:
        sent = request.get("Authorization", "").encode(errors="replace")
        return hmac.compare_digest(sent, secret) | hmac.compare_digest(sent, b"Bearer " + secret)
    names = {
        SourceKind.GITHUB: ("X-Hub-Signature-256",),
        SourceKind.FORGEJO: ("X-Forgejo-Signature", "X-Gitea-Signature", "X-Hub-Signature-256"),
        SourceKind.GITEA: ("X-Gitea-Signature", "X-Hub-Signature-256"),
    }.get(kind, ())
    sent_text = next((request[name] for name in names if request.get(name)), "")
    expected = hmac.digest(secret, body, "sha256").hex()
    prefixed = kind is SourceKind.GITHUB or sent_text.startswith("sha256=")
    return hmac.compare_digest(sent_text.encode(errors="replace"), f"{'sha256=' * prefixed}{expected}".encode())


def _is_gitlabs(secrets: SourceSecrets, request: Mapping[str, str], body: bytes) -> bool:
    """Check a Standard Webhook where there is a signing key, else the token: the old form is no way around it."""
    if not secrets.signing_key:
        sent = request.get("X-Gitlab-Token", "").encode(errors="replace")
        return bool(secrets.secret) and hmac.compare_digest(sent, secrets.secret.encode())
    sent_id, sent_at = request.get("webhook-id", ""), request.get("webhook-timestamp", "")
    try:
        is_fresh = abs(time.time() - int(sent_at)) <= TOLERANCE_SECONDS  # the sender's clock is the wall clock
    except (ValueError, OverflowError):
        is_fresh = False
    signed = f"{sent_id}.{sent_at}.".encode(errors="replace") + body
    expected = base64.b64encode(hmac.digest(secrets.signing_key, signed, "sha256"))
    found = False
    for part in request.get("webhook-signature", "").split()[:10]:
        found |= hmac.compare_digest(part.encode(errors="replace"), b"v1," + expected)
    return found and is_fresh and bool(sent_id)


class Webhooks:
    """Answer `POST /v1/hooks/<source>`. `store` returns whether a delivery is new; `notify` wakes who inspects.

    Of what is of no use only the last is kept, as handled: people see why nothing came of it.
    """

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        store: Callable[[Delivery], Awaitable[bool]],
        notify: Callable[[], None],
    ) -> None:
        self._sources = {name: source for name, source in sources.items() if source.kind is not SourceKind.CI}
        self._secrets = {name: SourceSecrets(name, source) for name, source in self._sources.items()}
        self._store = store
        self._notify = notify

    async def take(self, name: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, str]:
        """Return the status, the id of the delivery, and what becomes of it. Raises StateError if it is not kept."""
        settings, secrets = self._sources.get(name), self._secrets.get(name)
        if settings is None or secrets is None or not is_signed(settings, secrets, headers, path, body):
            return 401, "", "This is signed by no source: compare its address and secret with those of the source."
        delivery_id = _id_of(settings.kind, headers, body)
        why_useless = "Nothing was pushed."
        event = next((headers[text] for text in EVENT_HEADERS.get(settings.kind, ()) if headers.get(text)), "push")[
            :100
        ]
        try:
            hints = list(_hints(settings, event, _parse(_document(headers, body))))[:100]
        except UselessError as error:
            hints, why_useless = [], str(error)
        except (LookupError, TypeError, AttributeError, ValueError):
            hints, why_useless = [], "It is not written as its kind of source writes."
        delivery, is_new = Delivery(name, delivery_id, event, datetime.now(UTC)), False
        if not hints:
            with suppress(StateError):  # it is answered all the same
                await self._store(replace(delivery, is_handled=True, note=why_useless))
            return 202, delivery_id, why_useless
        for number, hint in enumerate(hints):
            numbered = replace(delivery, id=f"{delivery_id}/{number}" if number else delivery_id, hint=hint)
            is_new |= await self._store(numbered)
        self._notify()
        log.info("webhook taken", source=name, delivery_id=delivery_id, hook_event=event, is_new=is_new)
        return 202, delivery_id, "Taken: the bot looks for what it tells of." if is_new else "It is known already."


async def find_idle(
    state: StateManager, sources: Mapping[str, SourceSettings], environment: str
) -> tuple[Delivery, ...]:
    """Return the last delivery of each source that may offer to an environment, and has never offered anything."""
    offered = {candidate.source for candidate in await state.candidates.of_environment(environment)}
    names = {name for name, source in sources.items() if source.environments.get(environment, OFF) is not OFF}
    newest = sorted(await state.deliveries.latest(), key=lambda delivery: delivery.received_at)
    last = {delivery.source: delivery for delivery in newest if delivery.is_handled and delivery.event != PING}
    return tuple(delivery for name, delivery in sorted(last.items()) if name in names - offered)


def _id_of(kind: SourceKind, headers: Mapping[str, str], body: bytes) -> str:
    """Return which delivery it is: a redelivery has the same id, or else the same body."""
    sent = next((headers[name] for name in ID_HEADERS.get(kind, ()) if headers.get(name)), "")
    return sent if DELIVERY_ID.match(sent) else hashlib.sha256(body).hexdigest()


def _document(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the JSON of a body; GitHub's preselected content type is a form around it. Raises ValueError."""
    is_form = headers.get("Content-Type", "").partition(";")[0].strip().lower() == FORM
    if not is_form or body.lstrip().startswith(b"{"):  # which programs send that name no content type
        return body
    return parse_qs(body, max_num_fields=10).get(b"payload", [b""])[0]


def _parse(body: bytes) -> Any:
    """Return the body. Raises ValueError where it is no JSON, or nested too deeply."""
    return from_json(body, cache_strings="keys")


def _hints(settings: SourceSettings, event: str, body: Any) -> Iterator[Hint]:
    """Yield what an event says to inspect. Raises UselessError, and LookupError or alike if it is written otherwise."""
    match settings.kind:
        case SourceKind.GITHUB | SourceKind.FORGEJO | SourceKind.GITEA:
            yield _of_forge(settings, event, body)
        case SourceKind.GITLAB:
            yield _of_gitlab(settings, body)
        case SourceKind.REGISTRY:
            yield from _of_distribution(settings, body)
        case SourceKind.HARBOR:
            yield from _of_harbor(settings, body)
        case SourceKind.DOCKER_HUB:
            yield _image(settings, str(body["repository"]["repo_name"]), str(body["push_data"]["tag"]))
        case SourceKind.QUAY:
            yield from _images(settings, [(body["docker_url"], tag) for tag in body["updated_tags"]])


def _of_forge(settings: SourceSettings, event: str, body: Any) -> Hint:
    """Read an event of GitHub, Forgejo or Gitea, which write alike."""
    if event == PING:
        raise UselessError("pong")
    if event != "package" or body["repository"] is not None:  # Gitea's belongs to an owner, and often to no repository
        _check_repository(settings, str(body["repository"]["full_name"]))
    match event:
        case "push":
            if body.get("deleted") or not SHA.match(str(body["after"])) or not int(str(body["after"]), 16):
                raise UselessError("Something was deleted.")
            compare = str(body.get("compare") or body.get("compare_url") or "")
            forced = {FORCED: "True"} if body.get(FORCED) is True else {}
            return _commit(settings, str(body["ref"]), str(body["after"]), compare) | forced
        case "workflow_run":
            run = body["workflow_run"]
            if (body["action"], run["conclusion"]) != ("completed", "success"):
                raise UselessError("This run has not succeeded.")
            return _commit(settings, f"{BRANCH}{run['head_branch']}", str(run["head_sha"]), str(run["html_url"]))
        case "release":
            return _of_release(settings, body["action"], body["release"])
        case "registry_package" | "package":
            return _of_package(settings, body["action"], body[event])
    raise UselessError(f"The bot has no use for {event}.")


def _of_release(settings: SourceSettings, action: str, release: Any) -> Hint:
    if action not in {"published", "released"} or release["draft"]:
        raise UselessError("This release is not published.")
    if release["prerelease"]:
        raise UselessError("This is a prerelease.")
    return _tag(settings, str(release["tag_name"]), str(release["html_url"]))


def _of_package(settings: SourceSettings, action: str, package: Any) -> Hint:
    if settings.kind is not SourceKind.GITHUB:
        if (action, package["type"]) != ("created", "container"):
            raise UselessError("No image was pushed.")
        return _image(settings, f"{package['owner']['login']}/{package['name']}", str(package["version"]))
    version = package["package_version"]
    tag = str(version["container_metadata"]["tag"]["name"])
    address = str(version.get("package_url") or "")
    return _image(settings, address.rpartition(":")[0] or f"{package['namespace']}/{package['name']}", tag)


def _of_gitlab(settings: SourceSettings, body: Any) -> Hint:
    project = body["project"]
    _check_repository(settings, str(project["path_with_namespace"]))
    match body["object_kind"]:
        case "push" | "tag_push":
            if not SHA.match(str(body["after"])) or not int(str(body["after"]), 16):
                raise UselessError("Something was deleted.")
            sha = str(body["checkout_sha"] or body["after"])
            return _commit(settings, str(body["ref"]), sha, str(project["web_url"]))
        case "pipeline":
            attributes = body["object_attributes"]
            if attributes["status"] != "success":
                raise UselessError("This pipeline has not succeeded.")
            ref = f"{TAG_REF if attributes['tag'] else BRANCH}{attributes['ref']}"
            return _commit(settings, ref, str(attributes["sha"]), str(attributes.get("url") or project["web_url"]))
        case "release":
            if body["action"] != "create":
                raise UselessError("This release is not new.")
            return _tag(settings, str(body["tag"]), str(body["url"]))
    raise UselessError(f"The bot has no use for {str(body['object_kind'])[:50]}.")


def _of_distribution(settings: SourceSettings, body: Any) -> Iterator[Hint]:
    targets = [event["target"] for event in body["events"] if event["action"] == "push"]
    yield from _images(settings, [(target["repository"], target["tag"]) for target in targets if target.get("tag")])


def _of_harbor(settings: SourceSettings, body: Any) -> Iterator[Hint]:
    if body["type"] not in {"PUSH_ARTIFACT", "pushImage"}:
        raise UselessError("Nothing was pushed.")
    pushed = body["event_data"]
    name = pushed["repository"]["repo_full_name"]
    yield from _images(settings, [(name, resource["tag"]) for resource in pushed["resources"]])


def _check_repository(settings: SourceSettings, repository: str) -> None:
    if settings.repository is None or settings.repository.lower() != repository.lower():
        raise UselessError("It is about another repository than the source's.")


def _commit(settings: SourceSettings, ref: str, sha: str, url: str) -> Hint:
    """Return where a commit is. Raises UselessError where its branch is none that is deployed."""
    if ref.startswith(TAG_REF):
        return _tag(settings, ref.removeprefix(TAG_REF), url) | {"commit": _sha(sha)}
    branch = ref.removeprefix(BRANCH)
    if not any(fnmatchcase(branch, pattern) for pattern in settings.branches):
        raise UselessError("It is about another branch than the source's.")
    return {"commit": _sha(sha), "ref": f"{BRANCH}{branch}"[:200], "url": _url(url)}


def _tag(settings: SourceSettings, tag: str, url: str) -> Hint:
    _check_tag(settings, tag)
    return {"tag": tag, "ref": f"{TAG_REF}{tag}", "url": _url(url)}


def _images(settings: SourceSettings, pushed: list[tuple[Any, Any]]) -> Iterator[Hint]:
    """Yield where each image is that is of use. Raises UselessError where none is."""
    why_none, found = "No tag was pushed.", False
    for name, tag in pushed:
        try:
            hint = _image(settings, str(name), str(tag))
        except UselessError as error:
            why_none = str(error)
        else:
            found = True
            yield hint
    if not found:
        raise UselessError(why_none)


def _image(settings: SourceSettings, pushed: str, tag: str) -> Hint:
    """Return which image to inspect: one that the settings name, wherever the event says that it is."""
    path = ImageName.read(pushed).path.removeprefix("library/").lower()
    image = next((name for name in settings.images if _path(name) == path), None)
    if image is None:
        raise UselessError("It is about another image than the source's.")
    _check_tag(settings, tag)
    return {"image": image, "tag": tag}


def _path(image: str) -> str:
    return ImageName.read(image).path.removeprefix("library/").lower()


def _check_tag(settings: SourceSettings, tag: str) -> None:
    if not TAG.match(tag):
        raise UselessError("It names no tag.")
    if settings.tags and not any(fnmatchcase(tag, pattern) for pattern in settings.tags):
        raise UselessError("It is about another tag than the source's.")


def _sha(text: str) -> str:
    if not SHA.match(text):
        raise UselessError("It names no commit.")
    return text


def _url(text: str) -> str:
    return text[:500] if text.startswith(("https://", "http://")) else ""
