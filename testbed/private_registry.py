"""A registry that asks for a password: Distribution, from Debian's package, which need not be installed."""

import base64
import ctypes
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from testbed.debian_packages import unpacked
from testbed.images import ImageError
from testbed.inherited import link_plugins
from testbed.ports import free_port
from testbed.sample import Behaviour, sample_image
from testbed.waiting import wait_until

PACKAGE = "docker-registry"
USER, PASSWORD = "dora", "a password of the registry's"
# Any salt will do: it hides nothing here.
SALT = "$2b$05$" + "a" * 21 + "e"
START_SECONDS = 20.0
CONFIGURATION = """
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "{host}:{port}"}}
auth: {{htpasswd: {{realm: testbed, path: {passwords}}}}}
"""
NOTIFICATIONS = """
notifications:
  endpoints:
    - name: roas
      url: "{url}"
      headers: {{Authorization: ["{authorization}"]}}
      timeout: 5s
      threshold: 3
      backoff: 1s
"""


@dataclass
class PrivateRegistry:
    """Say where it listens; engines take a registry on loopback without TLS, and elsewhere where they are told so."""

    address: str
    passwords: Path
    command: tuple[str, ...]
    password: str = PASSWORD
    process: subprocess.Popen[bytes] | None = None

    @property
    def login(self) -> dict[str, str]:
        """Return the credentials as the SDK takes them."""
        return {"username": USER, "password": self.password}

    def start(self) -> None:
        """Serve, with what was pushed before. Raises ImageError where it does not start."""
        path = self.passwords.with_name("log")
        with path.open("ab") as log:
            child = self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        host, _colon, port = self.address.rpartition(":")
        wait_until(lambda: _listens(host, int(port)) or child.poll() is not None, START_SECONDS)
        if child.poll() is not None or not _listens(host, int(port)):
            raise ImageError(f"The registry does not start: {path.read_text()[-500:]}")

    def stop(self) -> None:
        """Be away until the next start."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(START_SECONDS)

    def forget_tag(self, name: str, tag: str) -> None:
        """List a tag no longer, as a registry whose list is short does."""
        tags = self.passwords.with_name("data") / "docker/registry/v2/repositories" / name / "_manifests/tags"
        shutil.rmtree(tags / tag)

    def change_password(self, password: str) -> None:
        """Take another password from now on, and the one before no more."""
        self.password = password
        self.passwords.write_text(f"{USER}:{_bcrypt(password)}\n")

    def write_login(self, folder: Path) -> None:
        """Write the credentials as Docker's clients read them from a folder."""
        folder.mkdir(exist_ok=True)
        link_plugins(folder)
        login = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.address: {"auth": login}}}))

    def push_sample(self, client: docker.DockerClient, name: str, version: str, behaviour: Behaviour) -> None:
        """Make the sample app's image, push it, and remove it where it was made."""
        tag = f"{self.address}/{name}"
        sample_image(client, f"{tag}:{version}", version=version, behaviour=behaviour)
        said = client.api.push(tag, version, auth_config=self.login)
        client.images.remove(f"{tag}:{version}")
        if "error" in said:
            raise ImageError(f"The registry takes no {tag}:{version}: {said[-300:]}")


@contextmanager
def private_registry(
    folder: Path, *, host: str = "127.0.0.1", notify: tuple[str, str] | None = None
) -> Iterator[PrivateRegistry]:
    """Run a registry at an address of this machine for the time of the block.

    It tells `notify` of each push: an address, and what it sends there as Authorization. Raises PackageError where
    there is none to be had, ImageError where it does not start.
    """
    program = shutil.which(PACKAGE) or str(unpacked(PACKAGE, (PACKAGE,)) / "usr/bin" / PACKAGE)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(host)
    command = (program, "serve", str(folder / "config.yml"))
    found = PrivateRegistry(f"{host}:{port}", folder / "passwords", command)
    found.change_password(PASSWORD)
    text = CONFIGURATION.format(root=folder / "data", host=host, port=port, passwords=found.passwords)
    if notify is not None:
        text += NOTIFICATIONS.format(url=notify[0], authorization=notify[1])
    (folder / "config.yml").write_text(text)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def _bcrypt(password: str) -> str:
    """Return what htpasswd would write; the standard library's own is gone from Python 3.13 on."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return str(library.crypt(password.encode(), SALT.encode()).decode())


def _listens(host: str, port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex((host, port)) == 0
