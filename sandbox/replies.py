"""Answers in the exact shape that discord.py expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON, or with 204 where there is nothing to say."""
    if body is None:
        return web.Response(status=204, headers=headers)
    # discord.py parses only what is declared as exactly this, without a charset.
    data = json.dumps(body).encode()
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")
