"""Sign images by the real cosign 3, of Debian's unstable suite: with keys, and as an issuer's certificate says."""

import base64
import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.debian_packages import UNSTABLE, unpacked

ISSUER = "https://token.actions.githubusercontent.com"
# What Fulcio writes the issuer into: as it is, and as a text of ASN.1.
PLAIN_ISSUER, ISSUER_TEXT = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"
AUTHORITY = x509.Name(
    [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "testbed"), x509.NameAttribute(NameOID.COMMON_NAME, "testbed")]
)
OURSELVES = ("--use-signing-config=false", "--yes")
OFFLINE = (*OURSELVES, "--tlog-upload=false")
LOG_NAME = "log.example.org"


def cosign_folder() -> Path:
    """Return the folder that cosign is in. Raises PackageError where it cannot be had."""
    return unpacked("cosign", ("cosign",), suite=UNSTABLE) / "usr" / "bin"


@dataclass
class Signer:
    """Sign with one key, or with a certificate for it; `login` is the folder of Docker's configuration."""

    folder: Path
    login: Path
    certificate: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the key, unless it was imported."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "cosign.key").exists():
            self._run("generate-key-pair")

    @property
    def public(self) -> Path:
        """Return the file of the public key."""
        return self.folder / "cosign.pub"

    def sign(self, image: str, *, bundle: bool = True, log: "TransparencyLog | None" = None) -> None:
        """Sign an image by digest: with a bundle as an OCI referrer, or under a tag as before cosign 3."""
        form = () if bundle else ("--new-bundle-format=false",)
        where = OFFLINE if log is None else (*OURSELVES, "--rekor-url", log.url, "--trusted-root", str(log.root))
        self._run("sign", "--key", "cosign.key", *self.certificate, *where, *form, image)

    def attest(self, image: str, predicate: Mapping[str, object], kind: str = "slsaprovenance1") -> None:
        """Say by a signed attestation how an image was built."""
        (self.folder / "predicate.json").write_text(json.dumps(predicate))
        options = ("--type", kind, "--predicate", "predicate.json")
        self._run("attest", "--key", "cosign.key", *options, *OFFLINE, image)

    def _run(self, *arguments: str) -> None:
        environment = os.environ | {"COSIGN_PASSWORD": "", "DOCKER_CONFIG": str(self.login), "HOME": str(self.folder)}
        command = [str(cosign_folder() / "cosign"), *arguments]
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True)


class Authority:
    """Issue certificates for identities, as Fulcio does, and the root that trusts them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._key = folder, generate_private_key(SECP256R1())
        usage = _usage(signs_certificates=True)
        own = _certificate(AUTHORITY, self._key).add_extension(usage, critical=True)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        own = own.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        (folder / "ca.pem").write_bytes(own.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        authority = f"url=https://fulcio.example.org,certificate-chain={folder}/ca.pem"
        self.root = folder / "root.json"
        command = [str(cosign_folder() / "cosign"), "trusted-root", "create", "--fulcio", authority]
        subprocess.run([*command, "--out", str(self.root)], check=True, capture_output=True)

    def signer(self, login: Path, subject: str) -> Signer:
        """Return somebody who signs as `subject`, without a key that anybody knows."""
        place, key = self._folder / "leaf", generate_private_key(SECP256R1())
        place.mkdir()
        issuer = bytes([0x0C, len(ISSUER)]) + ISSUER.encode()
        made = _certificate(x509.Name([]), key).add_extension(_usage(signs_certificates=False), critical=True)
        for extension in (
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            x509.UnrecognizedExtension(x509.ObjectIdentifier(PLAIN_ISSUER), ISSUER.encode()),
            x509.UnrecognizedExtension(x509.ObjectIdentifier(ISSUER_TEXT), issuer),
        ):
            made = made.add_extension(extension, critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]), critical=True)
        (place / "leaf.pem").write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        (place / "leaf.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        importing = [str(cosign_folder() / "cosign"), "import-key-pair", "--key", "leaf.key", "-o", "cosign", "--yes"]
        environment = os.environ | {"COSIGN_PASSWORD": ""}
        subprocess.run(importing, cwd=place, env=environment, check=True, capture_output=True)
        chain = ("--certificate", str(place / "leaf.pem"), "--certificate-chain", str(self._folder / "ca.pem"))
        return Signer(place, login, chain)


@dataclass(frozen=True)
class TransparencyLog:
    """Say where a log of signatures is, and the root that trusts it."""

    url: str
    root: Path


@contextmanager
def transparency_log(folder: Path) -> Iterator[TransparencyLog]:
    """Keep a log as Rekor does, with a key of its own: each entry stands in a tree of one leaf."""
    folder.mkdir()
    key = generate_private_key(SECP256R1())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            proposed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            entry = _logged(proposed, key)
            (number,), answer = entry, json.dumps(entry).encode()
            self.send_response(201)
            for name, value in (("Content-Type", "application/json"), ("ETag", number)):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "log.pub").write_bytes(public)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log = TransparencyLog(f"http://127.0.0.1:{server.server_address[1]}", folder / "root.json")
        described = f"url={log.url},public-key={folder}/log.pub,start-time=2024-01-01T00:00:00Z,origin={LOG_NAME}"
        command = [str(cosign_folder() / "cosign"), "trusted-root", "create", "--rekor", described]
        subprocess.run([*command, "--out", str(log.root)], check=True, capture_output=True)
        yield log
        server.shutdown()


def _logged(proposed: Any, key: EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the entry of a signature, with the log's promise and its proof, by the entry's number."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    own_id, body = hashlib.sha256(public).digest(), _canonical(_kept(proposed))
    leaf = hashlib.sha256(b"\0" + body).digest()
    entry = {
        "body": _text(body),
        "integratedTime": int(time.time()),  # what is signed is the wall clock
        "logID": own_id.hex(),
        "logIndex": 0,
    }
    note = f"{LOG_NAME} - 1\n1\n{_text(leaf)}\n"  # its name, the number of its tree, the size, the root
    checkpoint = f"{note}\n\N{EM DASH} {LOG_NAME} {_text(own_id[:4] + _signature(key, note.encode()))}\n"
    proof = {"checkpoint": checkpoint, "hashes": [], "logIndex": 0, "rootHash": leaf.hex(), "treeSize": 1}
    promise = _text(_signature(key, _canonical(entry)))
    return {
        f"{1:016x}{leaf.hex()}": entry | {"verification": {"inclusionProof": proof, "signedEntryTimestamp": promise}}
    }


def _kept(proposed: Any) -> Any:
    """Return what a log keeps of what is sent: of an envelope only its hashes and who signed it."""
    if proposed["kind"] != "dsse":
        return proposed
    content = proposed["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    signed = zip(envelope["signatures"], content["verifiers"], strict=True)
    hashes = {"envelopeHash": content["envelope"].encode(), "payloadHash": base64.b64decode(envelope["payload"])}
    spec: dict[str, Any] = {
        name: {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()} for name, data in hashes.items()
    }
    spec["signatures"] = [{"signature": one["sig"], "verifier": verifier} for one, verifier in signed]
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _signature(key: EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ECDSA(SHA256()))


def _certificate(subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(AUTHORITY)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
