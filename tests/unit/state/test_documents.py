"""What a document is read to is kept by who read it, and by nobody else."""

import sys

from roas.models.leader_lease import Heartbeat
from roas.state.documents import from_json, to_json

READ = 3000


def test_texts_that_were_read_are_not_kept() -> None:
    """A bot reads ids and times for weeks, each a few times; pydantic would keep the last 16,384 of them."""
    row = to_json(Heartbeat("BOT-1", "boot", 1.0))
    from_json(Heartbeat, row)
    before = sys.getallocatedblocks()
    for number in range(READ):
        from_json(Heartbeat, row.replace("BOT-1", f"BOT-of-this-test-{number}"))
    assert sys.getallocatedblocks() - before < READ / 10
