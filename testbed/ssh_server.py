"""Run a real OpenSSH server that takes one key: to read a git repository, or to forward what listens here."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.debian_packages import unpacked
from testbed.redis_server import free_port
from testbed.waiting import wait_until

PACKAGES = ("openssh-server", "libwrap0", "libwtmpdb0")
PROGRAMS = "usr/lib/openssh"
START_SECONDS = 20.0
CONFIGURATION = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
"""
ANSWER = """
case "$SSH_ORIGINAL_COMMAND" in
    "git-lfs-authenticate {repository} download") echo '{{"href": "{lfs}", "header": {{"Authorization": "of ssh"}}}}' ;;
    *) exec git-upload-pack {repository} ;;
esac
"""
# The server wants a user of its own and an empty folder: it gets both where nobody else sees them. Engines of tests
# have their sockets below /run.
START = """
cp /etc/passwd {folder}/passwd
grep -q ^sshd: {folder}/passwd || echo sshd:x:74:65534::/run/sshd:/usr/sbin/nologin >>{folder}/passwd
mount --bind {folder}/passwd /etc/passwd
mount --bind {root}/{programs} /{programs}
mkdir {folder}/run
mount --rbind /run {folder}/run
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd
if [ -d {folder}/run/roas-testbed ]; then
    mkdir /run/roas-testbed
    mount --rbind {folder}/run/roas-testbed /run/roas-testbed
fi
exec env LD_LIBRARY_PATH="$(echo {root}/usr/lib/*-linux-gnu)" {root}/usr/sbin/sshd -D -e -f {folder}/sshd_config
"""


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

    def sessions(self) -> list[int]:
        """Return the processes that serve connections: each begins another one, and lives on without its parent."""
        return _below(self.process)


def _below(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [descendant for child in map(int, children) for descendant in (child, *_below(child))]


def make_key(path: Path) -> Path:
    """Make a key pair, and return the private key's file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@contextmanager
def repository_server(folder: Path, repository: Path, lfs: str = "") -> Iterator[SshServer]:
    """Serve a repository for the time of a block, with its large files at `lfs`. Raises PackageError without sshd."""
    with ssh_server(folder, f'restrict,command="sh {folder}/answer"') as server:
        (folder / "answer").write_text(ANSWER.format(repository=repository, lfs=lfs))
        yield replace(server, url=f"{server.url}{repository}")


@contextmanager
def ssh_server(folder: Path, restriction: str) -> Iterator[SshServer]:
    """Run a server for the time of a block, which lets a key do what its restriction says. Raises PackageError."""
    root = unpacked("openssh-server", PACKAGES)
    folder.mkdir()
    host_key, key, port = make_key(folder / "host_key"), make_key(folder / "deploy_key"), free_port()
    public = key.with_suffix(".pub").read_text()
    (folder / "authorized_keys").write_text(f"{restriction} {public}")
    (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, folder=folder))
    script = START.format(folder=folder, root=root, programs=PROGRAMS)
    log = folder / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(["unshare", "--mount", "sh", "-e", "-c", script], stdout=output, stderr=output)
    try:
        wait_until(lambda: "listening" in log.read_text() or child.poll() is not None, START_SECONDS)
        if child.poll() is not None:
            raise RuntimeError(f"The SSH server does not start: {log.read_text()[-500:]}")
        known = f"[127.0.0.1]:{port} {host_key.with_suffix('.pub').read_text()}"
        yield SshServer(f"ssh://root@127.0.0.1:{port}", key, known, log, child.pid)
    finally:
        child.terminate()
        child.wait(START_SECONDS)
