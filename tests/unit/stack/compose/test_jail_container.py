"""What the container of Compose says when a program took too much there."""

import pytest

from roas.stack.compose.runner import has_run_out


@pytest.mark.parametrize(
    "said",
    [
        "fatal error: runtime: out of memory\n\nruntime stack:",
        "fork/exec /usr/bin/x: cannot allocate memory",
        "runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\nPC=0x7f",
        "runtime: failed to create new OS thread (have 8 already; errno=11)",
    ],
)
def test_words_of_a_program_that_may_take_no_more(said: str) -> None:
    assert has_run_out(2, said)
    assert not has_run_out(0, said), "a stack may have such words"


def test_killed_program_took_too_much() -> None:
    assert has_run_out(-9, "")
    assert not has_run_out(1, "services.web.image must be a string")
