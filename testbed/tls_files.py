"""Certificates for engines that are reached by TLS: an authority, what engines show, and what their clients show."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

TLS_PORT = 2376
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_tls_files(folder: Path, addresses: Iterable[str]) -> Path:
    """Make them for engines at addresses; returns the folder, for DOCKER_CERT_PATH."""
    folder.mkdir(parents=True)
    authority = ("-keyout", f"{folder}/ca-key.pem", "-out", f"{folder}/ca.pem", "-subj", "/CN=testbed", "-days", "30")
    _openssl("req", "-x509", *NEW_KEY, *authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    names = ",".join(["DNS:localhost", *(f"IP:{address}" for address in addresses)])
    _sign(folder, "server-cert", "server-key", f"subjectAltName={names}\nextendedKeyUsage=serverAuth")
    _sign(folder, "cert", "key", "extendedKeyUsage=clientAuth")
    return folder


def tls_flags(folder: Path, address: str) -> list[str]:
    """Return the flags by which a dockerd listens at an address, and lets in who shows a certificate."""
    return [
        *("--host", f"tcp://{address}:{TLS_PORT}", "--tlsverify"),
        *("--tlscacert", f"{folder}/ca.pem"),
        *("--tlscert", f"{folder}/server-cert.pem", "--tlskey", f"{folder}/server-key.pem"),
    ]


def _sign(folder: Path, certificate: str, key: str, extensions: str) -> None:
    request, more = folder / f"{certificate}.csr", folder / f"{certificate}.ext"
    more.write_text(f"{extensions}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash")
    _openssl("req", *NEW_KEY, "-keyout", f"{folder}/{key}.pem", "-out", str(request), "-subj", f"/CN={certificate}")
    by = ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem", "-CAcreateserial", "-days", "30")
    made = ("-in", str(request), "-out", f"{folder}/{certificate}.pem", "-extfile", str(more))
    _openssl("x509", "-req", *by, *made)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
