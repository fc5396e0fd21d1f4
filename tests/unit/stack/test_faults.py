"""What Compose and registries write of what went wrong is understood, and quotes no secret."""

import errno
from pathlib import Path

import pytest

from roas.errors import (
    ComposeFileError,
    ContainerConflictError,
    EngineError,
    EnginePartAwayError,
    EngineUnavailableError,
    ImageNotFoundError,
    InvalidRequestError,
    RegistryUnavailableError,
    RoasError,
    ShortageError,
)
from roas.redaction import Redactor
from roas.shortages import find_shortage
from roas.stack.compose.commands import ComposeProject, create
from roas.stack.compose.faults import compose_fault, registry_fault, resolution_fault
from roas.stack.containers.logs import LONGEST_SECRET, MOST_BYTES, readable_log


@pytest.mark.parametrize("service", ["--help", "-f", "a b", ""])
def test_service_name_never_an_option(service: str) -> None:
    with pytest.raises(InvalidRequestError):
        create(ComposeProject("p", (Path("f"),)), [service])


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", EngineUnavailableError),
        ("Error response from daemon: manifest for app:v9 not found: manifest unknown", ImageNotFoundError),
        ("Error response from daemon: pull access denied for app, repository does not exist", ImageNotFoundError),
        ("Error response from daemon: No such image: sha256:abc", ImageNotFoundError),
        (
            'connection error: desc = "transport: Error while dialing: dial unix /run/c.sock": unavailable',
            EnginePartAwayError,
        ),
        ("cannot stop container: c9: tried to kill container, but did not receive an exit event", EnginePartAwayError),
        ("failed to solve: Unavailable: error reading from server: EOF", EnginePartAwayError),
        ("failed to create task for container: ttrpc: closed: unknown", EnginePartAwayError),
        ("received unexpected HTTP status: 503 Service Unavailable", RegistryUnavailableError),
        (
            "runtime: failed to create new OS thread (have 5 already; errno=11)\nfatal error: newosproc\n\ngoroutine",
            ShortageError,
        ),
        ("fork/exec /usr/bin/docker-buildx: resource temporarily unavailable", ShortageError),
        ("failed to create shim task: OCI runtime create failed: cannot allocate memory: unknown", ShortageError),
        ("write /var/lib/docker/tmp/x: no space left on device", ShortageError),
        ("accept4: too many open files", ShortageError),
        ("net/http: TLS handshake timeout", RegistryUnavailableError),
        ("dial tcp 1.2.3.4:443: connect: connection refused", RegistryUnavailableError),
        ("received unexpected HTTP status: 502 Bad Gateway", RegistryUnavailableError),
        ('time="x" level=warning msg="w"\nyaml: line 4: did not find expected key', ComposeFileError),
        ("services.web.ports must be a list", ComposeFileError),
        ('Error response from daemon: Conflict. The container name "/x" is already in use', ContainerConflictError),
        ("Error response from daemon: removal of container c9 is already in progress", ContainerConflictError),
        ("Error response from daemon: No such container: c9", ContainerConflictError),
        (
            'Error response from daemon: cannot remove container "/x": container is running: stop the container before',
            ContainerConflictError,
        ),
        ("Error response from daemon: driver failed programming external connectivity", EngineError),
    ],
)
def test_compose_stderr_parsed(stderr: str, kind: type[RoasError]) -> None:
    fault = compose_fault(stderr, files="docker-compose.yml")
    assert type(fault) is kind
    assert "level=warning" not in fault.message


def test_file_of_variables_named_instead_of_compose_file() -> None:
    """Compose reads `.env` on its way to the compose file, which is as it should be."""
    stderr = "failed to read /srv/shop/.env: line 2: key cannot contain a space\n"
    fault = resolution_fault(stderr, files="docker-compose.yml")
    assert fault.message == "/srv/shop/.env is not usable: line 2: key cannot contain a space."
    assert "compose file" not in fault.whole


def test_registry_error_parsed() -> None:
    assert isinstance(registry_fault("unauthorized: nope", "app:v1"), EngineError)
    assert registry_fault("toomanyrequests: slow down", "app:v1").transient
    assert "app:v1" in registry_fault("manifest unknown", "app:v1").message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('failed to resolve reference "host:5000/app:nope": host:5000/app:nope: not found', ImageNotFoundError),
        ("no match for platform in manifest: not found", ImageNotFoundError),
        ("pull access denied, repository does not exist or may require authorization", ImageNotFoundError),
        (
            'failed to do request: Head "https://host:5000/v2/app/manifests/v1": dial tcp: connect: connection refused',
            RegistryUnavailableError,
        ),
        (
            "unexpected status from HEAD request to https://host/v2/app/manifests/v1: 503 Service Unavailable",
            RegistryUnavailableError,
        ),
    ],
)
def test_error_of_containerd_store_parsed(text: str, kind: type[RoasError]) -> None:
    assert type(registry_fault(text, "app:v1")) is kind


def test_secret_hidden_before_the_text_is_cut() -> None:
    """What is cut in two is a secret no more that anybody could find."""
    secret = "Zk-planted-" + "x" * 300
    redactor = Redactor([secret])
    stderr = "time=now level=warning " + "y" * 300 + secret + "z" * 300
    fault = compose_fault(stderr, files="compose.yml", redact=redactor.redact)
    assert "xxx" not in fault.message
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(f"line{number}OfTheKey" for number in range(20))
    assert "OfTheKey" not in compose_fault(key, files="compose.yml", redact=redactor.redact).message
    missing = (
        f"error while interpolating services.web.environment.A_TOKEN: required variable X is missing a value: {secret}"
    )
    told = resolution_fault(missing, files="compose.yml", redact=redactor.redact).message
    assert "A_TOKEN" in told
    assert "xxx" not in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("failed to read /shop/.env: required variable NOPE is missing a value", "is missing in .env."),
        ("required variable NOPE is missing a value: why", "is missing in an env file that compose.yml names (why)."),
        (
            "error while interpolating services.web.image: required variable NOPE is missing a value",
            "is missing for services.web.image in compose.yml.",
        ),
    ],
)
def test_missing_variable_is_told_with_the_file_that_wants_it(said: str, told: str) -> None:
    assert resolution_fault(said, files="compose.yml").message == f"The variable NOPE {told}"


def test_log_that_is_cut_begins_with_a_whole_line() -> None:
    assert readable_log(b"short") == "short"
    cut = readable_log(b"half of a secret " + b"x" * MOST_BYTES + b"\nwhole line\n")
    assert cut == "whole line\n"
    assert len(readable_log(b"y" * 2 * MOST_BYTES)) == MOST_BYTES - LONGEST_SECRET


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "processes or threads"),
        (RuntimeError("can't start new thread"), "processes or threads"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (MemoryError(), "memory"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk space"),
    ],
)
def test_what_ran_out_is_told(error: Exception, told: str) -> None:
    fault = find_shortage(error)
    assert fault is not None
    assert fault.transient
    assert f"Out of {told}" in fault.message


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), RuntimeError("a bug"), ValueError("no")])
def test_other_errors_are_no_shortage(error: Exception) -> None:
    assert find_shortage(error) is None
