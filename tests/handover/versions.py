"""Good versions of the bot, and some that are bad in one way each, made in a moment: only how they start differs."""

import io
import json
import tarfile

import docker

SICK = "/tmp/sick"
# Whatever asks is told that all is well; there is no bot behind it.
HOLLOW = """
import http.server
class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
print("hollow bot: all is well", flush=True)
http.server.HTTPServer(("0.0.0.0", 8000), Well).serve_forever()
"""
CHECK = f"""#!/bin/sh
[ ! -e {SICK} ] || {{ echo "I feel sick"; exit 1; }}
exec healthcheck.real
"""
BOT = "exec /usr/local/bin/entrypoint python -m bot"
STARTS = {
    "v1": BOT,
    "v2": BOT,
    "exits": 'echo "bad bot: cannot go on" >&2; exit 3',
    "loops": 'sleep 1; echo "bad bot: it broke after a while" >&2; exit 4',
    "deaf": f"DISCORD_GATEWAY_URL=ws://127.0.0.1:9 {BOT}",
    "refused": f"DISCORD_TOKEN=not.a.token {BOT}",
    "hollow": 'exec python -c "$HOLLOW"',
}


def make_version(client: docker.DockerClient, base: str, tag: str, start: str) -> str:
    """Make a version that starts in its own way, under a tag, and return its image's id."""
    container = client.containers.create(base, entrypoint=["/bin/true"])
    try:
        real = container.get_archive("/usr/local/bin/healthcheck")[0]
        container.put_archive("/usr/local/bin", _files(b"".join(real)))
        repository, _, version = tag.partition(":")
        entry = json.dumps(["/bin/sh", "-c", STARTS[start]])
        image = container.commit(repository, version, changes=[f"ENTRYPOINT {entry}", "CMD []"])
        if start == "hollow":
            image = _with_variable(client, image.id, tag, entry)
        return str(image.attrs["Id"])
    finally:
        container.remove(force=True)


def _with_variable(client: docker.DockerClient, image: str, tag: str, entry: str) -> "docker.models.images.Image":
    container = client.containers.create(image, environment={"HOLLOW": HOLLOW})
    repository, _, version = tag.partition(":")
    try:
        return container.commit(repository, version, changes=[f"ENTRYPOINT {entry}", "CMD []"])
    finally:
        container.remove(force=True)


def _files(real: bytes) -> bytes:
    """Put a health check that can be made to fail in front of the real one."""
    with tarfile.open(fileobj=io.BytesIO(real)) as archive:
        member = archive.extractfile("healthcheck")
        assert member is not None
        content = member.read()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (("healthcheck.real", content), ("healthcheck", CHECK.encode())):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
