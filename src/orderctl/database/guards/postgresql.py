"""The guards as triggers and functions of PostgreSQL."""

from collections.abc import Iterable, Iterator, Sequence

from orderctl.database.connection import POSTGRESQL
from orderctl.database.guards.conditions import (
    ACT_IN_PLACE,
    ACT_OF_LOGIN,
    ACT_OUT_OF_PLACE,
    APPEND_ONLY,
    ARRIVING,
    BECOMES_REJECTED,
    BY_A_BATCH,
    BY_THE_RULES,
    DAYS,
    DELIVERIES,
    EVENT_OF_BATCH,
    FINAL,
    FIRST_VERSIONS,
    IN_BATCH,
    IN_PLACE,
    INSTANTS,
    MAIL_KEPT,
    MAIL_READDRESSED,
    NEVER_REJECTED,
    NO_REASON,
    NUMBERS,
    ONE_ATTEMPT,
    OUT_OF_BOUNDS,
    OWN_LOGIN,
    POLICY_AMOUNT,
    POLICY_CODE,
    POLICY_HOURS,
    POLICY_ORDERS,
    POLICY_REASON,
    POLICY_SECOND,
    RECIPIENT,
    SINGLY_IN_BULK,
    SINGLY_REJECTED,
    WITH_BOUNCES,
    WITH_ERASURES,
    WITH_LETTERS,
    WITH_POLICY,
    YEARS,
    acted_on,
    any_of,
    logged,
    logged_address,
    mail_changed,
    moved,
    not_approved,
    some_event,
    writeback_changed,
)
from orderctl.database.guards.erasing import ERASABLE, STAYS_ERASED, Erasable, is_erasure, is_named_again, of_orders

# What a function raises: the message of its trigger.
_REFUSE = "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'"
# A batch is written after its mails. The id of a mail is the id of its batch, a point and a number.
_OF_BATCH = (
    "SELECT 1 FROM batch AS b JOIN (SELECT DISTINCT account, split_part(mail_id, '.', 1) AS batch_id FROM added) AS a"
    " ON a.account = b.account AND a.batch_id = b.id"
)
_LATE = (
    "SELECT 1 FROM batch AS b JOIN (SELECT DISTINCT account, batch_id FROM added) AS a"
    " ON a.account = b.account AND a.batch_id = b.id"
)


def first(frozen: Sequence[str], revision: int) -> Iterator[str]:
    """The functions that refuse, and the triggers of orders and their lines."""
    yield f"CREATE FUNCTION orderctl_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_REFUSE}; END $$"
    yield (
        "CREATE FUNCTION orderctl_refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM orders WHERE status = 'rejected' AND ("
        "(TG_OP <> 'INSERT' AND account = OLD.account AND id = OLD.order_id) OR "
        f"(TG_OP <> 'DELETE' AND account = NEW.account AND id = NEW.order_id))) THEN {_REFUSE}; END IF; "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
    )
    yield own_tables("orderctl_refuse_line")
    changed = f"({listed('NEW', frozen)}) IS DISTINCT FROM ({listed('OLD', frozen)})"
    rejected = "OLD.status = 'rejected'"
    refuse = "orderctl_refuse"
    if revision >= WITH_ERASURES:
        refuse = _unless_erased("orders")
        yield from _refusing_unerased("orders", of_orders(frozen))
    yield from trigger("orders", "orders_final_update", "UPDATE", f"{rejected} AND {changed}", FINAL, refuse)
    yield from trigger("orders", "orders_final_delete", "DELETE", rejected, FINAL)
    for verb in ("insert", "update", "delete"):
        yield from trigger(
            "order_line", f"order_line_final_{verb}", verb.upper(), "true", FINAL, "orderctl_refuse_line"
        )
    for table in ("orders", "order_line"):
        yield from _no_truncate(table, FINAL)


def _unless_erased(table: str) -> str:
    return f"orderctl_refuse_unerased_{table}"


def _refusing_unerased(table: str, erasable: Erasable) -> Iterator[str]:
    """The function that refuses a change of a row, unless it is an erasure."""
    yield (
        f"CREATE FUNCTION {_unless_erased(table)}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {is_erasure('postgresql', erasable)} THEN RETURN NEW; END IF; {_REFUSE}; END $$"
    )
    yield own_tables(_unless_erased(table))


def erased(revision: int) -> Iterator[str]:
    """A buyer who was erased stays so, whatever a file says later."""
    yield from refuse_if("named_again", is_named_again("postgresql", revision))
    for event in ("INSERT", "UPDATE"):
        name = f"buyer_stays_erased_{event.lower()}"
        yield from trigger("buyer", name, event, "true", STAYS_ERASED, "orderctl_refuse_named_again")


def own_tables(function: str) -> str:
    """Make a function use the store's own tables, even if a session has a temporary table `orders`.

    `function` has its types in parentheses if it takes any.
    """
    named = function if "(" in function else f"{function}()"
    return (
        "DO $do$ BEGIN EXECUTE format("
        f"'ALTER FUNCTION {named} SET search_path = %I, pg_temp', current_schema()); END $do$"
    )


def bounds(table: str) -> Iterator[str]:
    """Numbers and instants within their bounds."""
    wrong = {
        **{column: f"NEW.{column} NOT BETWEEN {least} AND {most}" for column, (least, most) in NUMBERS[table].items()},
        **{
            column: f"NEW.{column} NOT BETWEEN '{YEARS[0]}' AND '{YEARS[1]}'"
            for column in (*INSTANTS.get(table, ()), *DAYS.get(table, ()))
        },
    }
    inserted = list(wrong.values())
    updated = [f"NEW.{column} IS DISTINCT FROM OLD.{column} AND {bad}" for column, bad in wrong.items()]
    if table == "orders":
        inserted.append(f"NEW.version NOT BETWEEN {ARRIVING} AND {FIRST_VERSIONS}")
        updated.append("NEW.version NOT IN (OLD.version, OLD.version + 1)")
    if table == "mail":
        updated.append(ONE_ATTEMPT)
    if table == "batch":
        inserted.append("NEW.at > now() + interval '1 day'")
    else:
        yield from trigger(table, f"{table}_bounds_update", "UPDATE", any_of(updated), OUT_OF_BOUNDS)
    yield from trigger(table, f"{table}_bounds_insert", "INSERT", any_of(inserted), OUT_OF_BOUNDS)


def place() -> Iterator[str]:
    """Of two rejections at once, the second is refused like a violation of the unique index, and is retried."""
    wrong = "NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM batch WHERE account = NEW.account)"
    yield from refuse_if("place", wrong, unique="ix_batch_account_position")
    yield from trigger("batch", "batch_in_place", "INSERT", "true", IN_PLACE, "orderctl_refuse_place")


def acts() -> Iterator[str]:
    """An act stands behind the last one, or is refused and retried like a batch; and it names its own login."""
    yield from refuse_if("act", ACT_OUT_OF_PLACE, unique="pk_act")
    yield from trigger("act", "act_in_place", "INSERT", "true", ACT_IN_PLACE, "orderctl_refuse_act")
    other = "NEW.login IS DISTINCT FROM session_user::text"
    yield from trigger("act", "act_of_login", "INSERT", other, ACT_OF_LOGIN)


def mails(revision: int) -> Iterator[str]:
    """A mail keeps what it was queued as, its orders too, and goes from state to state as allowed."""
    yield from _delivery("mail", mail_changed("IS DISTINCT FROM", revision), revision)
    if revision >= WITH_BOUNCES:
        yield from refuse_if("address", f"NOT EXISTS ({logged_address()})")
        other = "NEW.state = 'waiting' AND NEW.recipient IS DISTINCT FROM OLD.recipient"
        yield from trigger("mail", "mail_kept_recipient", "UPDATE", other, MAIL_READDRESSED, "orderctl_refuse_address")
    yield from refuse_if("mail_order", f"EXISTS ({_OF_BATCH})")
    yield from _kept("mail_order", "true", MAIL_KEPT, revision)
    yield from after_insert("mail_order", "mail_order_kept_insert", f"orderctl_refuse_mail_order('{MAIL_KEPT}')")


def writebacks() -> Iterator[str]:
    """A write-back keeps what it was queued as, and goes from state to state as a mail does."""
    return _delivery("writeback", writeback_changed("IS DISTINCT FROM"), WITH_ERASURES)


def _delivery(table: str, changed: str, revision: int) -> Iterator[str]:
    is_kept, is_moved, is_logged = DELIVERIES[table]
    yield from refuse_if(table, f"NOT EXISTS ({logged(table)})")
    yield from _kept(table, changed, is_kept, revision)
    yield from trigger(table, f"{table}_kept_moves", "UPDATE", moved("IS DISTINCT FROM"), is_moved)
    yield from trigger(table, f"{table}_kept_logged", "UPDATE", acted_on(), is_logged, f"orderctl_refuse_{table}")


def _kept(table: str, changed: str, message: str, revision: int) -> Iterator[str]:
    """No row is deleted, and none is changed so, but by an erasure."""
    refuse = "orderctl_refuse"
    if revision >= WITH_ERASURES:
        refuse = _unless_erased(table)
        yield from _refusing_unerased(table, ERASABLE[table])
    yield from trigger(table, f"{table}_kept_update", "UPDATE", changed, message, refuse)
    yield from trigger(table, f"{table}_kept_delete", "DELETE", "true", message)
    yield from _no_truncate(table, message)


# A checkpoint as `audit.checkpoint` writes it, and nothing else: it may go to anybody. `.` stands for a dash that not
# every encoding has.
_CHECKPOINT = (
    r"\Aorderctl/\S+\n[0-9]+\n[A-Za-z0-9+/]{43}=\ntime \S+\nacts [0-9]+ [A-Za-z0-9+/]{43}=\n"
    r"(\n. \S+ [A-Za-z0-9+/]+={0,2}\n)?\Z"
)


def recipients(revision: int) -> Iterator[str]:
    """A mail that is queued goes to the address of its buyer, and nobody adds one to a batch that is there."""
    addressed = "SELECT 1 FROM buyer AS b WHERE b.account = m.account AND b.id = m.buyer_id AND b.email = m.recipient"
    if revision >= WITH_LETTERS:
        addressed += " AND m.subject IS NULL AND m.text IS NULL AND m.html IS NULL"
        plain = f"m.subject ~ '\\Aorderctl checkpoint [0-9]+\\Z' AND m.text ~ '{_CHECKPOINT}' AND m.html = ''"
        addressed += f" UNION ALL SELECT 1 WHERE m.batch_id = '' AND m.buyer_id = '' AND {plain}"
    refused = f"EXISTS ({_LATE}) OR EXISTS (SELECT 1 FROM added AS m WHERE NOT EXISTS ({addressed}))"
    yield from refuse_if("recipient", refused, returns="NULL")
    yield from after_insert("mail", "mail_to_its_buyer", f"orderctl_refuse_recipient('{RECIPIENT}')")


def gone() -> Iterator[str]:
    """Since when an order is gone can be read. A rejection does not change this column, and is not checked for it."""
    wrong = f"NEW.gone_at NOT BETWEEN '{YEARS[0]}' AND '{YEARS[1]}'"
    yield from trigger("orders", "orders_gone_insert", "INSERT", wrong, OUT_OF_BOUNDS)
    yield from trigger("orders", "orders_gone_update", "UPDATE OF gone_at", wrong, OUT_OF_BOUNDS)


def memory(revision: int) -> Iterator[str]:
    """What a batch remembers is append-only, and nothing is added once the batch is there."""
    yield from refuse_if("late", f"EXISTS ({_LATE})", returns="NULL")
    for table in ("batch_verdict", "batch_origin"):
        yield from append_only(table, revision)
        yield from after_insert(table, f"{table}_append_only_late", f"orderctl_refuse_late('{APPEND_ONLY}')")


def row_security(table: str) -> Iterator[str]:
    """A login sees and writes the rows of the accounts that it is a member of; the owner is no exception.

    `session_user` is who logged in, also inside views and functions of the owner. The subquery stands alone, so that
    it runs once for each statement: a function would be called for each row, and double the time of a rejection.
    """
    yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
    yield f"CREATE POLICY of_members ON {table} USING (account = ANY (ARRAY({POSTGRESQL.accounts})))"


def member_security() -> Iterator[str]:
    """A login sees its own rows. Not forced: the owner has to be able to add the first member of an account."""
    yield "ALTER TABLE member ENABLE ROW LEVEL SECURITY"
    yield "CREATE POLICY of_members ON member FOR SELECT USING (login = session_user::text)"


def refuse_if(name: str, refused: str, *, returns: str = "NEW", unique: str = "") -> Iterator[str]:
    """The function `orderctl_refuse_NAME`, which refuses under a condition. After a statement it returns NULL.

    With `unique`, it refuses as this unique index would.
    """
    violation = f"unique_violation', CONSTRAINT = '{unique}" if unique else "integrity_constraint_violation"
    yield (
        f"CREATE FUNCTION orderctl_refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {refused} THEN"
        f" RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = '{violation}'; END IF; RETURN {returns}; END $$"
    )
    yield own_tables(f"orderctl_refuse_{name}")


def after_insert(table: str, name: str, call: str) -> Iterator[str]:
    """A trigger that calls a function with the rows `added` by a statement.

    Once for each statement: a call for each of 100,000 rows takes half a second.
    """
    yield (
        f"CREATE TRIGGER {name} AFTER INSERT ON {table} REFERENCING NEW TABLE AS added"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {call}"
    )
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


def by_a_batch(revision: int) -> Iterator[str]:
    """An existing order becomes rejected only together with the event of its batch."""
    yield from trigger(
        "orders", "orders_by_a_batch", "UPDATE", f"{BECOMES_REJECTED} AND NEW.batch_id IS NULL", BY_A_BATCH
    )
    # Once for each statement, after it: a rejection writes orders and events in one statement, and a call for each
    # order would add a quarter to its time. A scalar subquery is looked up by the key, however many events there are.
    found = f"(SELECT 1 FROM order_event WHERE {EVENT_OF_BATCH.replace('NEW.', 'changed.')})"
    with_policy = revision >= WITH_POLICY
    # Nobody else writes `batch_begun`.
    definer = " SECURITY DEFINER" if with_policy else ""
    yield (
        f"CREATE FUNCTION orderctl_refuse_without_event() RETURNS trigger LANGUAGE plpgsql{definer} AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM changed WHERE status = 'rejected' AND batch_id IS NOT NULL"
        f" AND {found} IS NULL) THEN {_REFUSE}; END IF; "
        f"{_BEGIN_BATCHES if with_policy else ''}RETURN NULL; END $$"
    )
    yield own_tables("orderctl_refuse_without_event")
    # A session keeps the plan: one that was made while there were few events would read all of them for each order.
    yield "ALTER FUNCTION orderctl_refuse_without_event() SET enable_seqscan = off"
    before = " OLD TABLE AS former" if with_policy else ""
    yield (
        f"CREATE TRIGGER orders_with_events AFTER UPDATE ON orders REFERENCING{before} NEW TABLE AS changed"
        f" FOR EACH STATEMENT EXECUTE FUNCTION orderctl_refuse_without_event('{BY_A_BATCH}')"
    )
    yield "ALTER TABLE orders ENABLE ALWAYS TRIGGER orders_with_events"


# A batch is written after its orders. Until then its row in `batch_begun` refers to nothing, and the foreign key lets
# nobody commit. An order cannot join a batch that is there.
_BEGIN_BATCHES = (
    "INSERT INTO batch_begun (account, id) SELECT DISTINCT account, batch_id FROM changed"
    " WHERE status = 'rejected' AND batch_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.account = changed.account AND b.id = changed.batch_id)"
    " ON CONFLICT DO NOTHING; "
    "IF EXISTS (SELECT 1 FROM changed JOIN batch AS b ON b.account = changed.account AND b.id = changed.batch_id"
    " WHERE changed.status = 'rejected' AND NOT EXISTS (SELECT 1 FROM former WHERE former.account = changed.account"
    f" AND former.id = changed.id AND former.status = 'rejected')) THEN {_REFUSE}; END IF; "
)


def policy() -> Iterator[str]:
    """The rules of the mode of a batch, the policy of the store, and the logins of plans."""
    yield from trigger(
        "orders", "orders_by_the_rules", "UPDATE", f"{BECOMES_REJECTED} AND ({NEVER_REJECTED})", BY_THE_RULES
    )
    event = f"SELECT 1 FROM order_event WHERE {EVENT_OF_BATCH} AND from_status = OLD.status"
    yield from refuse_if("status", f"NOT EXISTS ({event})", returns="NULL")
    # After the statement that writes orders and events at once. Few orders are of such a status.
    singly = f"{BECOMES_REJECTED} AND OLD.status IN ({SINGLY_REJECTED})"
    yield (
        f"CREATE TRIGGER orders_singly AFTER UPDATE ON orders FOR EACH ROW WHEN ({singly}) "
        f"EXECUTE FUNCTION orderctl_refuse_status('{BY_A_BATCH}')"
    )
    yield "ALTER TABLE orders ENABLE ALWAYS TRIGGER orders_singly"
    yield from _batch()
    own = "IS DISTINCT FROM session_user::text"
    steps = ("approver", "approver_login", "approved_at")
    changed = f"({listed('NEW', steps)}) IS DISTINCT FROM ({listed('OLD', steps)})"
    inserted = f"NEW.author_login {own} OR (NEW.approver IS NOT NULL AND NEW.approver_login {own})"
    yield from trigger("plan", "plan_own_login_insert", "INSERT", inserted, OWN_LOGIN)
    yield from trigger("plan", "plan_own_login_update", "UPDATE", f"{changed} AND NEW.approver_login {own}", OWN_LOGIN)


def _batch() -> Iterator[str]:
    """The check of a batch when it is written: its orders are there by then, and none can be added later."""

    def more_money(name: str) -> str:
        most = f"jsonb_each_text(rule -> '{name}') AS most"
        return f"EXISTS (SELECT 1 FROM {most} WHERE (sums ->> most.key)::numeric > most.value::numeric)"

    opens, closes = "rule ->> 'opens'", "rule ->> 'closes'"
    open_now = (
        f"CASE WHEN {opens} < {closes} THEN hour >= {opens} AND hour < {closes}"
        f" ELSE hour >= {opens} OR hour < {closes} END"
    )
    needs_second = any_of(
        ["number > (rule ->> 'second_operator_above_orders')::int", more_money("second_operator_above_amounts")]
    )
    wrong_code = some_event("e.reason_code", "NOT rule -> 'reason_codes' ? {}")
    refused = {
        POLICY_ORDERS: "number > (rule ->> 'max_orders')::int",
        POLICY_AMOUNT: more_money("max_amounts"),
        POLICY_REASON: f"(rule ->> 'reason_required')::boolean AND NEW.reason = '' AND {NO_REASON}",
        POLICY_CODE: f"jsonb_array_length(rule -> 'reason_codes') > 0 AND {wrong_code}",
        POLICY_HOURS: f"{opens} IS NOT NULL AND NOT {open_now}",
        POLICY_SECOND: f"({needs_second}) AND {not_approved('postgresql')}",
    }
    cases = " ".join(f"WHEN {condition} THEN '{message}'" for message, condition in refused.items())
    yield (
        "CREATE FUNCTION orderctl_refuse_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
        " DECLARE rule jsonb; number bigint; sums jsonb; hour text; refused text; BEGIN "
        # Waits for a transaction that began a batch of this id, and fails or finds its orders then.
        "INSERT INTO batch_begun (account, id) VALUES (NEW.account, NEW.id) ON CONFLICT DO NOTHING; "
        f"IF {SINGLY_IN_BULK} THEN {_REFUSE}; END IF; "
        "SELECT rules INTO rule FROM policy WHERE account = NEW.account ORDER BY position DESC LIMIT 1; "
        "IF NOT FOUND THEN RETURN NEW; END IF; "
        "SELECT greatest(NEW.rejected, coalesce(sum(orders), 0)), coalesce(jsonb_object_agg(currency, amount), '{}')"
        " INTO number, sums FROM (SELECT currency, count(*) AS orders, sum(greatest(total, 0)) AS amount"
        f" FROM orders WHERE {IN_BATCH} GROUP BY currency) AS of_currency; "
        "hour := to_char(clock_timestamp() AT TIME ZONE (rule ->> 'time_zone'), 'HH24:MI'); "
        f"refused := CASE {cases} END; IF refused IS NOT NULL THEN RAISE EXCEPTION '%', refused"
        " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
    )
    yield own_tables("orderctl_refuse_batch")
    yield from trigger("batch", "batch_policy", "INSERT", "true", BY_THE_RULES, "orderctl_refuse_batch")


def append_only(log: str, revision: int) -> Iterator[str]:
    """The rows of a log are added and never changed, but by an erasure."""
    refuse = "orderctl_refuse"
    if revision >= WITH_ERASURES and log in ERASABLE:
        refuse = _unless_erased(log)
        yield from _refusing_unerased(log, ERASABLE[log])
    yield from trigger(log, f"{log}_append_only_update", "UPDATE", "true", APPEND_ONLY, refuse)
    yield from trigger(log, f"{log}_append_only_delete", "DELETE", "true", APPEND_ONLY)
    yield from _no_truncate(log, APPEND_ONLY)


def _no_truncate(table: str, message: str) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
        f"EXECUTE FUNCTION orderctl_refuse('{message}')"
    )
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate"


def listed(row: str, columns: Iterable[str]) -> str:
    """These columns of a row."""
    return ", ".join(f"{row}.{column}" for column in columns)


def trigger(
    table: str, name: str, event: str, when: str, message: str, function: str = "orderctl_refuse"
) -> Iterator[str]:
    """A trigger that refuses a row with this message, by a function that raises it."""
    yield (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) "
        f"EXECUTE FUNCTION {function}('{message}')"
    )
    # ALWAYS: `session_replication_role = replica` does not disable it.
    yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
