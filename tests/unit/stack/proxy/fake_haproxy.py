"""A HAProxy of dictionaries behind a real unix socket; it answers as version 3.0 does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

STATE_HEAD = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port"
)


@dataclass
class FakeServer:
    address: str = ""
    drained: bool = False
    by_hand: bool = False
    check: str = "L7OK"
    failed_once: bool = False
    sessions: int = 0
    weight: int = 1
    answered: int = 0
    errors: int = 0
    broken: int = 0
    answer_ms: int = 0


@dataclass
class FakeHAProxy:
    backends: dict[str, dict[str, FakeServer]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    looks: int = 0
    level: str = "admin"
    mode: str = "http"
    pid: int = 1
    started_at: int = 1_796_000_000
    breaks_off: int | None = None
    starts_before: str = ""
    hangs: bool = False
    resolvers: str = "Resolvers section default\n nameserver dns:\nResolvers section docker\n"

    def restart(self) -> None:
        for servers in self.backends.values():
            for server in servers.values():
                server.drained = False

    def drained(self) -> set[str]:
        return {name for servers in self.backends.values() for name, server in servers.items() if server.drained}

    def answer(self, command: str) -> str:
        if self.starts_before and command.startswith(self.starts_before):
            self.started_at, self.starts_before = self.started_at + 60, ""
        match command.split():
            case ["show", "servers", "state", backend] if backend in self.backends:
                self.looks += 1
                lines = [self._state(backend, name, one) for name, one in self.backends[backend].items()]
                return "\n".join(["1", STATE_HEAD, *lines, "", ""])
            case ["show", "servers", "state"]:
                every = [(backend, *item) for backend, servers in self.backends.items() for item in servers.items()]
                return "\n".join(["1", STATE_HEAD, *(self._state(*item) for item in every), "", ""])
            case ["show", "stat", backend, "4", "-1"] if backend in self.backends:
                lines = [self._figures(backend, name, one) for name, one in self.backends[backend].items()]
                head = "# pxname,svname,qcur,scur,status,check_status,addr,stot,hrsp_2xx,hrsp_5xx,eresp,rtime,mode,"
                return "\n".join([head, *lines, "", ""])
            case ["show", "info"]:
                return f"Name: HAProxy\nPid: {self.pid}\nStart_time_sec: {self.started_at}\n\n"
            case ["show", "cli", "level"]:
                return f"{self.level}\n\n"
            case ["show", "resolvers"]:
                return f"{self.resolvers}\n"
            case ["set", "server", place, "state", state]:
                self.commands.append(command)
                backend, _, name = place.partition("/")
                self.backends[backend][name].drained = state == "drain"
                self.backends[backend][name].by_hand = False
                return "\n"
            case ["set", "server", place, "weight", weight]:
                self.commands.append(command)
                backend, _, name = place.partition("/")
                self.backends[backend][name].weight = int(weight)
                return "\n"
        return "Can't find backend.\n\n"

    def _state(self, backend: str, name: str, one: FakeServer) -> str:
        op = 2 if one.address and (one.check == "L7OK" or one.failed_once) else 0
        admin = (0 if one.address else 32) + (8 if one.drained else 0) + one.by_hand
        address = one.address or "-"
        return f"3 {backend} 1 {name} {address} {op} {admin} {one.weight} 1 2 15 3 2 6 0 0 0 web 8080 - 0 0 - - 0"

    def _figures(self, backend: str, name: str, one: FakeServer) -> str:
        if not one.address:
            return f"{backend},{name},0,0,MAINT (resolution),,,,,,,,{self.mode},"
        if one.by_hand:
            return f"{backend},{name},0,{one.sessions},MAINT,,{one.address}:8080,,,,,,{self.mode},"
        status = "DOWN" if one.check != "L7OK" else "DRAIN" if one.drained else "UP"
        # HAProxy counts an answer that broke off twice.
        counts = f"{one.answered + one.errors + one.broken + one.sessions},{one.answered},{one.errors},{2 * one.broken}"
        seen = f"{one.sessions},{status},{one.check},{one.address}:8080,{counts},{one.answer_ms}"
        return f"{backend},{name},0,{seen},{self.mode},"

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            command = (await reader.readline()).decode().strip()
            if self.hangs:
                await reader.read()  # until whoever asked has gone
            writer.write(self.answer(command).encode()[: self.breaks_off])
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
