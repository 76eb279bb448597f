"""What the store holds of a buyer, what forbids to erase it, and what stays of a batch (design.md, section 5c)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orderctl.audit.log import Batch
from orderctl.core.ids import short_id
from orderctl.core.text import safe
from orderctl.language import _, ngettext
from orderctl.mail.outbox import MailsDigest, QueuedMail
from orderctl.orders.document import SCHEMA, Document
from orderctl.orders.erasures import Erasure, Words
from orderctl.orders.orders import Buyer, OrderEvent
from orderctl.plans.plans import SavedPlan

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an erasure of the buyer blanks, and what is in its way.

    `orders` and `mails` count all of the buyer's. `plans` are closed ones that name the buyer, `batches` those with
    words of theirs, `details` the reasons that name them, by batch. The rest is in the way: open orders, letters that
    are not sent yet, write-backs that are not settled, open plans (their ids), saved filters and tags.
    """

    buyer: Buyer
    words: Words
    orders: int
    mails: int
    plans: tuple[SavedPlan, ...]
    batches: tuple[str, ...]
    details: Mapping[str, tuple[str, ...]]
    open_orders: int
    open_mails: int
    open_writebacks: int
    open_plans: tuple[str, ...]
    filters: tuple[str, ...]
    tags: tuple[str, ...]

    def obstacles(self) -> Iterator[tuple[str, str]]:
        """What is in the way, each with what to do about it."""
        if self.open_orders:
            yield (
                ngettext("{number:,} order is open", "{number:,} orders are open", self.open_orders),
                _("reject or archive them"),
            )
        if self.open_mails:
            yield (
                ngettext("{number:,} mail is not settled", "{number:,} mails are not settled", self.open_mails),
                _("send, cancel or settle them: orderctl mail list"),
            )
        if self.open_writebacks:
            yield (
                ngettext(
                    "{number:,} write-back is not settled",
                    "{number:,} write-backs are not settled",
                    self.open_writebacks,
                ),
                _("send, cancel or settle them: orderctl writeback list"),
            )
        if self.open_plans:
            listed = _first(tuple(map(short_id, self.open_plans)))
            yield _("open plans have orders or words of them: {plans}", plans=listed), _("run or cancel the plans")
        if self.filters:
            yield (
                _("saved filters name them: {filters}", filters=_first(self.filters)),
                _("delete them: orderctl filter delete"),
            )
        if self.tags:
            yield _("tags name them: {tags}", tags=_first(self.tags)), _("take them off: orderctl untag")


def _first(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    listed = ", ".join(map(safe, names[:_SHOWN]))
    return _("{listed} and {more:,} more", listed=listed, more=more) if more > 0 else listed


def blanked_batch(batch: Batch, mails: MailsDigest, scope: Scope, mark: str) -> Batch:
    """A batch as an erasure leaves it, with what stays of its mails.

    Its salt goes with its texts. Where only salted texts go, their digest stays. Where a reason goes, which each event
    repeats, or a text of a letter to others, that digest goes too: nobody can try out words against the batch's digest
    then.
    """
    blanked = scope.words.blanked
    after = replace(
        batch,
        source=blanked(batch.source, mark),
        reason=blanked(batch.reason, mark),
        message=blanked(batch.message, mark),
        mails_digest=mails.hexdigest(),
        mail_leaves=mails.leaves,
    )
    anew = batch.id in scope.details or after.mails_digest != batch.mails_digest
    if after == batch and not anew:
        return batch
    request_digest = batch.request_digest if after.source == batch.source else ""
    return replace(after, request_digest=request_digest, salt="", texts_digest="" if anew else batch.salted_digest)


def blanked_event(event: OrderEvent, scope: Scope, mark: str) -> OrderEvent:
    """An event of a batch as an erasure leaves it."""
    gone = event.detail in scope.details.get(event.batch_id or "", ())
    return replace(event, detail=mark) if gone else event


def blanked_mail(mail: QueuedMail, scope: Scope, mark: str) -> QueuedMail:
    """A mail as an erasure leaves it, as far as the digest of its batch covers it.

    The buyer's own keeps its digest instead of the salt. Of another's, the messages go that name the buyer.
    """
    if mail.buyer_id == scope.buyer.id:
        return replace(mail, digest=mail.proof, salt="")
    orders = tuple((order_id, scope.words.blanked(message, mark)) for order_id, message in mail.orders)
    # Where it went elsewhere, its log alone says what it was queued for.
    return replace(
        mail, orders=orders, recipient=scope.words.blanked(mail.recipient, mark) if mail.moves else mail.recipient
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What an erasure did or would do; `erasure` is None for a trial, `already` if it was done before."""

    buyer_id: str
    scope: Scope | None = None
    erasure: Erasure | None = None
    already: bool = False

    @property
    def outcome(self) -> str:
        """For programs: how it ended."""
        if self.already:
            return "already-erased"
        if self.erasure:
            return "erased"
        return "refused" if self.scope and any(self.scope.obstacles()) else "dry-run"

    @property
    def counts(self) -> Mapping[str, int]:
        """How many records have or had any personal data of the buyer."""
        if self.erasure:
            erasure = self.erasure
            return {"orders": erasure.orders, "mails": erasure.mails, "plans": erasure.plans} | {
                "batches": len(erasure.batches)
            }
        if self.scope is None:
            return dict.fromkeys(("orders", "mails", "plans", "batches"), 0)
        scope = self.scope
        plans, batches = len(scope.plans), len(scope.batches)
        return {"orders": scope.orders, "mails": scope.mails, "plans": plans, "batches": batches}


def erasure_document(report: ErasureReport) -> Document:
    """The result of an erasure, or of a dry run of it (design.md, section 8)."""
    scope, erasure = report.scope, report.erasure
    return {
        "schema": SCHEMA,
        "outcome": report.outcome,
        "buyer": report.buyer_id,
        "at": erasure and erasure.at.isoformat(),
        "position": erasure and erasure.position,
        **report.counts,
        "in_the_way": [what for what, __ in scope.obstacles()] if scope else [],
    }
