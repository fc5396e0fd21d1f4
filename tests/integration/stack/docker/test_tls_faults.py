"""An engine by TLS whose certificate is not trusted, or that does not trust ours, says where to look."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.docker.engine import EngineClients
from testbed.ports import free_port
from testbed.tls_files import make_tls_files

HERE = "127.0.0.1"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return make_tls_files(tmp_path / "tls", [HERE])


@pytest.fixture
async def engine(files: Path) -> AsyncIterator[Environment]:
    """Something that speaks TLS as an engine does, and answers each request with `OK`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # asyncio says nothing of a refusal after the handshake
    context.load_cert_chain(files / "server-cert.pem", files / "server-key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"ApiVersion": "1.41", "Version": "26.1"}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, HERE, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        yield Environment("dev", "p", Path(), (), docker_host=f"tcp://{HERE}:{port}")


@pytest.mark.parametrize("strange", ["ca.pem", "cert.pem"])
async def test_certificate_that_is_not_trusted_is_put_right_as_told(
    engine: Environment, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strange: str
) -> None:
    other = make_tls_files(tmp_path / "other", [HERE])
    names = ("ca.pem", "cert.pem", "key.pem")
    own = {name: (files / name).read_bytes() for name in names}
    wrong = [strange] if strange == "ca.pem" else ["cert.pem", "key.pem"]
    for name in names:
        (other / name).write_bytes((other if name in wrong else files).joinpath(name).read_bytes())
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_tls_files(tmp_path / "public", []) / "ca.pem"))
    monkeypatch.setenv("DOCKER_CERT_PATH", str(other))
    clients = EngineClients()
    try:
        with pytest.raises(EngineUnavailableError) as caught:
            await clients.of(engine).call(lambda client: client.version())
        assert str(engine.docker_host) in caught.value.message
        assert "Check DOCKER_CERT_PATH: its `ca.pem`" in str(caught.value.hint)
        for name, content in own.items():
            (other / name).write_bytes(content)
        assert (await clients.of(engine).call(lambda client: client.version()))["Version"] == "26.1"
    finally:
        await clients.close()


async def test_refusal_after_the_handshake_names_the_certificates(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TLS 1.3, as engines speak it, a client's certificate is refused once the client has asked already."""
    other, port = make_tls_files(tmp_path / "other", [HERE]), free_port()
    (other / "ca.pem").write_bytes((files / "ca.pem").read_bytes())
    shows = ["-cert", f"{files}/server-cert.pem", "-key", f"{files}/server-key.pem"]
    trusts = ["-CAfile", f"{files}/ca.pem", "-Verify", "1", "-verify_return_error"]
    command = ["openssl", "s_server", "-accept", str(port), "-tls1_3", "-www", *shows, *trusts]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(other))
    clients = EngineClients()
    try:
        assert server.stdout is not None
        while b"ACCEPT" not in server.stdout.readline():
            assert server.poll() is None
        with pytest.raises(EngineUnavailableError) as caught:
            await clients.of(Environment("dev", "p", Path(), (), docker_host=f"tcp://{HERE}:{port}")).call(
                lambda client: client.version()
            )
        assert "alert unknown ca" in caught.value.message
        assert "Max retries" not in caught.value.message
        assert "Check DOCKER_CERT_PATH: its `ca.pem`" in str(caught.value.hint)
    finally:
        await clients.close()
        server.kill()
        server.wait()
