"""Writes the report of one batch: pages to file away, or one page for a browser that needs no network."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orderctl.domain.batch_report import BatchReport
from orderctl.domain.errors import UsageError
from orderctl.domain.text import safe
from orderctl.files.batch_pages import lay_out_report, unlisted
from orderctl.files.pdf_writer import write_document
from orderctl.files.safe_files import create_file
from orderctl.language import language, say


def write_report(report: BatchReport, path: Path, *, force: bool) -> None:
    """Write a PDF or an HTML page, by the file's ending. Raises UsageError if it is neither, or the name is taken."""
    ending = path.suffix.lower()
    if ending not in {".pdf", ".html"}:
        raise UsageError(
            say("a report is a .pdf or an .html, not {name!r}", name=path.name), hint=say("end its name in one of them")
        )
    with create_file(path, force=force) as out:
        if ending == ".pdf":
            write_document(lay_out_report(report), out)
        else:
            out.write(_page(report).encode())


def _page(report: BatchReport) -> str:
    """Every value is escaped by the environment; `safe` shows what would turn or hide text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    return environment.get_template("batch_report.html").render(
        report=report, say=say, unlisted=unlisted, language=language() or "en"
    )
