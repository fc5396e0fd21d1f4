"""Create the ids that people and the journal see: unique, and sortable by time."""

import secrets
import time

# Crockford's: without letters that look like a digit or like each other.
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_BITS = 80
BITS_OF_A_DIGIT = 5
HIGHEST_DIGIT = 125


def new_id(prefix: str) -> str:
    """Return a new id such as `DEPLOY-01JD…`: the prefix, then a ULID (48 bits of time, 80 random ones)."""
    number = time.time_ns() // 1_000_000 << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    places = range(HIGHEST_DIGIT, -1, -BITS_OF_A_DIGIT)
    return f"{prefix}-{''.join(DIGITS[number >> place & 31] for place in places)}"
