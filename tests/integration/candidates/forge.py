"""A forge that takes statuses as GitHub, GitLab and Forgejo do, refuses what they refuse, and can be away.

Every request to GitHub is held against GitHub's published description: `github_rest.json` has what it says of these
routes (@octokit/openapi 23.0.2, MIT, without its prose).
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import jwt
from aiohttp import web

from testbed.ports import free_port

TOKEN = "a-token-of-the-forge"
GITHUB_STATUSES = {"pending", "success", "failure", "error"}
GITHUB_DEPLOYMENTS = {"queued", "in_progress", "pending", "success", "failure", "inactive", "error"}
GITLAB_STATUSES = {"pending", "running", "success", "failed", "canceled", "skipped"}
PUBLISHED = {
    re.sub(r"\{\w+\}", "{}", route): described
    for route, described in json.loads(Path(__file__).with_name("github_rest.json").read_text()).items()
}
GITHUB = "application/vnd.github+json"
SHA = re.compile(r"[0-9a-f]{40}")


class FakeForge:
    """Keep what it is told, by kind of forge; every request is held against what the real one takes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.is_away = False
        self.refused: dict[str, int] = {}  # with which status each commit is refused
        self.told: list[tuple[str, ...]] = []
        self.links: set[str] = set()
        self.deployments: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.app_key: Any = None  # by which the signature of an App is checked
        self.tokens_made = 0
        self.history: dict[str, str] = {}  # what each commit says, the oldest first

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _check(self, request: web.Request, body: dict[str, Any], states: set[str], *keys: str) -> None:
        sent = request.headers.get("Authorization", request.headers.get("PRIVATE-TOKEN", ""))
        if sent.rpartition(" ")[2] != TOKEN:
            self.wrong.append(f"token {sent}")
        if body["state"] not in states or len(body["description"]) > 140 or set(body) - {*keys, "state", "description"}:
            self.wrong.append(str(body))
        self.links |= {body[key] for key in ("log_url", "target_url") if key in body}
        if SHA.fullmatch(request.match_info.get("sha", "0" * 40)) is None:
            self.wrong.append(request.path)

    def _refuses(self, sha: str) -> int:
        return 503 if self.is_away else self.refused.get(sha, 0)

    async def commit(self, request: web.Request) -> web.Response:
        body = await request.json()
        if status := self._refuses(request.match_info["sha"]):
            return web.Response(status=status)
        self._check(request, body, GITHUB_STATUSES | {"warning"}, "context", "target_url")
        self.told.append(("commit", request.match_info["sha"][:4], body["context"], body["state"]))
        return web.json_response({"id": 1}, status=201)

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if status := self._refuses(body["ref"]):
            return web.Response(status=status)
        self.deployments.append({**body, "id": len(self.deployments) + 1})
        return web.json_response(self.deployments[-1], status=201)

    async def known(self, request: web.Request) -> web.Response:
        if self.is_away:
            return web.Response(status=503)
        wanted = (request.query["sha"], request.query["environment"])
        return web.json_response(
            [deployment for deployment in self.deployments if (deployment["ref"], deployment["environment"]) == wanted]
        )

    async def deployment(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._check(request, body, GITHUB_DEPLOYMENTS, "log_url", "auto_inactive", "environment")
        self.told.append(("deployment", request.match_info["id"], body["environment"], body["state"]))
        return web.json_response({"id": 1}, status=201)

    async def gitlab(self, request: web.Request) -> web.Response:
        body = await request.json()
        if status := self._refuses(request.match_info["sha"]):
            return web.Response(status=status)
        self._check(request, body, GITLAB_STATUSES, "name", "target_url")
        self.told.append(("gitlab", request.match_info["project"], body["name"], body["state"]))
        return web.json_response({"id": 1}, status=201)

    async def installation(self, request: web.Request) -> web.Response:
        """Know the App by its signature alone."""
        if not self._is_app(request):
            return web.Response(status=401)
        return web.json_response({"id": 42})

    async def access_token(self, request: web.Request) -> web.Response:
        if not self._is_app(request) or request.match_info["id"] != "42":
            return web.Response(status=401)
        self.tokens_made += 1
        return web.json_response({"token": TOKEN, "expires_at": "2030-01-01T00:00:00Z"}, status=201)

    def _is_app(self, request: web.Request) -> bool:
        signed = request.headers["Authorization"].removeprefix("Bearer ")
        options = {"require": ["iss", "iat", "exp"]}
        try:
            return jwt.decode(signed, self.app_key, algorithms=["RS256"], issuer="7", options=options)["iss"] == "7"
        except jwt.PyJWTError:
            return False

    async def compare(self, request: web.Request) -> web.Response:
        before, after = request.match_info["range"].split("...")
        if self.is_away or not {before, after} <= self.history.keys():
            return web.Response(status=503 if self.is_away else 404)
        names = list(self.history)
        between = names[names.index(before) + 1 : names.index(after) + 1]
        commits = [self._document(sha) for sha in between]
        return web.json_response({"html_url": "https://forge.example.org/compare", "commits": commits})

    async def one(self, request: web.Request) -> web.Response:
        sha = request.match_info["sha"]
        if self.is_away or sha not in self.history:
            return web.Response(status=503 if self.is_away else 404)
        return web.json_response(self._document(sha) | {"html_url": "https://forge.example.org/commit"})

    def _document(self, sha: str) -> dict[str, Any]:
        return {"sha": sha, "commit": {"message": f"{self.history[sha]}\n\nbody", "author": {"name": "Ada"}}}

    @web.middleware
    async def hold_against_description(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Note what GitHub's description does not have: a route, a parameter, a key or a value."""
        resource = request.match_info.route.resource
        if request.headers.get("Accept") != GITHUB or resource is None:
            return await handler(request)
        route = f"{request.method} {re.sub(r'{[^}]+}', '{}', resource.canonical)}"
        described = PUBLISHED.get(route)
        if described is None:
            self.wrong.append(f"no such route: {route}")
            return await handler(request)
        known = {parameter["name"]: parameter for parameter in described["parameters"] if parameter["in"] == "query"}
        self.wrong += [f"{route}?{name}" for name in request.query if name not in known]
        if (schema := described.get("body")) is not None:
            body = await request.json()
            errors = jsonschema.Draft202012Validator(schema).iter_errors(body)
            self.wrong += [f"{route}: {error.message}" for error in errors]
            self.wrong += [f"{route}: {key}" for key in body if key not in schema["properties"]]
        return await handler(request)

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.hold_against_description])
        application.add_routes(
            [
                web.get("/repos/{owner}/{name}/installation", self.installation),
                web.post("/app/installations/{id}/access_tokens", self.access_token),
                web.post("/repos/{owner}/{name}/statuses/{sha}", self.commit),
                web.post("/repos/{owner}/{name}/deployments", self.create),
                web.get("/repos/{owner}/{name}/deployments", self.known),
                web.post("/repos/{owner}/{name}/deployments/{id}/statuses", self.deployment),
                web.get("/repos/{owner}/{name}/compare/{range}", self.compare),
                web.get("/repos/{owner}/{name}/commits/{sha}", self.one),
                web.post("/projects/{project}/statuses/{sha}", self.gitlab),
            ]
        )
        return application


@asynccontextmanager
async def fake_forge() -> AsyncIterator[FakeForge]:
    """Serve one; what was wrong with a request fails the test."""
    forge = FakeForge()
    runner = web.AppRunner(forge.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", forge.port).start()
    try:
        yield forge
    finally:
        await runner.cleanup()
    assert forge.wrong == []
