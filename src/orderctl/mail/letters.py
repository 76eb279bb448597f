"""Composes letters from sandboxed templates in the buyer's language. Text from outside enters as values only."""

import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from rich.cells import cell_len

from orderctl.core.money import Money, decimals
from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.language import _
from orderctl.mail.outbox import BROKEN_TEMPLATE, NO_TEMPLATE, Letter, LetterContext
from orderctl.mail.wording import Wording, operators_text, plain_tag
from orderctl.orders.orders import OrderSummary

BUILT_IN = Path(__file__).parent / "templates"
PARTS = ("subject.txt", "body.txt", "body.html")
_GAP = "  "
_LOOK_S = 1.0


class Composer:
    """Composes letters. A file in the brand's own folder replaces the built-in template of the same name."""

    def __init__(self, templates_dir: Path | None = None, default_language: str = "en") -> None:
        """Raises UsageError if the folder is missing or the default language has no template."""
        if templates_dir is not None and not templates_dir.is_dir():
            raise UsageError(
                _("mail.templates: there is no folder {folder}", folder=templates_dir),
                hint=_("check the path"),
            )
        self._folders = [BUILT_IN] if templates_dir is None else [templates_dir, BUILT_IN]
        self._environment = _environment(self._folders)
        self._found: dict[str, bool] = {}
        self._looked_at = 0.0
        self._default = default_language.lower()
        if not self._has(self._default):
            raise UsageError(
                _("mail.language: there is no template for {language!r}", language=default_language),
                hint=_(
                    "use one of {languages}, or add a folder of that name to mail.templates",
                    languages=", ".join(built_in_languages()),
                ),
            )

    def compose(self, facts: LetterContext) -> Letter:
        """Compose the letter. Raises UsageError with file and line if a template is broken."""
        language = self.language_of(facts.language)
        values = _values(facts, language)
        subject = " ".join(self._render(language, "subject.txt", values).split())
        values["subject"] = subject
        return Letter(
            subject=subject,
            text=self._render(language, "body.txt", values).strip("\n") + "\n",
            html=self._render(language, "body.html", values).strip("\n") + "\n",
        )

    def language_of(self, tag: str) -> str:
        """The nearest language that has templates: `ja-JP`, then `ja`, then the default."""
        self._look_again()
        wanted = plain_tag(tag)
        for candidate in (wanted, wanted.partition("-")[0]):
            if self._has(candidate):
                return candidate
        return self._default

    def _look_again(self) -> None:
        """Notice changed templates: at most once a second, not for each part of each letter."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S and self._environment.cache is not None:
            self._environment.cache.clear()
            self._found.clear()
            self._looked_at = now

    def _has(self, language: str) -> bool:
        found = self._found.get(language)
        if found is None:
            found = self._found[language] = self._is_there(language)
        return found

    def _is_there(self, language: str) -> bool:
        plain = language.replace("-", "").isalnum() and language.isascii()
        return plain and any((folder / language / part).is_file() for folder in self._folders for part in PARTS)

    def _render(self, language: str, part: str, values: Mapping[str, object]) -> str:
        name = f"{language}/{part}"
        try:
            return self._environment.get_template(name).render(values)
        except TemplateNotFound as error:
            raise UsageError(
                _(NO_TEMPLATE, name=error.name),
                hint=_("add it to {folder}", folder=self._folders[0]),
            ) from None
        except TemplateSyntaxError as error:
            raise _broken(f"{error.filename or name}:{error.lineno}", error) from None
        except (OSError, MemoryError):
            raise  # a fault of the computer, which may pass
        except Exception as error:  # noqa: BLE001 - a template may raise anything, and is not our code
            raise _broken(self._place(name, error), error) from None

    def _place(self, name: str, error: Exception) -> str:
        """The file and line of the template where the error happened: Jinja puts them into its frames."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if any(Path(frame.filename).is_relative_to(folder) for folder in self._folders):
                return f"{frame.filename}:{frame.lineno}"
        return name


def _environment(folders: Sequence[Path]) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        auto_reload=False,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table"] = text_table
    return environment


def _broken(place: str, error: Exception) -> UsageError:
    return UsageError(
        _(BROKEN_TEMPLATE, place=place, error=safe(str(error))),
        hint=_("orderctl help mail lists the values"),
    )


def _values(facts: LetterContext, language: str) -> dict[str, object]:
    """The values that a template may use: texts and lists of texts, nothing that leads into the program."""
    notes, locale = dict(facts.notes), _locale(facts.language, language)
    return {
        "language": language,
        "name": safe(facts.buyer.contact or facts.buyer.name),
        "buyer": safe(facts.buyer.name),
        "orders": [_order(order, notes.get(order.id, ""), locale) for order in facts.orders],
        "totals": [_amount(total, locale) for total in facts.totals],
        "message": operators_text(Wording.read(facts.message).said_to(facts.language, language)),
        "reason": safe(facts.reason),
        "brand": safe(facts.brand),
    }


def _order(order: OrderSummary, message: str, locale: Locale | None) -> dict[str, str]:
    return {
        "id": safe(order.id),
        "reference": safe(order.reference),
        "season": safe(order.season),
        "date": _day(order.ordered_at.date(), locale),
        "amount": _amount(order.amount, locale),
        "message": operators_text(message),
    }


@lru_cache(maxsize=256)
def _locale(tag: str, language: str) -> Locale | None:
    """How days and amounts are written in a letter: as in the buyer's own region (`de-CH`), if its language is theirs.

    None for a language that Babel does not know.
    """
    own = plain_tag(tag)
    for candidate in (own, language) if own.partition("-")[0] == language.partition("-")[0] else (language,):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None


@lru_cache(maxsize=1024)
def _day(day: date, locale: Locale | None) -> str:
    """A day as the language writes it; ISO 8601 without a locale."""
    return format_date(day, "medium", locale) if locale else day.isoformat()


def _amount(money: Money, locale: Locale | None) -> str:
    """An amount as the language writes it, with its currency's code and decimals."""
    if locale is None:
        return str(money)
    places = decimals(money.currency)
    shape = f"#,##0.{'0' * places}" if places else "#,##0"
    return f"{format_decimal(Decimal(money.minor).scaleb(-places), shape, locale)} {money.currency}"


def built_in_languages() -> list[str]:
    """The languages of the letters that come with the program."""
    return sorted(folder.name for folder in BUILT_IN.iterdir() if (folder / PARTS[0]).is_file())


def text_table(rows: Sequence[Mapping[str, str]], **titles: str) -> str:
    """Rows as aligned columns; wide characters take two cells. The last column is right-aligned.

    A row's `message` follows below it, indented.
    """
    cells = [list(titles.values()), *([row[key] for key in titles] for row in rows)]
    widths = [max(cell_len(line[number]) for line in cells) for number in range(len(titles))]
    lines = [_table_line(cells[0], widths), _table_line(["-" * width for width in widths], widths)]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append(_table_line(line, widths))
        lines += [f"{_GAP}{text}".rstrip() for text in row.get("message", "").splitlines()]
    return "\n".join(lines)


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    *left, last = cells
    padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(left, widths[:-1], strict=True)]
    return _GAP.join([*padded, " " * (widths[-1] - cell_len(last)) + last])
