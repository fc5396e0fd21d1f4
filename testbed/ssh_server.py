"""Run a real OpenSSH server that takes one key: to read a git repository, or to forward what listens here."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.debian_packages import unpacked
from testbed.ports import free_port
from testbed.waiting import wait_until

PACKAGES = ("openssh-server", "libwrap0", "libwtmpdb0")
PROGRAMS = "usr/lib/openssh"
START_SECONDS = 20.0
SSH_PORT = 22
CONFIGURATION = """
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys /run/authorized_keys
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 10
LogLevel VERBOSE
"""
ANSWER = """
case "$SSH_ORIGINAL_COMMAND" in
    "git-lfs-authenticate {repository} download") echo '{{"href": "{lfs}", "header": {{"Authorization": "of ssh"}}}}' ;;
    *) exec git-upload-pack {repository} ;;
esac
"""
# May log in with the same key as root, and may not use Docker.
STRANGER = "stranger"
# The server wants a user of its own and an empty folder: it gets both where nobody else sees them. Engines of tests
# have their sockets below /run.
START = """
cp /etc/passwd {folder}/passwd
grep -q ^sshd: {folder}/passwd || echo sshd:x:74:65534::/run/sshd:/usr/sbin/nologin >>{folder}/passwd
echo {stranger}:x:4999:4999::/:/bin/sh >>{folder}/passwd
mount --bind {folder}/passwd /etc/passwd
mount --bind {root}/{programs} /{programs}
mkdir -p {folder}/run
mount --rbind /run {folder}/run
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
cp {folder}/authorized_keys /run
if [ -d {folder}/run/roas-testbed ]; then
    mkdir /run/roas-testbed
    mount --rbind {folder}/run/roas-testbed /run/roas-testbed
fi
[ -z "{engine_socket}" ] || ln -s {engine_socket} /run/docker.sock
exec env LD_LIBRARY_PATH="$(echo {root}/usr/lib/*-linux-gnu)" {root}/usr/sbin/sshd -D -e -f {folder}/sshd_config
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Say where a server listens, in a network namespace perhaps, and which socket is Docker's own there."""

    address: str = "127.0.0.1"
    namespace: str = ""
    engine_socket: Path | None = None

    def port(self) -> int:
        """Return the usual port, where nobody else is, else a free one."""
        return SSH_PORT if self.namespace else free_port()

    def command(self, script: str) -> list[str]:
        """Return what runs a script there, which sees mounts of its own."""
        entered = ["nsenter", f"--net=/run/netns/{self.namespace}", "--"] if self.namespace else []
        return [*entered, "unshare", "--mount", "sh", "-e", "-c", script]


@dataclass(frozen=True, slots=True)
class SshServer:
    """Say where a server is, which key it takes, and which line of `known_hosts` is its own; its log is a file."""

    url: str
    key: Path
    known_hosts: str
    log: Path
    process: int

    @property
    def logins(self) -> int:
        """Return how often somebody was let in."""
        return self.log.read_text().count("Accepted publickey")

    @property
    def connections(self) -> int:
        """Return how often somebody connected, let in or not."""
        lines = self.log.read_text().splitlines()
        return sum(line.startswith(("Connection from", "drop connection")) for line in lines)

    @property
    def dropped(self) -> int:
        """Return how many connections were dropped, since too many others had yet to log in."""
        return self.log.read_text().count("past MaxStartups")

    def processes(self) -> list[int]:
        """Return the server's process, and those that serve connections."""
        return [self.process, *self.sessions()]

    def sessions(self) -> list[int]:
        """Return the processes that serve connections: each begins another one, and lives on without its parent."""
        return _below(self.process)


def _below(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return []
    return [descendant for child in map(int, children) for descendant in (child, *_below(child))]


def make_key(path: Path) -> Path:
    """Make a key pair where there is none yet, and return the private key's file."""
    if path.exists():
        return path
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@contextmanager
def repository_server(folder: Path, repository: Path, lfs: str = "") -> Iterator[SshServer]:
    """Serve a repository for the time of a block, with its large files at `lfs`. Raises PackageError without sshd."""
    with ssh_server(folder, f'restrict,command="sh {folder}/answer"') as server:
        (folder / "answer").write_text(ANSWER.format(repository=repository, lfs=lfs))
        yield replace(server, url=f"{server.url}{repository}")


@contextmanager
def ssh_server(
    folder: Path, restriction: str, place: Place | None = None, key: Path | None = None
) -> Iterator[SshServer]:
    """Run a server for the time of a block, which lets a key do what its restriction says. Raises PackageError.

    It is on this machine, with a key that is made, unless something else is said. A server that is run again from its
    folder has the host key, and goes on with the log, of the one before.
    """
    root, place = unpacked("openssh-server", PACKAGES), place or Place()
    folder.mkdir(exist_ok=True)
    host_key, key, port = make_key(folder / "host_key"), key or make_key(folder / "deploy_key"), place.port()
    public = key.with_suffix(".pub").read_text()
    (folder / "authorized_keys").write_text(f"{restriction} {public}")
    configuration = CONFIGURATION.format(address=place.address, port=port, folder=folder)
    (folder / "sshd_config").write_text(configuration)
    script = START.format(
        folder=folder, root=root, programs=PROGRAMS, engine_socket=place.engine_socket or "", stranger=STRANGER
    )
    log = folder / "log"
    with log.open("ab") as output:
        before = output.tell()
        child = subprocess.Popen(place.command(script), stdout=output, stderr=output)
    try:
        wait_until(lambda: b"listening" in log.read_bytes()[before:] or child.poll() is not None, START_SECONDS)
        if child.poll() is not None:
            raise RuntimeError(f"The SSH server does not start: {log.read_text()[-500:]}")
        host = place.address if port == SSH_PORT else f"[{place.address}]:{port}"
        known = f"{host} {host_key.with_suffix('.pub').read_text()}"
        suffix = "" if port == SSH_PORT else f":{port}"
        yield SshServer(f"ssh://root@{place.address}{suffix}", key, known, log, child.pid)
    finally:
        child.terminate()
        child.wait(START_SECONDS)
