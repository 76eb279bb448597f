"""What the guards refuse and what they say then, as conditions that both engines read."""

from collections.abc import Iterable, Mapping

from orderctl.core.grounds import GROUNDS

# The revisions in which the guards came to know more: earlier ones have no such tables or columns.
WITH_POLICY, WITH_ERASURES, WITH_BOUNCES, WITH_MAIL_DIGESTS, WITH_LETTERS, WITH_COPIES = 17, 20, 24, 27, 29, 30
FINAL = "a rejected order is final"
APPEND_ONLY = "the log is append-only"
OUT_OF_BOUNDS = "a value is out of its bounds"
MAIL_KEPT = "a queued mail keeps its recipient, its orders and its text, and a sent one is final"
RECIPIENT = "a mail is queued with its batch, and to the address of its buyer"
MAIL_READDRESSED = "a mail goes to another address only as logged in mail_event"
# Of each kind of delivery: that it was changed, that it went the wrong way, that nothing logged it.
DELIVERIES = {
    "mail": (
        MAIL_KEPT,
        "a mail does not go this way from state to state",
        "what an operator does with a mail is logged in mail_event",
    ),
    "writeback": (
        "a queued write-back keeps its order and its system, and one that was sent is final",
        "a write-back does not go this way from state to state",
        "what an operator does with a write-back is logged in writeback_event",
    ),
}
IN_PLACE = "the log is append-only: a batch stands at the number after the last one"
ACT_IN_PLACE = "the log is append-only: an act follows the last one, and names its digest"
BY_A_BATCH = "an order becomes rejected by a batch alone"
BY_THE_RULES = "an order becomes rejected by the rules of the mode of its batch"
OWN_LOGIN = "a plan names the login that wrote it, and not another"
ACT_OF_LOGIN = "an act names the login that wrote it, and not another"
OWN_TIME = "what is recorded is of the time at which it is written"
OWN_APPROVAL = "an approval is that of another operator than the author"
PLAN_STEP = "a plan does not go this way from state to state"
# What makes a batch whole, in the order in which it is checked.
BATCH_PREVIOUS = "a batch names the digest of the batch before it"
BATCH_LOGIN = "a batch names the login that made it, and not another"
BATCH_PLAN = "the batch of a saved plan rejects orders of the plan, while it may run"
BATCH_APPROVER = "a batch names who approved it, and their login"
BATCH_EVENTS = "the events of a batch are of its orders, its actor and its time"
BATCH_COUNTS = "a batch counts its own orders, events and mails"
BATCH_DIGEST = "the digest of a batch is that of its fields and its events"
BATCH_MAILS = "a batch with mails has a digest of them, and another has none"
# What the policy of the store refuses, in the order in which it is checked.
POLICY_ORDERS = "the policy of the store allows fewer orders a batch"
POLICY_AMOUNT = "the policy of the store allows less money a batch"
POLICY_REASON = "the policy of the store wants a reason"
POLICY_CODE = "the policy of the store wants a reason with one of its codes"
POLICY_HOURS = "the policy of the store allows no batch at this hour"
POLICY_SECOND = "the policy of the store wants the approval of another operator"
# Far below the limits of the types: a sum of totals, or a version plus one, must not overflow.
_AMOUNTS = 10**15
_COUNTS = 2**31 - 1
FIRST_VERSIONS = 10**9
_ATTEMPTS = 10**6
# A new order that is imported as rejected has this version until its status is set, so that no batch rejects it. Later
# versions are higher.
ARRIVING = 0
_MAIL_KEEPS = ("account", "id", "batch_id", "buyer_id", "language", "message_id", "created_at")
_MAIL_DIGESTED = ("salt", "digest")
_LETTER = ("subject", "text", "html")
_WRITEBACK_KEEPS = ("account", "id", "batch_id", "order_id", "system", "system_key", "created_at")
# A worker whose lease ran out finds its mail `unknown`, and still has its token.
_BY_SENDER = {
    "OLD.state = 'held'": ("waiting",),
    "OLD.state IN ('waiting', 'retry')": ("claimed",),
    "OLD.state = 'claimed'": ("waiting", "retry", "sending", "refused", "unknown"),
    "OLD.state = 'sending'": ("waiting", "retry", "sent", "refused", "unknown"),
    "OLD.state = 'unknown' AND OLD.token IS NOT NULL": ("waiting", "retry", "sent", "refused"),
}
_BY_OPERATOR = {
    "OLD.state IN ('held', 'waiting', 'retry', 'claimed')": ("cancelled",),
    "OLD.state IN ('retry', 'refused', 'cancelled', 'unknown', 'bounced')": ("waiting",),
    "OLD.state = 'unknown'": ("sent", "refused"),
    "OLD.state IN ('sent', 'unknown')": ("bounced",),
}
# A mail gets another address only when an operator lets it be sent (again).
_READDRESSED = (
    "NEW.state = 'waiting' AND OLD.state IN ('held', 'waiting', 'retry', 'refused', 'cancelled', 'unknown', 'bounced')"
)
# One row with such a value would break every later run: sums overflow, and dates cannot be read.
NUMBERS = {
    "orders": {
        **dict.fromkeys(("total", "quantity"), (-_AMOUNTS, _AMOUNTS)),
        **dict.fromkeys(("delivery_notes", "invoices", "backlog_skus"), (0, _COUNTS)),
    },
    "order_line": {"number": (0, _COUNTS), "quantity": (-_AMOUNTS, _AMOUNTS), "unit_price": (-_AMOUNTS, _AMOUNTS)},
    "batch": dict.fromkeys(("planned", "rejected", "skipped", "mails"), (0, _COUNTS)) | {"mail_per_order": (0, 1)},
    "mail": {"attempts": (0, _ATTEMPTS)},
}
INSTANTS = {
    "orders": ("ordered_at", "archived_at", "rejected_at", "changed_at"),
    "batch": ("at",),
    "mail": ("next_attempt_at", "lease_until", "created_at", "updated_at"),
}
DAYS = {"orders": ("delivery_from", "delivery_to")}
# An attempt that did not take place is taken back.
ONE_ATTEMPT = "NEW.attempts NOT BETWEEN OLD.attempts - 1 AND OLD.attempts + 1"
YEARS = ("0001-01-02", "9999-12-30")
BECOMES_REJECTED = f"NEW.status = 'rejected' AND OLD.status <> 'rejected' AND OLD.version <> {ARRIVING}"
EVENT_OF_BATCH = (
    "account = NEW.account AND order_id = NEW.id AND id = NEW.batch_id AND batch_id = NEW.batch_id"
    " AND to_status = 'rejected'"
)
# Over the row before the change. An order that is rejected already has triggers of its own.
NEVER_REJECTED = " OR ".join(
    ground.sql("OLD.") for ground in GROUNDS if not ground.singly and ground.status != "rejected"
)
SINGLY_REJECTED = ", ".join(f"'{ground.status}'" for ground in GROUNDS if ground.singly)
# The index `ix_order_event_singly` answers this: few events are of such an order.
SINGLY_IN_BULK = (
    "NEW.mode = 'bulk' AND EXISTS (SELECT 1 FROM order_event WHERE account = NEW.account AND batch_id = NEW.id"
    f" AND from_status IN ({SINGLY_REJECTED}))"
)
MAILS_UNDIGESTED = "(NEW.mails > 0) <> (NEW.mails_digest <> '')"
IN_BATCH = "account = NEW.account AND batch_id = NEW.id"


def some_event(value: str, wrong: str) -> str:
    """A condition: `wrong` holds for this value of the event `e` of one of the orders of a batch.

    As a single value, each event is looked up by its key. For a join, an engine would need statistics of what was just
    written.
    """
    event = "FROM order_event AS e WHERE e.account = o.account AND e.order_id = o.id AND e.id = o.batch_id"
    return (
        "EXISTS (SELECT 1 FROM orders AS o WHERE o.account = NEW.account AND o.batch_id = NEW.id"
        f" AND {wrong.format(f'(SELECT {value} {event})')})"
    )


NO_REASON = some_event("e.detail || e.reason_code", "{} = ''")


_LAST_ACT = "(SELECT {} FROM act WHERE account = NEW.account ORDER BY position DESC LIMIT 1)"
ACT_OUT_OF_PLACE = (
    f"NEW.position <> coalesce({_LAST_ACT.format('position')}, 0) + 1"
    f" OR NEW.previous <> coalesce({_LAST_ACT.format('digest')}, '')"
)


def mail_changed(differs: str, revision: int) -> str:
    """The mail was already sent and did not come back, or a column changed that must stay."""
    stays = f" AND NOT ({_READDRESSED})" if revision >= WITH_BOUNCES else ""
    kept = (*_MAIL_KEEPS, *(_MAIL_DIGESTED if revision >= WITH_MAIL_DIGESTS else ()))
    handed_over = f"NEW.sent_digest {differs} OLD.sent_digest AND NEW.state <> 'sending'"
    return any_of(
        [
            "OLD.state = 'sent' AND NEW.state <> 'bounced'",
            f"NEW.recipient {differs} OLD.recipient{stays}",
            *(f"NEW.{column} {differs} OLD.{column}" for column in kept),
            *(f"OLD.{column} IS NOT NULL AND NEW.{column} {differs} OLD.{column}" for column in _LETTER),
            *((handed_over,) if revision >= WITH_LETTERS else ()),
        ]
    )


def writeback_changed(differs: str) -> str:
    """The write-back was already sent, or a column changed that must stay."""
    return any_of(["OLD.state = 'sent'", *(f"NEW.{column} {differs} OLD.{column}" for column in _WRITEBACK_KEEPS)])


def logged(table: str) -> str:
    """The line of the log of a mail or a write-back that says who moved it."""
    return (
        f"SELECT 1 FROM {table}_event WHERE account = NEW.account AND {table}_id = NEW.id AND from_state = OLD.state"
        " AND to_state = NEW.state AND at = NEW.updated_at"
    )


def logged_address() -> str:
    """The line of the log of a mail that says to which address it goes instead, and who said so."""
    return f"{logged('mail')} AND from_recipient = OLD.recipient AND to_recipient = NEW.recipient"


def moved(differs: str) -> str:
    """The change of state is not allowed, or the token does not come from a claim."""
    wrong = f"NEW.state <> OLD.state AND NOT ({_moves(_BY_SENDER)} OR {_moves(_BY_OPERATOR)})"
    claimed = "NEW.state = 'claimed' AND OLD.state IN ('waiting', 'retry')"
    taken = f"NEW.token IS NOT NULL AND NEW.token {differs} OLD.token AND NOT ({claimed})"
    return f"NOT (OLD.state = 'sent' AND NEW.state <> 'bounced') AND ({any_of([wrong, taken])})"


def acted_on() -> str:
    """An operator made this change, not a worker, so the log of the delivery must have a line for it."""
    waits = "NEW.state = OLD.state AND OLD.state IN ('waiting', 'retry')"
    put_off = f"{waits} AND NEW.next_attempt_at <> OLD.next_attempt_at"
    return any_of([f"({_moves(_BY_OPERATOR)}) AND NOT ({_moves(_BY_SENDER)})", put_off])


def _moves(allowed: Mapping[str, tuple[str, ...]]) -> str:
    return any_of(f"{was} AND NEW.state IN ({', '.join(map(repr, states))})" for was, states in allowed.items())


def any_of(conditions: Iterable[str]) -> str:
    """One condition that is true when any of these is."""
    return " OR ".join(f"({condition})" for condition in conditions)


PLAN_OPEN = "'approved', 'held', 'saved'"
# The orders of a plan: for others its approval is worth nothing.
PLANNED = {
    "sqlite": "SELECT key FROM json_each(json_extract(plan, '$.plan.targets.packed'))",
    "postgresql": "SELECT jsonb_object_keys((plan::jsonb #>> '{plan,targets,packed}')::jsonb)",
}


def own_approval(plan: str, dialect: str) -> str:
    """Whoever approved the plan may be its author: the same name or, where there are logins, the same login."""
    same = f"lower(trim({plan}.approver)) = lower(trim({plan}.author))"
    return f"({same} OR {plan}.approver_login = {plan}.author_login)" if dialect == "postgresql" else same


def not_approved(dialect: str) -> str:
    """No operator but its author approved the plan of the batch, or it has other orders than the plan."""
    return (
        "NOT EXISTS (SELECT 1 FROM plan WHERE account = NEW.account AND id = NEW.id AND state IN ('approved', 'held')"
        f" AND approver IS NOT NULL AND NOT {own_approval('plan', dialect)} AND NOT EXISTS (SELECT 1 FROM orders"
        f" WHERE {IN_BATCH} AND orders.id NOT IN ({PLANNED[dialect]})))"
    )
