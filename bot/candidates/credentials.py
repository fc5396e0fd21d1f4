"""Decide whose credentials these are: a token that is kept as a hash, or a signed token of a CI job (OpenID Connect).

A source is never a person: what it may ask for is in its settings, and nothing that it sends says yes to anything.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roas.concurrency import SingleFlight
from roas.configuration.tables import OidcSettings, SourceSettings
from roas.errors import RoasError, SettingsError
from roas.extras import CI, load
from roas.limits import KEYS_RETRY_SECONDS
from roas.log import get_logger
from roas.models.actor import Actor, ActorKind

log = get_logger(__name__)

TOKEN_PREFIX = "roas_"  # noqa: S105 - by which scanners of secrets find a token
HASH_PREFIX = "sha256:"
# Only what is signed by a key that nobody but the issuer has; `none` and secrets shared by two are not among them.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REQUIRED_CLAIMS = ("iss", "aud", "exp", "iat", "sub")
LEEWAY_SECONDS = 30.0
LONGEST_TOKEN = 16 * 1024
# Keys are asked for again after so long, and sooner where a token names another one.
KEYS_FRESH_SECONDS = 600.0
# An issuer that is away is no reason to refuse what its keys signed, for a while.
KEYS_USABLE_SECONDS = 24 * 3600.0

SEND_ONE = "Send a source's token, or a CI job's signed token, in the header `Authorization`, after `Bearer`."

# Returns the JSON at an address. Raises OSError, TimeoutError, ValueError.
FetchJson = Callable[[str], Awaitable[Any]]


class CredentialsError(RoasError):
    """Nobody that the settings know has these credentials."""

    key = "credentials"


class IssuerAwayError(RoasError):
    """The keys of a token's issuer cannot be had."""

    key = "issuer_away"
    transient = True


@dataclass(frozen=True, slots=True)
class Caller:
    """Name the source whose credentials came with a request, and the job that sent them."""

    source: str
    settings: SourceSettings = field(repr=False)
    job: str = ""


def source_actor(name: str) -> Actor:
    """Return the actor of a source, who is in the history for what it asked for."""
    return Actor(ActorKind.SOURCE, name, name)


def new_token() -> tuple[str, str]:
    """Return a new token, and the hash by which the settings know it."""
    token = f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """Return the hash of a token; one of 256 random bits needs no slow one."""
    return HASH_PREFIX + hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Credentials:
    """Find the source of a bearer token. `fetch_json` asks issuers for their keys."""

    def __init__(self, sources: Mapping[str, SourceSettings], fetch_json: FetchJson) -> None:
        self._sources = sources
        signed = {source.oidc.issuer for source in sources.values() if source.oidc is not None}
        self._jwt = load(CI, SettingsError) if signed else None
        self._keys = {issuer: IssuerKeys(issuer, fetch_json, self._jwt) for issuer in signed}

    async def caller(self, bearer: str) -> Caller:
        """Return whose token it is. Raises CredentialsError, IssuerAwayError."""
        if not bearer or len(bearer) > LONGEST_TOKEN:
            raise _unknown("No token was sent.")
        if bearer.count(".") == 2 and not bearer.startswith(TOKEN_PREFIX):
            return await self._of_signed(bearer)
        sent, found = hash_token(bearer), ""
        for name, source in self._sources.items():  # all of them: how long it takes says nothing
            if hmac.compare_digest(sent.encode(), (source.token_hash or HASH_PREFIX).encode()):
                found = name
        if not found:
            raise _unknown(
                "The token is not known.",
                hint="Compare it with `token_hash` in roas.toml, which the bot reads when it starts: "
                "`roas remote token` prints both.",
            )
        return Caller(found, self._sources[found])

    async def _of_signed(self, token: str) -> Caller:
        jwt = self._jwt
        if jwt is None:
            raise _unknown("No source takes signed tokens.")
        header, claims = _unverified(jwt, token)
        issuer = str(claims.get("iss"))
        keys = self._keys.get(issuer)
        if keys is None:
            raise _unknown("No source trusts the issuer of this token.")
        key = await keys.get(str(header.get("kid", "")), str(header.get("alg")))
        why_not = "No source has this audience."
        for name, source in self._sources.items():
            if source.oidc is None or source.oidc.issuer != issuer:
                continue
            try:
                verified = jwt.decode(
                    token,
                    key=key,
                    algorithms=list(ALGORITHMS),
                    audience=source.oidc.audience,
                    issuer=issuer,
                    leeway=LEEWAY_SECONDS,
                    options={"require": list(REQUIRED_CLAIMS), "strict_aud": False},
                )
            except jwt.InvalidAudienceError:
                continue
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                raise _unknown(_why_invalid(error)) from error
            if wrong := _wrong_claim(source.oidc, verified):
                why_not = f"The claim {wrong} is not what a source asks for."
                continue
            return Caller(name, source, str(verified["sub"])[:200])
        raise _unknown(why_not)


class IssuerKeys:
    """Hold the public keys of one issuer, and ask for them again when they are old or a token names another."""

    def __init__(self, issuer: str, fetch_json: FetchJson, jwt: Any) -> None:
        self._jwt = jwt
        self._issuer = issuer.rstrip("/")
        self._fetch_json = fetch_json
        self._keys: dict[str, Any] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._asking = SingleFlight[None]()

    async def get(self, key_id: str, algorithm: str) -> Any:
        """Return a key. Raises CredentialsError where the issuer has none of that name, IssuerAwayError."""
        if algorithm not in ALGORITHMS:
            raise _unknown("The token is not signed by a key of its issuer.")
        now = time.monotonic()
        is_due = now - self._fetched_at > KEYS_FRESH_SECONDS or key_id not in self._keys
        if is_due and now - self._tried_at > (KEYS_RETRY_SECONDS if self._keys else 0.0):
            await self._asking.ask("keys", self._fetch)
        if time.monotonic() - self._fetched_at > KEYS_USABLE_SECONDS:
            raise IssuerAwayError(
                f"The keys of {self._issuer} cannot be had at present.",
                hint="Try again in a moment. The bot needs HTTPS to that address.",
            )
        key = self._keys.get(key_id)
        if key is None:
            raise _unknown("The issuer has no such key.")
        return key

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            async with asyncio.timeout(10):
                configuration = await self._fetch_json(f"{self._issuer}/.well-known/openid-configuration")
                address = str(configuration["jwks_uri"])
                if not address.startswith(("https://", f"{self._issuer}/")):
                    raise ValueError("the keys are at an address that is not HTTPS")
                document = await self._fetch_json(address)
                self._keys = dict(filter(None, map(self._read_key, document["keys"])))
        except (OSError, TimeoutError, ValueError, LookupError, TypeError) as error:
            log.warning("the keys of an issuer cannot be had", issuer=self._issuer, error=str(error) or repr(error))
            return
        self._fetched_at = time.monotonic()

    def _read_key(self, document: Any) -> tuple[str, Any] | None:
        """Return the name of a public key, and the key; None where it is none of ours."""
        try:
            if document.get("kty") == "oct" or document.get("use", "sig") != "sig":
                return None
            return str(document["kid"]), self._jwt.PyJWK.from_dict(document)
        except (self._jwt.PyJWTError, LookupError, AttributeError, TypeError, ValueError):
            return None


def _unverified(jwt: Any, token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        header, parts = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise _unknown("This is no signed token.") from error
    return header, parts


def _wrong_claim(wanted: OidcSettings, claims: Mapping[str, Any]) -> str:
    """Return the first claim that is not as the settings have it; empty where all are."""
    for name, values in wanted.claims.items():
        allowed = (values,) if isinstance(values, str) else values
        found = claims.get(name)
        text = json.dumps(found) if isinstance(found, bool) else str(found)
        if found is None or text not in allowed:
            return name
    return ""


def _why_invalid(error: Exception) -> str:
    kinds = {
        "ExpiredSignatureError": "The token has expired.",
        "ImmatureSignatureError": "The token is not valid yet.",
        "InvalidSignatureError": "The signature is not of its issuer.",
    }
    return kinds.get(type(error).__name__, "The token is not valid.")


def _unknown(cause: str, hint: str = SEND_ONE) -> CredentialsError:
    return CredentialsError(f"These credentials are of no source: {cause}", hint=hint)
