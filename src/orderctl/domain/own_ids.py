"""Ids that we make, for batches, plans and events: text whose order is that of time (design.md, section 5b)."""

import base64

import uuid6


def new_id() -> str:
    """A UUIDv7 in lower-case base32 with an alphabet that keeps its order: 26 letters and digits."""
    return base64.b32hexencode(uuid6.uuid7().bytes).decode("ascii").rstrip("=").lower()
