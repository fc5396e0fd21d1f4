"""Sign images by the real cosign 3, of Debian's unstable suite: with keys, and as an issuer's certificate says."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from testbed.debian_packages import UNSTABLE, unpacked

ISSUER = "https://token.actions.githubusercontent.com"
# What Fulcio writes the issuer into: as it is, and as a text of ASN.1.
PLAIN_ISSUER, ISSUER_TEXT = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"
AUTHORITY = x509.Name(
    [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "testbed"), x509.NameAttribute(NameOID.COMMON_NAME, "testbed")]
)
OFFLINE = ("--use-signing-config=false", "--tlog-upload=false", "--yes")


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

    def sign(self, image: str, *, bundle: bool = True) -> None:
        """Sign an image by digest: with a bundle as an OCI referrer, or under a tag as before cosign 3."""
        form = () if bundle else ("--new-bundle-format=false",)
        self._run("sign", "--key", "cosign.key", *self.certificate, *OFFLINE, *form, image)

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
