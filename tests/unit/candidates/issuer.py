"""Sign tokens as the CI of a forge does, with keys of one's own."""

import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ISSUER = "https://ci.example.org"
AUDIENCE = "https://roas.example.org"


class Issuer:
    """Hold one key at a time, and publish it; `rotate` replaces it."""

    def __init__(self, address: str = ISSUER) -> None:
        self.address = address
        self.is_away = False
        self.asked: list[str] = []
        self.number = 0
        self.rotate()

    def rotate(self) -> None:
        """Sign by another key from now on."""
        self.number += 1
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def key_id(self) -> str:
        return f"key-{self.number}"

    def documents(self) -> Mapping[str, Any]:
        """Return what is published, by address."""
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key())) | {"kid": self.key_id, "use": "sig"}
        shared = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}
        return {
            f"{self.address}/.well-known/openid-configuration": {"jwks_uri": f"{self.address}/jwks"},
            f"{self.address}/jwks": {"keys": [shared, {"kty": "odd"}, public]},
        }

    async def fetch_json(self, address: str) -> Any:
        """Answer as the issuer would."""
        self.asked.append(address)
        if self.is_away:
            raise OSError("no route to host")
        return self.documents()[address]

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return what a job of acme/shop says of itself; None leaves a claim out."""
        now = int(time.time())  # the clock of a token is the wall clock
        plain = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "repository": "acme/shop",
            "ref": "refs/heads/main",
            "environment": "prod",
            "workflow": "deploy",
        }
        return {name: value for name, value in (plain | changes).items() if value is not None}

    def token(self, *, key: Any = None, algorithm: str = "RS256", key_id: str | None = None, **changes: Any) -> str:
        """Return a token."""
        return jwt.encode(
            self.claims(**changes),
            self.key if key is None else key,
            algorithm=algorithm,
            headers={"kid": key_id or self.key_id},
        )
