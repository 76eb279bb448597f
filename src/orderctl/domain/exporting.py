"""What an export is asked to write."""

from dataclasses import dataclass
from enum import StrEnum


class ExportFormat(StrEnum):
    """What orders can be written as."""

    XLSX = "xlsx"
    CSV = "csv"
    JSONL = "jsonl"
    PDF = "pdf"
    OC_PDF = "oc-pdf"

    @property
    def is_text(self) -> bool:
        """Whether a terminal can show it."""
        return self in {ExportFormat.CSV, ExportFormat.JSONL}

    @property
    def is_document(self) -> bool:
        """Whether it is made of pages."""
        return self in {ExportFormat.PDF, ExportFormat.OC_PDF}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """How to write the orders, and where: `path` is None for standard output."""

    format: ExportFormat
    path: str | None
    by_line: bool = False
    per_order: bool = False
    force: bool = False
    raw: bool = False
