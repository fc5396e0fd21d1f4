"""Serve git repositories over HTTP by the real `git http-backend`, and push to them as a person or a job would.

Large files are taken from the real `git lfs push`, and given, by the batch API of Git LFS.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from testbed.inherited import inherited

PERSON = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
PLAIN = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}


class GitServer:
    """Hold one bare repository, its address, and a working copy that pushes to it."""

    def __init__(self, folder: Path, name: str = "shop") -> None:
        self.bare, self.work = folder / "served" / f"{name}.git", folder / name
        self.large = folder / "large"
        self.url = ""
        self.is_away = False
        # What else it says of where large files are.
        self.action: Mapping[str, Any] = {}
        for place in (self.bare, self.work):
            place.mkdir(parents=True)
        self.large.mkdir(exist_ok=True)
        self.git("init", "-q", "--bare", "-b", "main", cwd=self.bare)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, cwd: Path | None = None, stdin: bytes | None = None) -> str:
        """Run git in the working copy, and return what it prints."""
        who = PERSON | {name.replace("AUTHOR", "COMMITTER"): value for name, value in PERSON.items()}
        environment = inherited() | {"HOME": str(self.work), **who, **PLAIN}
        done = subprocess.run(
            ("git", *arguments), cwd=cwd or self.work, env=environment, input=stdin, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | None], message: str = "Change it", *options: str) -> str:
        """Write files, None removes one, commit, and push; returns the commit."""
        for name, content in files.items():
            place = self.work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                place.unlink()
            else:
                place.write_text(content)
        self.git("add", "-A")
        self.git(*options, "commit", "-q", "--allow-empty", "-m", message)
        return self.push()

    def push(self) -> str:
        """Push what was committed, whatever was there; returns the commit."""
        self.git("push", "-q", "--force", str(self.bare), "HEAD:main")
        return self.git("rev-parse", "HEAD")


@asynccontextmanager
async def git_server(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[GitServer]:
    """Serve a new repository on a port of its own."""
    server = await asyncio.to_thread(GitServer, folder)

    async def answer(request: web.Request) -> web.StreamResponse:
        if server.is_away:
            return web.Response(status=503)
        return await _run_backend(server.bare.parent, request)

    async def point(request: web.Request) -> web.Response:
        asked = await request.json()
        found = [_pointed(server, asked["operation"], item) for item in asked["objects"]]
        answer = {"transfer": "basic", "objects": found}
        return web.json_response(
            answer, content_type="application/vnd.git-lfs+json", status=503 * server.is_away or 200
        )

    async def take(request: web.Request) -> web.Response:
        (server.large / request.match_info["oid"]).write_bytes(await request.read())
        return web.Response()

    async def give(request: web.Request) -> web.Response:
        return web.Response(body=(server.large / request.match_info["oid"]).read_bytes())

    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"/large/{request.match_info['oid']}"})

    application = web.Application(client_max_size=64 << 20)
    application.add_routes(
        [
            web.post("/{repository}/info/lfs/objects/batch", point),
            web.put("/large/{oid}", take),
            web.get("/large/{oid}", give),
            web.get("/moved/{oid}", moved),
            web.route("*", "/{path:.+}", answer),
        ]
    )
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        server.url = f"http://{host}:{runner.addresses[0][1]}/{server.bare.name}"
        yield server
    finally:
        await runner.cleanup()


def _pointed(server: GitServer, operation: str, item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say from where an object is downloaded, or where it is uploaded to."""
    oid = str(item["oid"])
    if operation == "download" and not (server.large / oid).exists():
        return {**item, "error": {"code": 404, "message": "There is no such object."}}
    root = server.url.removesuffix(f"/{server.bare.name}")
    return {**item, "actions": {operation: {"href": f"{root}/large/{oid}", **server.action}}}


async def _run_backend(root: Path, request: web.Request) -> web.Response:
    """Answer one request by the CGI program of git."""
    environment = {
        **inherited(),
        **PLAIN,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    body = await request.read()
    process = await asyncio.create_subprocess_exec(
        "git", "http-backend", env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _errors = await process.communicate(body)
    head, _blank, content = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=content)
