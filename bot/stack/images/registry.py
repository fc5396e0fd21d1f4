"""Ask registries which tags there are and what is behind them, as sparingly as they count it.

A digest is asked for by `HEAD`, which Docker Hub does not count as a pull; a `GET` comes only where a registry leaves
the digest out. What a registry says of its limits is heeded, for each host.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yarl import URL

from roas.errors import RegistryUnavailableError
from roas.limits import LONGEST_REGISTRY_REST_SECONDS, REGISTRY_REST_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.redaction import Learn
from roas.web_client import Answer, WebClient

log = get_logger(__name__)

HUB, HUB_API, HUB_LOGIN = "docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"
LOOPBACK = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$")
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
TAG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
NEXT_PAGE = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
PAGE_SIZE, MOST_PAGES = 1000, 100
# With fewer requests left than this, a registry is left alone for as long as it counts.
FEWEST_LEFT = 10
TOKEN_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class ImageName:
    """Name a repository of a registry."""

    host: str
    path: str

    @classmethod
    def read(cls, text: str) -> "ImageName":
        """Read `ghcr.io/acme/shop`, or `nginx`, which is Docker Hub's."""
        first, slash, rest = text.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(HUB if first in {"index.docker.io", HUB_API} else first, rest)
        return cls(HUB, text if slash else f"library/{text}")

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def is_on_loopback(self) -> bool:
        """Return whether its registry is on the machine of whoever asks."""
        return LOOPBACK.match(self.host) is not None

    @property
    def base(self) -> str:
        """Return where its registry's API is: with TLS, unless it is on this machine."""
        host = HUB_API if self.host == HUB else self.host
        return f"{'http' if LOOPBACK.match(host) else 'https'}://{host}"


class RegistryClient:
    """Ask registries by the logins of Docker's configuration. Every method raises RegistryUnavailableError.

    `learn` hears of each login that is used.
    """

    def __init__(self, client: WebClient, configuration: Callable[[], Path], learn: Learn) -> None:
        self._client = client
        self._configuration = configuration
        self._learn = learn
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._not_before: dict[str, float] = {}  # until when a host is left alone

    async def digest(self, image: ImageName, tag: str) -> str | None:
        """Return the digest behind a tag, None where there is no such tag."""
        target = f"/v2/{quote(image.path)}/manifests/{quote(tag, safe=':')}"
        answer = await self._ask("HEAD", image, target)
        if answer.status == 404:
            return None
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and not DIGEST.match(digest):
            answer = await self._ask("GET", image, target)
            digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        if answer.status != 200:
            raise _away(image, f"it answered {answer.status}")
        return digest

    async def tags(self, image: ImageName) -> tuple[str, ...]:
        """Return every tag, from all pages."""
        found: dict[str, None] = {}
        target = f"/v2/{quote(image.path)}/tags/list?n={PAGE_SIZE}"
        for _page in range(MOST_PAGES):
            answer = await self._ask("GET", image, target)
            if answer.status == 404:
                return ()
            if answer.status != 200:
                raise _away(image, f"it answered {answer.status}")
            try:
                listed = answer.json().get("tags") or ()
            except (ValueError, AttributeError) as error:
                raise _away(image, "its list of tags is none") from error
            found |= dict.fromkeys(tag for tag in listed if isinstance(tag, str) and TAG.match(tag))
            following = NEXT_PAGE.search(answer.headers.get("link", ""))
            if following is None:
                break
            page = URL(image.base).join(URL(following[1], encoded=True))
            if page.origin() != URL(image.base).origin():  # credentials go nowhere else
                break
            target = page.raw_path_qs
        return tuple(found)

    async def created(self, image: ImageName, tag: str) -> datetime | None:
        """Return when the image behind a tag was made, of the first platform where there are several."""
        manifest = await self._json(image, f"manifests/{tag}")
        if manifests := manifest.get("manifests"):
            manifest = await self._json(image, f"manifests/{manifests[0].get('digest')}")
        config = await self._json(image, f"blobs/{manifest.get('config', {}).get('digest')}")
        try:
            made = datetime.fromisoformat(str(config["created"])[:19])
        except (KeyError, ValueError):
            return None
        return made.replace(tzinfo=UTC)

    async def _json(self, image: ImageName, what: str) -> dict[str, Any]:
        answer = await self._ask("GET", image, f"/v2/{quote(image.path)}/{what}")
        if answer.status >= 500:
            raise _away(image, f"it answered {answer.status}")
        try:
            found = answer.json() if answer.status == 200 else {}
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}

    async def _ask(self, method: str, image: ImageName, target: str) -> Answer:
        rest = self._not_before.get(image.host, 0.0) - time.monotonic()
        if rest > 0:
            raise _away(image, f"it is to be left alone for {rest:.0f} s more")
        headers = {"Accept": ", ".join(MANIFESTS)}
        try:
            answer = await self._send(method, image, target, headers)
        except (OSError, TimeoutError, ValueError) as error:
            raise _away(image, str(error) or type(error).__name__) from error
        if answer.status == 429:
            self._rest(image.host, _seconds(answer.headers.get("retry-after", "")))
            raise _away(image, "it has had too many requests")
        if answer.status in {401, 403}:
            raise _away(image, "it wants a login (`roas login`)")
        if (left := answer.headers.get("ratelimit-remaining", "")) and _is_little(left):
            self._rest(image.host, _window(left))
        return answer

    async def _send(self, method: str, image: ImageName, target: str, headers: dict[str, str]) -> Answer:
        key = (image.host, image.path)
        token, until = self._tokens.get(key, ("", 0.0))
        if token and until > time.monotonic():
            headers["Authorization"] = token
        answer = await self._client.ask(method, f"{image.base}{target}", headers=headers, redirects=method == "GET")
        if answer.status != 401:
            return answer
        headers["Authorization"] = await self._authorize(image, answer.headers.get("www-authenticate", ""))
        self._tokens[key] = headers["Authorization"], time.monotonic() + TOKEN_SECONDS
        return await self._client.ask(method, f"{image.base}{target}", headers=headers, redirects=method == "GET")

    async def _authorize(self, image: ImageName, challenge: str) -> str:
        """Return what proves the login, as the registry asks for it. Raises ValueError."""
        login = self._login(image.host)
        kind, _space, parameters = challenge.partition(" ")
        if kind.lower() != "bearer":
            return f"Basic {login}" if login else ""
        said_by = dict(CHALLENGE.findall(parameters))
        realm = URL(said_by.get("realm", ""))
        if realm.scheme != "https" and not (realm.host and LOOPBACK.match(realm.host)):
            raise ValueError("it wants a login without TLS")
        query = {"service": said_by.get("service", ""), "scope": f"repository:{image.path}:pull"}
        headers = {"Authorization": f"Basic {login}"} if login else {}
        answer = await self._client.ask("GET", realm.update_query(query), headers=headers)
        if answer.status != 200:
            raise ValueError(f"its login was answered {answer.status}")
        document = answer.json()
        return f"Bearer {document.get('token') or document.get('access_token') or ''}"

    def _login(self, host: str) -> str:
        """Return user and password as Docker's configuration keeps them; empty where there is none."""
        try:
            document = json.loads(self._configuration().read_text(encoding="utf-8"))
            logins = document.get("auths") or {}
            names = (HUB_LOGIN, HUB) if host == HUB else (host, f"https://{host}", f"http://{host}")
            login = next((str(logins[name].get("auth", "")) for name in names if name in logins), "")
            _user, _colon, password = base64.b64decode(login, validate=True).decode(errors="replace").partition(":")
            self._learn(filter(None, (login, password)))
        except (OSError, ValueError, AttributeError):
            return ""
        return login

    def _rest(self, host: str, seconds: float) -> None:
        seconds = min(max(seconds, 1.0), LONGEST_REGISTRY_REST_SECONDS)
        self._not_before[host] = time.monotonic() + seconds
        log.warning("a registry is left alone", registry=host, seconds=round(seconds))


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return REGISTRY_REST_SECONDS


def _is_little(text: str) -> bool:
    """Read `98;w=21600`."""
    number = text.partition(";")[0].strip()
    return number.isdigit() and int(number) < FEWEST_LEFT


def _window(text: str) -> float:
    found = re.search(r"w=(\d+)", text)
    return float(found[1]) / 10 if found else REGISTRY_REST_SECONDS


def _away(image: ImageName, cause: str) -> RegistryUnavailableError:
    return RegistryUnavailableError(
        said("The registry {host} tells nothing of {image}: {cause}.", host=image.host, image=image.path, cause=cause),
    )
