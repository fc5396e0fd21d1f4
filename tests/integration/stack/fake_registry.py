"""A registry on loopback that serves one image under any tag, and misbehaves when asked to."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class FakeRegistry:
    """Serve images made of one small layer each; `status` makes every answer a fault."""

    port: int = 0
    status: int | None = None
    asked: list[str] = field(default_factory=list)
    _blobs: dict[str, bytes] = field(default_factory=dict)
    _tags: dict[str, bytes] = field(default_factory=dict)

    def publish(self, tag: str, content: str) -> str:
        """Let a tag mean an image whose one file has this content, and return its digest."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            entry = tarfile.TarInfo("content")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
        layer = gzip.compress(raw.getvalue(), mtime=0)
        configuration = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/none"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(raw.getvalue())]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._described(configuration, "application/vnd.docker.container.image.v1+json"),
                "layers": [self._described(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
            }
        ).encode()
        self._tags[tag] = self._tags[_digest(manifest)] = manifest
        return _digest(manifest)

    def reference(self, tag: str) -> str:
        """Return how an engine names an image of this registry."""
        return f"127.0.0.1:{self.port}/app:{tag}"

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["FakeRegistry"]:
        """Listen on a free port of the loopback."""
        app = web.Application()
        app.router.add_route("GET", "/v2/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        yield self
        await runner.cleanup()

    def _described(self, blob: bytes, media_type: str) -> dict[str, object]:
        self._blobs[_digest(blob)] = blob
        return {"mediaType": media_type, "size": len(blob), "digest": _digest(blob)}

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.asked.append(path)
        if self.status is not None:
            return web.json_response({"errors": []}, status=self.status)
        kind, _, name = path.removeprefix("app/").partition("/")
        if kind == "manifests" and name in self._tags:
            manifest = self._tags[name]
            headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": _digest(manifest)}
            return web.Response(body=manifest, headers=headers)
        if kind == "blobs" and name in self._blobs:
            return web.Response(body=self._blobs[name], content_type="application/octet-stream")
        if not path:
            return web.json_response({})
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return web.json_response({"errors": [{"code": code, "message": "manifest unknown"}]}, status=404)
