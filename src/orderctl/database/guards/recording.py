"""What PostgreSQL itself knows of a record, and no client decides: who wrote it, when, and whether a batch is whole.

Plans are approved and closed by functions of the owner: operators have no right to change the table. All of them take
the account first, and ask `session_user`, which neither SET ROLE nor a function changes.
"""

from collections.abc import Iterator

from orderctl.database.guards.conditions import (
    APPEND_ONLY,
    BATCH_APPROVER,
    BATCH_COUNTS,
    BATCH_DIGEST,
    BATCH_EVENTS,
    BATCH_LOGIN,
    BATCH_MAILS,
    BATCH_PLAN,
    BATCH_PREVIOUS,
    IN_BATCH,
    MAILS_UNDIGESTED,
    OWN_APPROVAL,
    OWN_TIME,
    PLAN_OPEN,
    PLAN_STEP,
    PLANNED,
    WITH_MAIL_DIGESTS,
    own_approval,
)
from orderctl.database.guards.postgresql import after_insert, listed, own_tables, refuse_if, trigger

# As many events as `audit.log.BLOCK` are digested together.
_BLOCK = 1_000
# As `database.clock.SLACK`: within it the time of the newest record is taken.
_SLACK = "interval '5 seconds'"
_STAMP = (
    "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"
    " || CASE WHEN date_trunc('second', {0}) = {0} THEN '' ELSE to_char({0} AT TIME ZONE 'UTC', '.US') END || '+00:00'"
)
# Printable ASCII but for quotes and backslashes: what JSON writes as it is.
_UNLIKE_JSON = "'[^] !#-[^-~]'"
_STEPS = (
    "orderctl_lock_plan(text, text)",
    "orderctl_approve_plan(text, text, text, text, timestamptz, text, timestamptz, timestamptz, text)",
    "orderctl_close_plan(text, text, text, text, timestamptz, text, text)",
)


def recording(revision: int) -> Iterator[str]:
    """The triggers and functions, in the order in which they need each other."""
    # The owner can drop the triggers anyway, and moves records that were made elsewhere.
    yield from refuse_if("time", f"NOT {_is_owner('TG_RELID')}")
    for table, column in {"batch": "at", "plan": "made_at", "mail_event": "at"}.items():
        wrong = f"NEW.{column} NOT BETWEEN now() - {_SLACK} AND clock_timestamp() + {_SLACK}"
        yield from trigger(table, f"{table}_own_time", "INSERT", wrong, OWN_TIME, "orderctl_refuse_time")
    yield from _events()
    yield from _whole_batch(with_mails=revision >= WITH_MAIL_DIGESTS)
    yield from _plans()


def _is_owner(table: str) -> str:
    return f"pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = {table}), 'MEMBER')"


def _raise(message: str) -> str:
    return f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'"


def _events() -> Iterator[str]:
    """The events of a batch are counted as they are written, once for each statement, and none is added later."""
    yield (
        "CREATE FUNCTION orderctl_count_events() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM batch AS b JOIN (SELECT DISTINCT account, coalesce(batch_id, id) AS batch_id"
        " FROM added) AS a ON a.account = b.account AND a.batch_id = b.id) THEN "
        f"{_raise(APPEND_ONLY)}; END IF; "
        f"IF EXISTS (SELECT 1 FROM added WHERE at NOT BETWEEN now() - {_SLACK} AND clock_timestamp() + {_SLACK})"
        f" AND NOT {_is_owner('TG_RELID')} THEN {_raise(OWN_TIME)}; END IF; "
        "INSERT INTO batch_begun AS begun (account, id, events) SELECT account, batch_id, count(*) FROM added"
        " WHERE batch_id IS NOT NULL GROUP BY account, batch_id"
        " ON CONFLICT (account, id) DO UPDATE SET events = begun.events + excluded.events; "
        "RETURN NULL; END $$"
    )
    yield own_tables("orderctl_count_events")
    yield from after_insert("order_event", "order_event_counted", "orderctl_count_events()")


def _quoted(text: str) -> str:
    return f"orderctl_quoted({text})"


def _header(*, with_mails: bool) -> str:
    """The fields of a batch as `audit.log.header_line` writes them: a JSON object with sorted keys."""
    optional = {"actor_login", "reason_code", "request_digest", "request_key"}
    optional |= {"mails_digest"} if with_mails else set()
    numbers = {"mails", "planned", "position", "rejected", "skipped"}
    texts = {"actor", "approver", "events_digest", "host", "id", "message", "mode", "previous", "program", "reason"}
    values = {name: f"NEW.{name}::text" for name in numbers}
    values |= {name: _quoted(f"NEW.{name}") for name in texts | optional | {"source"}}
    values |= {"at": _quoted("stamp"), "mail_per_order": "(NEW.mail_per_order <> 0)::text"}
    said = {name: f"'\"{name}\": ' || {value}" for name, value in values.items()}
    said |= {name: f"CASE WHEN NEW.{name} <> '' THEN {said[name]} END" for name in optional}
    # What may be erased is digested with the salt of the batch.
    erasable = ("source", "reason", "message", "request_digest")
    said |= {name: f"CASE WHEN NEW.salt = '' THEN {said[name]} END" for name in erasable}
    salted = ", ".join(_quoted(f"NEW.{name}") for name in ("salt", *erasable))
    hashed = f"encode(sha256(convert_to('[' || concat_ws(', ', {salted}) || ']', 'UTF8')), 'hex')"
    said["salted"] = f"CASE WHEN NEW.salt <> '' THEN '\"salted\": \"' || {hashed} || '\"' END"
    return f"'{{' || concat_ws(', ', {', '.join(said[name] for name in sorted(said))}) || '}}'"


def _line() -> str:
    """An event `e` as `audit.log.event_line` writes it. What all of a batch have alike is made once."""
    code, lines = _quoted("e.reason_code"), _quoted("e.lines_digest")
    plain = (
        '\'["\' || e.order_id || middle || e.from_status || \'", "rejected", "\' || e.detail || ending'
        " || CASE WHEN e.lines_digest <> '' THEN ', \"' || e.reason_code || '\", \"' || e.lines_digest || '\"'"
        " WHEN e.reason_code <> '' THEN ', \"' || e.reason_code || '\"' ELSE '' END || E']\\n'"
    )
    quoted = (
        f"'[' || {_quoted('e.order_id')} || substr(middle, 2, length(middle) - 2) || {_quoted('e.from_status')}"
        f" || ', \"rejected\", ' || {_quoted('e.detail')} || substr(ending, 2)"
        f" || CASE WHEN e.lines_digest <> '' THEN ', ' || {code} || ', ' || {lines}"
        f" WHEN e.reason_code <> '' THEN ', ' || {code} ELSE '' END || E']\\n'"
    )
    together = "e.order_id || e.from_status || e.detail || e.reason_code || e.lines_digest"
    return f'CASE WHEN ({together}) COLLATE "C" ~ {_UNLIKE_JSON} THEN {quoted} ELSE {plain} END'


def _as_json() -> str:
    """A function that writes a text as Python's json does, in ASCII."""
    code = "ascii(part.sign)"
    escape = "'\\u' || lpad(to_hex({}), 4, '0')"
    high, low = f"55296 + (({code} - 65536) >> 10)", f"56320 + (({code} - 65536) & 1023)"
    short = {r"E'\n'": r"\n", r"E'\r'": r"\r", r"E'\t'": r"\t", r"E'\b'": r"\b", r"E'\f'": r"\f"}
    cases = " ".join(f"WHEN part.sign = {sign} THEN '{written}'" for sign, written in short.items())
    return (
        "CREATE FUNCTION orderctl_quoted(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT"
        f" CASE WHEN given COLLATE \"C\" !~ {_UNLIKE_JSON} THEN '\"' || given || '\"' ELSE '\"' ||"
        f" (SELECT string_agg(CASE WHEN part.sign IN ('\"', '\\') THEN '\\' || part.sign {cases}"
        f" WHEN {code} BETWEEN 32 AND 126 THEN part.sign WHEN {code} < 65536 THEN {escape.format(code)}"
        f" ELSE {escape.format(high)} || {escape.format(low)} END, '' ORDER BY part.place)"
        " FROM string_to_table(given, NULL) WITH ORDINALITY AS part (sign, place)) || '\"' END $$"
    )


def _digested() -> str:
    """Reads the events of a batch: how many there are, whether they are of it, and their digest."""
    same = (
        "e.batch_id = NEW.id AND e.kind = 'rejected' AND e.to_status = 'rejected' AND e.from_status IS NOT NULL"
        " AND e.actor = NEW.actor AND e.at = NEW.at AND o.rejected_at = NEW.at AND o.lines_digest = e.lines_digest"
    )
    numbered = (
        f"SELECT id, rejected_at, lines_digest, (row_number() OVER (ORDER BY id) - 1) / {_BLOCK} AS place"
        f" FROM orders WHERE {IN_BATCH}"
    )
    # OFFSET 0 keeps it from being joined: of rows that were just written there are no statistics, and below a policy of
    # row level security each event would be compared with every order of the batch.
    event = (
        "SELECT batch_id, order_id, kind, from_status, to_status, detail, reason_code, actor, at, lines_digest"
        " FROM order_event WHERE account = NEW.account AND order_id = o.id AND id = NEW.id OFFSET 0"
    )
    return (
        "SELECT coalesce(sum(events), 0), coalesce(bool_and(same), true),"
        " encode(sha256(coalesce(string_agg(block, ''::bytea ORDER BY place), ''::bytea)), 'hex')"
        " INTO number, alike, hashed FROM (SELECT place, count(*) AS events, bool_and(same) AS same,"
        " sha256(convert_to(string_agg(line, '' ORDER BY id), 'UTF8')) AS block FROM ("
        f"SELECT o.place, o.id, {same} AS same, {_line()} AS line FROM ({numbered}) AS o"
        f" CROSS JOIN LATERAL ({event}) AS e) AS lines GROUP BY place) AS blocks; "
    )


def _whole_batch(*, with_mails: bool) -> Iterator[str]:
    """A batch is what its orders and events say, follows the one before it, and names who approved it."""
    yield _as_json()
    begun = "SELECT events FROM batch_begun WHERE account = NEW.account AND id = NEW.id"
    undigested = f"IF {MAILS_UNDIGESTED} THEN {_raise(BATCH_MAILS)}; END IF; " if with_mails else ""
    header = f"encode(sha256(convert_to({_header(with_mails=with_mails)}, 'UTF8')), 'hex')"
    yield (
        "CREATE FUNCTION orderctl_refuse_unlike() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "DECLARE number bigint; alike boolean; hashed text; stamp text; middle text; ending text; of_plan record;"
        " signed text; BEGIN "
        "IF NEW.previous <> coalesce((SELECT digest FROM batch WHERE account = NEW.account"
        f" AND position = NEW.position - 1), '') THEN {_raise(BATCH_PREVIOUS)}; END IF; {_approved()}"
        f"stamp := {_STAMP.format('NEW.at')}; "
        f"middle := '\", ' || {_quoted('NEW.id')} || ', ' || {_quoted('NEW.id')} || ', \"rejected\", \"'; "
        f"ending := '\", ' || {_quoted('NEW.actor')} || ', ' || {_quoted('stamp')}; "
        f"{_digested()}IF NOT alike THEN {_raise(BATCH_EVENTS)}; END IF; "
        "IF number <> NEW.rejected OR NEW.planned < NEW.rejected"
        f" OR NEW.rejected <> (SELECT count(*) FROM orders WHERE {IN_BATCH}) OR NEW.rejected <> ({begun})"
        f" OR NEW.mails <> (SELECT count(*) FROM mail WHERE {IN_BATCH}) THEN {_raise(BATCH_COUNTS)}; END IF; "
        f"{undigested}"
        # In another encoding the text has other bytes: `log verify` finds a digest that does not fit.
        f"IF getdatabaseencoding() = 'UTF8' AND (NEW.events_digest <> hashed OR NEW.digest <> {header}) THEN "
        f"{_raise(BATCH_DIGEST)}; END IF; RETURN NULL; END $$"
    )
    yield own_tables("orderctl_refuse_unlike")
    # After the other triggers and the unique indexes, which say more, and let a program try again.
    yield "CREATE TRIGGER batch_whole AFTER INSERT ON batch FOR EACH ROW EXECUTE FUNCTION orderctl_refuse_unlike()"
    yield "ALTER TABLE batch ENABLE ALWAYS TRIGGER batch_whole"


def _approved() -> str:
    """Who the batch says made and approved it: this login, or the author and the approver of its saved plan."""
    me = "' (db: ' || session_user || ')'"
    planned = PLANNED["postgresql"].replace("plan::jsonb", "of_plan.plan::jsonb")
    others = f"SELECT 1 FROM orders WHERE {IN_BATCH} AND orders.id NOT IN ({planned})"
    too_late = "clock_timestamp() >= of_plan.expires_at OR clock_timestamp() < of_plan.due_at"
    alone = f"of_plan.approver IS NULL OR {own_approval('of_plan', 'postgresql')}"
    runner = f"{me} || CASE WHEN of_plan.approver IS NULL THEN ' (plan run, ' ELSE ', ' END"
    return (
        "SELECT author, author_login, approver, approver_login, state, second_operator, expires_at, due_at, plan"
        " INTO of_plan FROM plan WHERE account = NEW.account AND id = NEW.id; "
        "IF NOT FOUND THEN "
        f"IF NEW.actor_login <> session_user THEN {_raise(BATCH_LOGIN)}; END IF; signed := NEW.actor || {me} || ' ('; "
        "ELSE "
        "IF NEW.actor <> of_plan.author OR NEW.actor_login <> of_plan.author_login THEN "
        f"{_raise(BATCH_LOGIN)}; END IF; "
        f"IF of_plan.state NOT IN ({PLAN_OPEN}) OR (NOT {_is_owner('TG_RELID')} AND ({too_late}))"
        f" OR EXISTS ({others}) THEN {_raise(BATCH_PLAN)}; END IF; "
        f"IF of_plan.second_operator <> 0 AND ({alone}) THEN {_raise(OWN_APPROVAL)}; END IF; "
        f"IF strpos(NEW.approver, {runner}) = 0 THEN {_raise(BATCH_APPROVER)}; END IF; "
        "signed := coalesce(of_plan.approver || ' (db: ' || of_plan.approver_login || ') (', ''); "
        "END IF; "
        f"IF NOT starts_with(NEW.approver, signed) THEN {_raise(BATCH_APPROVER)}; END IF; "
    )


def _plans() -> Iterator[str]:
    """A plan begins saved, or held by its author; every later step goes through a function of the owner."""
    begun = (
        "NEW.state NOT IN ('saved', 'held') OR NEW.closed_at IS NOT NULL OR NEW.closed_by IS NOT NULL"
        " OR (NEW.state = 'held') <> (NEW.approver IS NOT NULL)"
    )
    yield from trigger("plan", "plan_begins_open", "INSERT", begun, PLAN_STEP)
    steps = ("approver", "approver_login", "approved_at")
    approves = f"NEW.approver IS NOT NULL AND ({listed('NEW', steps)}) IS DISTINCT FROM ({listed('OLD', steps)})"
    own = f"{approves} AND {own_approval('NEW', 'postgresql')}"
    yield from trigger("plan", "plan_own_approval", "UPDATE", own, OWN_APPROVAL)
    yield from _plan_functions()


def _plan_functions() -> Iterator[str]:
    """The functions through which operators lock, approve and close a plan."""
    found = "FROM plan WHERE account = of_account AND id = of_plan"
    too_late = f"NOT {_is_owner(chr(39) + 'plan' + chr(39) + '::regclass')}"
    written = f"(given_at NOT BETWEEN now() - {_SLACK} AND clock_timestamp() + {_SLACK})"
    definer = "LANGUAGE plpgsql SECURITY DEFINER AS $$"
    yield (
        f"CREATE FUNCTION orderctl_lock_plan(of_account text, of_plan text) RETURNS void {definer} BEGIN"
        f" PERFORM 1 {found} FOR UPDATE; END $$"
    )
    yield (
        "CREATE FUNCTION orderctl_approve_plan(of_account text, of_plan text, before text, given_approver text,"
        " given_at timestamptz, given_how text, given_due timestamptz, given_expires timestamptz, given_digest text)"
        f" RETURNS integer {definer} DECLARE was record; BEGIN "
        f"SELECT state, expires_at, made_at, due_at INTO was {found} AND digest = before FOR UPDATE; "
        "IF NOT FOUND THEN RETURN 0; END IF; "
        f"IF was.state NOT IN ({PLAN_OPEN}) OR given_expires IS DISTINCT FROM (CASE WHEN given_due IS NULL THEN"
        " was.expires_at ELSE given_due + (was.expires_at - coalesce(was.due_at, was.made_at)) END)"
        " OR (given_due IS NULL AND was.due_at IS NOT NULL)"
        f" OR ((clock_timestamp() >= was.expires_at OR {written}) AND {too_late}) THEN {_raise(PLAN_STEP)}; END IF; "
        "UPDATE plan SET state = CASE WHEN given_due IS NULL THEN 'approved' ELSE 'held' END,"
        " approver = given_approver, approver_login = session_user, approved_at = given_at, how = given_how,"
        " due_at = given_due, expires_at = given_expires, digest = given_digest"
        " WHERE account = of_account AND id = of_plan; RETURN 1; END $$"
    )
    yield (
        "CREATE FUNCTION orderctl_close_plan(of_account text, of_plan text, before text, given_state text,"
        " given_at timestamptz, given_by text, given_digest text)"
        f" RETURNS integer {definer} DECLARE was text; BEGIN "
        f"SELECT state INTO was {found} AND digest = before FOR UPDATE; "
        "IF NOT FOUND THEN RETURN 0; END IF; "
        f"IF was NOT IN ({PLAN_OPEN}) OR NOT (given_state = 'cancelled' OR (given_state = 'executed' AND EXISTS"
        " (SELECT 1 FROM batch WHERE account = of_account AND id = of_plan AND at = given_at)))"
        f" OR ({written} AND {too_late}) THEN {_raise(PLAN_STEP)}; END IF; "
        "UPDATE plan SET state = given_state, closed_at = given_at, closed_by = given_by,"
        " closed_by_login = session_user, digest = given_digest"
        " WHERE account = of_account AND id = of_plan; RETURN 1; END $$"
    )
    for function in _STEPS:
        yield own_tables(function)
        yield f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC"
