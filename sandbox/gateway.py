"""The WebSocket gateway: HELLO, IDENTIFY, RESUME, heartbeats and the events in between."""

from __future__ import annotations

import asyncio
import hmac
import json
import zlib
from typing import Any

import discord
from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.sessions import Close, Outgoing, Session, Sessions
from sandbox.simcord_bridge import Bridge

HEARTBEAT, IDENTIFY, PRESENCE, VOICE_STATE, RESUME, REQUEST_MEMBERS = 1, 2, 3, 4, 6, 8
INVALID_SESSION, HELLO, HEARTBEAT_ACK, SOUNDBOARD = 9, 10, 11, 31
HEARTBEAT_SECONDS = 41.25
# As far away as Discord is. discord.py notes when it sent a heartbeat only after that: an answer that is there before
# counts from the heartbeat before, and is warned about as 41 seconds late.
ACK_SECONDS = 0.02
PRIVILEGED = discord.Intents(members=True, presences=True, message_content=True).value
CHUNK_SIZE = 1000
MESSAGE_LIMIT = 16 * 1024
GOING_AWAY = 4000  # Clients come back after it, and try to resume.
CLOSE_SECONDS = 2.0  # How long a client may take to answer a close.


class Gateway:
    """Accepts connections and owns each for as long as it lasts."""

    def __init__(self, bridge: Bridge, sessions: Sessions, token: str, url: str, *, privileged: bool) -> None:
        self._bridge = bridge
        self._sessions = sessions
        self._token = token
        self._url = url
        self._privileged = privileged
        self._sockets: set[web.WebSocketResponse] = set()
        self._away = False

    def be_away(self, *, away: bool) -> None:
        """Refuse every connection from now on, or no more; those that are open are lost."""
        self._away = away
        if away:
            self._sessions.cut(GOING_AWAY, resumable=True)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one gateway connection until either side closes it."""
        if self._away:
            raise web.HTTPServiceUnavailable(headers={"Via": "1.1 sandbox"})
        socket = web.WebSocketResponse(max_msg_size=MESSAGE_LIMIT, timeout=CLOSE_SECONDS)
        await socket.prepare(request)
        connection = _Connection(self, socket, compressed=request.query.get("compress") == "zlib-stream")
        self._sockets.add(socket)
        try:
            await connection.run()
        finally:
            self._sockets.discard(socket)
        return socket

    async def close(self) -> None:
        """Close every connection, so that their handlers end."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    def valid_token(self, token: object) -> bool:
        """Compare a token with the bot's, in constant time."""
        return hmac.compare_digest(str(token).encode(), self._token.encode())

    def identify(self, data: dict[str, Any], outgoing: asyncio.Queue[Outgoing]) -> Session | Close:
        """Begin a session, or say with which code Discord would refuse it."""
        if not self.valid_token(data.get("token")):
            return Close(4004, "Authentication failed.")
        intents = data.get("intents")
        if not isinstance(intents, int) or intents < 0 or intents & ~discord.Intents.all().value:
            return Close(4013, "Invalid intent(s).")
        if intents & PRIVILEGED and not self._privileged:
            return Close(4014, "Disallowed intent(s).")
        shard = data.get("shard", [0, 1])
        if shard != [0, 1]:
            return Close(4010, "Invalid shard.")
        session = self._sessions.open(intents, outgoing)
        self._greet(session)
        return session

    def _greet(self, session: Session) -> None:
        guilds = self._bridge.guild_ids()
        ready = {
            "v": 10,
            "user": self._bridge.bot_user(),
            "guilds": [{"id": str(guild_id), "unavailable": True} for guild_id in guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self._url,
            "shard": [0, 1],
            "application": {"id": str(self._bridge.application_id), "flags": 0},
            "private_channels": [],
            "relationships": [],
            "presences": [],
            "user_settings": {},
        }
        session.dispatch("READY", ready)
        for guild_id in guilds:
            payload = self._bridge.shape_event("GUILD_CREATE", self._bridge.guild_create(guild_id), session.intents)
            if payload is not None:
                session.dispatch("GUILD_CREATE", payload)

    def resume(self, data: dict[str, Any], outgoing: asyncio.Queue[Outgoing]) -> Session | Close | None:
        """Continue a session; None makes the client identify again."""
        if not self.valid_token(data.get("token")):
            return Close(4004, "Authentication failed.")
        sequence = data.get("seq")
        if not isinstance(sequence, int):
            return Close(4007, "Invalid seq.")
        return self._sessions.resume(str(data.get("session_id")), sequence, outgoing)

    def lose(self, session: Session, outgoing: asyncio.Queue[Outgoing], code: int | None) -> None:
        """Keep the session for a RESUME, unless the client ended it itself by 1000 or 1001."""
        self._sessions.lose(session, outgoing, resumable=code not in (1000, 1001))

    def member_chunks(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the GUILD_MEMBERS_CHUNK payloads that answer a REQUEST_GUILD_MEMBERS."""
        ids = data.get("user_ids") or []
        wanted = [int(identifier) for identifier in (ids if isinstance(ids, list) else [ids])]
        guild_id = int(data["guild_id"])
        query, limit = str(data.get("query") or ""), int(data.get("limit") or 0)
        members = self._bridge.members(guild_id, query=query, user_ids=wanted, limit=limit)
        chunks = [members[start : start + CHUNK_SIZE] for start in range(0, len(members), CHUNK_SIZE)] or [[]]
        common = {"guild_id": str(guild_id), "chunk_count": len(chunks), "nonce": data.get("nonce")}
        return [{**common, "chunk_index": index, "members": chunk} for index, chunk in enumerate(chunks)]


class _Connection:
    """One WebSocket: a reader that is the handler itself, and a writer task that keeps the order."""

    def __init__(self, gateway: Gateway, socket: web.WebSocketResponse, *, compressed: bool) -> None:
        self._gateway = gateway
        self._socket = socket
        self._outgoing: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._session: Session | None = None
        self._ended_here = False
        self._deflate = zlib.compressobj() if compressed else None

    async def run(self) -> None:
        """Talk until the connection ends."""
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            try:
                self._send(HELLO, {"heartbeat_interval": int(HEARTBEAT_SECONDS * 1000), "_trace": ["sandbox"]})
                code = await self._read()
            finally:
                writer.cancel()
        if self._session is not None:
            self._gateway.lose(self._session, self._outgoing, code)

    def _send(self, op: int, data: Any = None) -> None:
        self._outgoing.put_nowait(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def _write(self) -> None:
        while True:
            item = await self._outgoing.get()
            try:
                if isinstance(item, Close):
                    self._ended_here = True
                    await self._socket.close(code=item.code, message=item.reason.encode())
                    return
                await self._write_text(item)
            except ConnectionError:
                return  # The reader sees the end too, and says what becomes of the session.

    async def _write_text(self, text: str) -> None:
        if self._deflate is None:
            await self._socket.send_str(text)
            return
        data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._socket.send_bytes(data)

    async def _read(self) -> int | None:
        """Handle frames and return the code that the client closed with, None where it did not close itself."""
        while True:
            try:
                message = await self._socket.receive(timeout=HEARTBEAT_SECONDS * 1.5)
            except TimeoutError:
                await self._socket.close(code=4009, message=b"Session timed out.")
                return None
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                # Not `close_code`: aiohttp reports 1000 there for a broken connection, too.
                return message.data if message.type is WSMsgType.CLOSE and not self._ended_here else None
            self._frame(message.data)

    def _frame(self, raw: str | bytes) -> None:
        try:
            frame = json.loads(raw)
            op, data = int(frame["op"]), frame.get("d")
        except (ValueError, KeyError, TypeError, AttributeError):
            self._outgoing.put_nowait(Close(4002, "Decode error."))
            return
        if op == HEARTBEAT:
            asyncio.get_running_loop().call_later(ACK_SECONDS, self._send, HEARTBEAT_ACK)
        elif op in (IDENTIFY, RESUME):
            self._authenticate(op, data if isinstance(data, dict) else {})
        elif self._session is None:
            self._outgoing.put_nowait(Close(4003, "Not authenticated."))
        elif op == REQUEST_MEMBERS:
            for chunk in self._gateway.member_chunks(data):
                self._session.dispatch("GUILD_MEMBERS_CHUNK", chunk)
        elif op not in (PRESENCE, VOICE_STATE, SOUNDBOARD):
            self._outgoing.put_nowait(Close(4001, "Unknown opcode."))

    def _authenticate(self, op: int, data: dict[str, Any]) -> None:
        if self._session is not None:
            self._outgoing.put_nowait(Close(4005, "Already authenticated."))
            return
        begin = self._gateway.identify if op == IDENTIFY else self._gateway.resume
        result = begin(data, self._outgoing)
        if isinstance(result, Session):
            self._session = result
        elif isinstance(result, Close):
            self._outgoing.put_nowait(result)
        else:
            self._send(INVALID_SESSION, False)
