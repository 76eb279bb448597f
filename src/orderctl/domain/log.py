"""The record of what was done: batches (design.md, sections 2 and 5)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One executed rejection, as the store keeps it."""

    id: str
    at: datetime
    actor: str
    approver: str
    host: str
    program: str
    mode: str
    source: str
    reason: str
    message: str
    planned: int
    rejected: int
    skipped: int
    mails: int
    digest: str
    previous: str
