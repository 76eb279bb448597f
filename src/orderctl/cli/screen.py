"""What people see: results on standard output, talk on standard error; data only as `safe` text."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from functools import cached_property

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orderctl.audit.log import Batch
from orderctl.audit.view import batch_details, batch_table
from orderctl.core.text import safe
from orderctl.core.times import Progress
from orderctl.filters.saved import SavedFilter
from orderctl.language import _, in_english
from orderctl.mail.outbox import DeliveryReport, Letter, Mail, MailEvent
from orderctl.mail.view import delivery_figures, delivery_report, mail_details, mail_list, mail_table
from orderctl.orders.orders import Order, OrderEvent, OrderSummary
from orderctl.orders.view import event_table, order_details
from orderctl.plans.plans import SavedPlan
from orderctl.plans.view import changes_report, kept_report, plan_details, plan_table
from orderctl.rejection.plan import LeftOut, RejectionPlan, RejectionResult
from orderctl.rejection.preview import letter_samples, plan_preview, result_report
from orderctl.rejection.sample_letters import SampleLetter
from orderctl.search.columns import Column
from orderctl.search.view import order_table
from orderctl.stats.charts import statistics_view
from orderctl.stats.statistics import Statistics
from orderctl.terminal.amounts import in_utc, timestamp, use_zone, when
from orderctl.terminal.console import NO_WIDTH, draw, drawn, show_paged, sized_console, terminal_size
from orderctl.terminal.layout import RuledTable, text_table
from orderctl.terminal.progress import lazy_bar
from orderctl.terminal.run_log import RunLog


class Screen:
    """Where things are printed. `quiet` leaves out everything but results and errors."""

    def __init__(self, *, run_log: RunLog, quiet: bool = False, paged: bool = True, zone: tzinfo | None = None) -> None:
        self.quiet = quiet
        self._paged = paged
        self._run_log = run_log
        use_zone(zone)

    @property
    def _results(self) -> Console:
        # Nothing is cut or broken for a pipe: it has no width.
        if self._out.is_terminal:
            self._out.size = terminal_size()
        else:
            self._out.width = NO_WIDTH
        return self._out

    @property
    def _talk(self) -> Console:
        self._err.size = terminal_size()
        return self._err

    @cached_property
    def _out(self) -> Console:
        return sized_console()

    @cached_property
    def _err(self) -> Console:
        return sized_console(stderr=True)

    def show(self, *what: RenderableType) -> None:
        """Print a result; in a pipe without the spaces that fill lines up."""
        for each in what:
            if self._results.is_terminal:
                draw(self._results, each)
            else:
                sys.stdout.writelines(f"{line.rstrip()}\n" for line in drawn(self._results, each).splitlines())

    def _list(self, table: Callable[[], RuledTable]) -> None:
        """Print a table: on a terminal in the pager if it is long, in a pipe as rows with tabs, in English."""
        if self._results.is_terminal:
            self._page(table())
            return
        with in_english(), in_utc():
            rows = table().rows
        sys.stdout.writelines(f"{line}\n" for line in map("\t".join, rows))

    def _page(self, what: RenderableType) -> None:
        """Print what may be long: on a terminal that it does not fit, in the pager."""
        if self._results.is_terminal and self._paged:
            show_paged(drawn(self._results, what), self._results)
        else:
            self.show(what)

    def tell(self, *what: RenderableType) -> None:
        """Say something about the run, unless it is to be quiet."""
        if not self.quiet:
            self.insist(*what)

    def insist(self, *what: RenderableType) -> None:
        """Say something that is never left out: a warning, or what a question is about."""
        for each in what:
            draw(self._talk, each)

    def warn(self, message: str) -> None:
        """Say what went less than well."""
        self.insist(Text.assemble((_("warning: "), "yellow"), safe(message)))

    def orders(self, orders: Sequence[OrderSummary], columns: Sequence[Column] = ()) -> None:
        """Print a table of orders; without `columns`, those that fit."""
        self._page(order_table(orders, columns=columns))

    def preview(
        self,
        plan: RejectionPlan,
        *,
        store: str,
        production: bool,
        letters: Sequence[SampleLetter],
        ask_about_mails: bool = False,
        every: Sequence[OrderSummary] | None = None,
    ) -> None:
        """Show what a plan would do, on standard error; with `every` order of it, in the pager if it is long."""
        shown = plan_preview(
            plan,
            store=store,
            production=production,
            letters=letters,
            ask_about_mails=ask_about_mails,
            every=every,
        )
        if every is not None and self._talk.is_terminal and self._paged:
            show_paged(drawn(self._talk, shown), self._talk)
        else:
            self.insist(shown)

    def letters(self, letters: Sequence[SampleLetter]) -> None:
        """Say what the buyers would read."""
        self.tell(letter_samples(letters))

    def result(self, result: RejectionResult, delivery: DeliveryReport | None) -> None:
        """Print what a rejection did."""
        self.show(result_report(result, delivery, notify=result.plan.mail.notify))

    def delivery(self, report: DeliveryReport) -> None:
        """Print how a run of the outbox went."""
        self.show(delivery_report(report))

    def delivered(self, report: DeliveryReport) -> None:
        """Say how a round of a worker went."""
        self.tell(delivery_figures(report))

    def order(self, order: Order, events: Sequence[OrderEvent]) -> None:
        """Print one order with its log."""
        self._page(order_details(order, events))

    def mails(self, mails: Sequence[Mail]) -> None:
        """Print a table of mails."""
        if self._results.is_terminal:
            self._page(mail_list(mails))
        else:
            self._list(lambda: mail_table(mails))

    def mail(self, mail: Mail, letter: Letter | None, order_ids: Sequence[str], events: Sequence[MailEvent]) -> None:
        """Print one mail as the buyer reads it, with its log."""
        self._page(mail_details(mail, letter, order_ids, events))

    def batches(self, batches: Sequence[Batch]) -> None:
        """Print a table of batches."""
        self._list(lambda: batch_table(batches))

    def batch(self, batch: Batch, events: Sequence[OrderEvent]) -> None:
        """Print one batch with its orders."""
        self._page(batch_details(batch, events))

    def events(self, events: Sequence[OrderEvent]) -> None:
        """Print the log of an order."""
        self._list(lambda: event_table(events))

    def figures(self, statistics: Statistics) -> None:
        """Print figures with bars."""
        self._page(Group(*statistics_view(statistics)))

    def pairs(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a small table of texts."""
        self._list(lambda: text_table(header, rows))

    def saved_filters(self, filters: Iterable[SavedFilter]) -> None:
        """Print a table of saved filters."""
        rows = [(each.name, each.expression, each.actor, timestamp(each.saved_at)) for each in filters]
        self._list(lambda: text_table((_("Name"), _("Filter"), _("Saved by"), when()), rows))

    def plans(self, plans: Sequence[SavedPlan], now: datetime) -> None:
        """Print a table of saved plans."""
        self._list(lambda: plan_table(plans, now))

    def plan(
        self,
        saved: SavedPlan,
        plan: RejectionPlan,
        *,
        store: str,
        production: bool,
        letters: Sequence[SampleLetter],
        every: Sequence[OrderSummary] | None,
        now: datetime,
    ) -> None:
        """Print one saved plan; with `every` order of it, in the pager if it is long."""
        shown = plan_preview(plan, store=store, production=production, letters=letters, every=every)
        (self.show if every is None else self._page)(plan_details(saved, plan.mode, shown, now))

    def kept(self, saved: SavedPlan, now: datetime) -> None:
        """Print what became of a plan that was kept or approved."""
        self.show(kept_report(saved, now))

    def changes(self, plan: RejectionPlan, changed: Sequence[LeftOut]) -> None:
        """Print every planned order that is no longer as planned."""
        self.show(changes_report(plan, changed, None))

    def tell_changes(self, plan: RejectionPlan, changed: Sequence[LeftOut]) -> None:
        """Say which planned orders will be left out, beside the preview."""
        if changed:
            self.tell(changes_report(plan, changed))

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Show how far a long step is, where somebody looks; note it, by its English name, when it is done."""
        with self._run_log.timing(label) as note, self._bar(label) as draw:

            def report(done: int, total: int | None, /) -> None:
                note(done, total)
                draw(done, total)

            yield report

    @contextmanager
    def _bar(self, label: str) -> Iterator[Progress]:
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _done, _total: None
            return
        with lazy_bar(_(label), self._talk) as draw:
            yield draw
