"""A static busybox: this machine's own, else that of Debian's package, else that of a registry's image."""

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import docker

from testbed.cache import cached
from testbed.images import ImageError, pull_if_reachable
from testbed.rootfs import is_static

REGISTRY_IMAGE = "busybox:musl"
PACKAGE = "busybox-static"
DOWNLOAD_SECONDS = 120


def busybox(client: docker.DockerClient) -> Path:
    """Return a static busybox, for images that are made from nothing."""
    installed = shutil.which("busybox")
    if installed and is_static(Path(installed)):
        return Path(installed)
    return cached("busybox", lambda out: _fetch(client, out))


def _fetch(client: docker.DockerClient, out: Path) -> None:
    if not (_from_package(out) or _from_registry(client, out)):
        raise ImageError(
            "A static busybox is needed to make small images: install it (apt-get install busybox-static), "
            f"or let this engine reach a registry that has {REGISTRY_IMAGE}."
        )
    out.chmod(0o755)


def _from_package(out: Path) -> bool:
    """Extract it from Debian's package, which need not be installed for that."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", "download", PACKAGE]
        subprocess.run(download, cwd=folder, capture_output=True, check=False, timeout=DOWNLOAD_SECONDS)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True, timeout=DOWNLOAD_SECONDS)
            found = [path for path in Path(folder).rglob("busybox") if path.is_file()]
            shutil.copyfile(found[0], out)
            return True
    return False


def _from_registry(client: docker.DockerClient, out: Path) -> bool:
    if not pull_if_reachable(client, REGISTRY_IMAGE):
        return False
    container = client.containers.create(REGISTRY_IMAGE)
    try:
        chunks, _ = container.get_archive("/bin/busybox")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            file = archive.extractfile("busybox")
            out.write_bytes(file.read() if file else b"")
        return True
    finally:
        container.remove()
