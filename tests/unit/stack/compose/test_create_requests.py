"""What is put into a request of Compose for a container, and what passes as it came."""

import json

import pytest

from roas.stack.compose.create_requests import CREATE, LENGTH, LabelCompletion, completed

COMPLETIONS = {"web": LabelCompletion("of the files", "shop/web:1"), "db": LabelCompletion("of the files")}


def asked(service: str) -> dict[str, object]:
    labels = {"com.docker.compose.service": service, "com.docker.compose.config-hash": "of the model", "own": "x"}
    return {"Image": "roas/shop:1-0123456789ab", "Labels": labels, "HostConfig": {"Init": True}}


@pytest.mark.parametrize(
    ("service", "image", "config_hash"),
    [
        ("web", "shop/web:1", "of the files"),
        ("db", "roas/shop:1-0123456789ab", "of the files"),
        ("other", "roas/shop:1-0123456789ab", "of the model"),
    ],
)
def test_hash_and_name_are_put_in(service: str, image: str, config_hash: str) -> None:
    found = json.loads(completed(json.dumps(asked(service)).encode(), COMPLETIONS))
    wanted = asked(service) | {"Image": image}
    wanted["Labels"] = {**asked(service)["Labels"], "com.docker.compose.config-hash": config_hash}  # type: ignore[dict-item]
    assert found == wanted


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}", b'{"Labels": null}'])
def test_what_is_not_understood_passes(body: bytes) -> None:
    assert completed(body, COMPLETIONS) == body


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"POST /v1.45/containers/create?name=shop-web-1 HTTP/1.1\r\n", True),
        (b"POST /containers/create HTTP/1.1\r\n", True),
        (b"POST /v1.45/containers/abc/start HTTP/1.1\r\n", False),
        (b"POST /v1.45/networks/create HTTP/1.1\r\n", False),
        (b"GET /v1.45/containers/create HTTP/1.1\r\n", False),
    ],
)
def test_requests_for_a_container_are_known(line: bytes, is_one: bool) -> None:
    assert (CREATE.match(line) is not None) is is_one


def test_length_is_replaced() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: docker\r\ncontent-length: 12\r\nContent-Type: a\r\n\r\n"
    found = LENGTH.search(head)
    assert found is not None
    assert found[1] == b"12"
    assert LENGTH.sub(b"\r\nContent-Length: 7", head).count(b"12") == 0
