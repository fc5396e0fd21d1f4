"""Whose credentials these are: tokens by their hash, signed tokens by issuer, audience, claims, time and key."""

import base64
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from roas.candidates import credentials as module
from roas.candidates.credentials import Credentials, CredentialsError, IssuerAwayError, new_token
from roas.configuration.tables import OidcSettings, SourceSettings
from tests.unit.candidates.issuer import AUDIENCE, ISSUER, Issuer

CLAIMS = {"repository": "acme/shop", "ref": ("refs/heads/main", "refs/heads/stable"), "environment": "prod"}


def signed_source(**changes):
    return SourceSettings(oidc=OidcSettings(**({"issuer": ISSUER, "audience": AUDIENCE, "claims": CLAIMS} | changes)))


@pytest.fixture(scope="module")
def issuer_with_keys():
    return Issuer()


@pytest.fixture
def issuer(issuer_with_keys):
    issuer_with_keys.is_away = False
    issuer_with_keys.asked.clear()
    return issuer_with_keys


@pytest.fixture
def credentials(issuer):
    return Credentials({"shop": signed_source()}, issuer.fetch_json)


async def test_token_known_by_hash(issuer):
    (token, hashed), (other, _other_hash) = new_token(), new_token()
    known = Credentials({"a": SourceSettings(), "b": SourceSettings(token_hash=hashed)}, issuer.fetch_json)
    assert (await known.caller(token)).source == "b"
    for wrong in (other, "", hashed, token[:-1], "x" * 100_000, "a.b.c", "\N{SNOWMAN}"):
        with pytest.raises(CredentialsError):
            await known.caller(wrong)
    assert token not in repr(known)


async def test_job_with_right_claims_is_its_source(credentials, issuer):
    caller = await credentials.caller(issuer.token())
    assert caller.source == "shop"
    await credentials.caller(issuer.token(ref="refs/heads/stable"))
    await credentials.caller(issuer.token(aud=["another", AUDIENCE]))
    assert len(issuer.asked) == 2, "keys are asked for once"


NOW = int(time.time())
WRONG = {
    "issuer": {"iss": "https://evil.example.org"},
    "issuer with a slash": {"iss": f"{ISSUER}/"},
    "audience": {"aud": "https://another.example.org"},
    "no audience": {"aud": None},
    "repository": {"repository": "acme/shop-fork"},
    "repository as a list": {"repository": ["acme/shop"]},
    "no repository": {"repository": None},
    "ref": {"ref": "refs/heads/feature"},
    "ref by prefix": {"ref": "refs/heads/main2"},
    "environment": {"environment": "dev"},
    "expired": {"exp": NOW - 120},
    "no end": {"exp": None},
    "issued in the future": {"iat": NOW + 3600},
    "not valid yet": {"nbf": NOW + 3600},
    "no subject": {"sub": None},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_wrong_claim_refused(credentials, issuer, changes):
    with pytest.raises(CredentialsError):
        await credentials.caller(issuer.token(**changes))


OF_GITLAB = {"project_path": "acme/shop", "ref": "main", "ref_type": "branch", "ref_protected": "true"}
OF_WORKFLOW = {
    "repository": "acme/shop",
    "workflow": "deploy",
    "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
}
OTHERS = {
    "project_path": "acme/shop-fork",
    "ref": "feature",
    "ref_type": "tag",
    "ref_protected": "false",
    "repository": "acme/fork",
    "workflow": "lint",
    "job_workflow_ref": "acme/fork/.github/workflows/deploy.yml@refs/heads/main",
}


@pytest.mark.parametrize("pinned", [OF_GITLAB, OF_WORKFLOW], ids=["gitlab", "workflow"])
async def test_every_claim_that_is_pinned_counts(issuer, pinned):
    """As GitLab writes its tokens, and as GitHub names a job's workflow."""
    credentials = Credentials({"shop": signed_source(claims=pinned)}, issuer.fetch_json)
    assert (await credentials.caller(issuer.token(**pinned))).source == "shop"
    for name in pinned:
        for other in (OTHERS[name], None):
            with pytest.raises(CredentialsError, match=f"claim {name} is"):
                await credentials.caller(issuer.token(**pinned | {name: other}))


async def test_wrong_signature_refused(credentials, issuer):
    """By another's key, by none, by the public key as if it were a secret, and what was changed afterwards."""
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def part(document):
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    header, body, signature = issuer.token().split(".")
    by_public = {"alg": "HS256", "typ": "JWT", "kid": issuer.key_id}
    signing_input = f"{part(by_public)}.{body}"
    forged = base64.urlsafe_b64encode(hmac.digest(public, signing_input.encode(), "sha256")).rstrip(b"=").decode()
    wrong = [
        issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        f"{part({'alg': 'none', 'kid': issuer.key_id})}.{body}.",
        f"{part({'alg': 'None', 'kid': issuer.key_id})}.{body}.{signature}",
        f"{signing_input}.{forged}",
        issuer.token(key="secret" * 8, algorithm="HS256", key_id="shared"),
        f"{header}.{part(issuer.claims(repository='acme/shop', environment='prod'))}.{signature}",
        f"{header}.{body}.",
        issuer.token(key_id="unknown"),
    ]
    for token in wrong:
        with pytest.raises(CredentialsError):
            await credentials.caller(token)


async def test_rotated_keys_are_asked_for_again(credentials, issuer, monkeypatch):
    monkeypatch.setattr(module, "KEYS_RETRY_SECONDS", 0.0)
    old = issuer.token()
    await credentials.caller(old)
    issuer.rotate()
    assert (await credentials.caller(issuer.token())).source == "shop"
    with pytest.raises(CredentialsError):
        await credentials.caller(old)


async def test_unknown_keys_do_not_flood_the_issuer(credentials, issuer):
    for _time in range(20):
        with pytest.raises(CredentialsError):
            await credentials.caller(issuer.token(key_id="unknown"))
    assert len(issuer.asked) == 2


async def test_keys_away(credentials, issuer):
    """Without keys nobody is let in; with those of before, what they signed is still good."""
    issuer.is_away = True
    with pytest.raises(IssuerAwayError):
        await credentials.caller(issuer.token())
    issuer.is_away = False
    await credentials.caller(issuer.token())
    issuer.is_away = True
    await credentials.caller(issuer.token())


async def test_second_source_of_one_issuer_found(issuer):
    known = Credentials(
        {"shop": signed_source(), "blog": signed_source(claims={"repository": "acme/blog"})}, issuer.fetch_json
    )
    assert (await known.caller(issuer.token(repository="acme/blog"))).source == "blog"


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": {"ref": "refs/heads/main"}},
        {"claims": {}},
        {"issuer": "http://ci.example.org"},
        {"audience": ""},
    ],
)
def test_settings_that_let_anybody_in_refused(changes):
    with pytest.raises(ValidationError):
        signed_source(**changes)
