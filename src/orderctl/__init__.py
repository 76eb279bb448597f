"""Reject many wholesale orders at once, safely."""

__version__ = "0.1.0"
