"""Assesses a choice: reads its orders once, and answers every question of a plan from them in one statement."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orderctl.core.money import Money, add_up
from orderctl.database.connection import Connection, Dialect, read_day, read_instant
from orderctl.filters.queries import summaries_sql
from orderctl.orders.eligibility import Mode, refusal_sql
from orderctl.orders.orders import OrderSummary, Status
from orderctl.orders.queries import read_summary
from orderctl.rejection.impact import Freshness, Impact, LargestOrder, NamedBuyers, SeasonShare
from orderctl.rejection.plan import Assessment, MailPlan, Skipped, SystemOrders, Targets
from orderctl.selection.queries import choice_condition, origins_of, taken_out
from orderctl.selection.selection import Choice, FilterScope, InputSummary

# The orders that the plan rejects, and their groups. More conditions may follow with AND.
PLANNED = "hit WHERE refusal IS NULL"
GROUPS = "grouped WHERE refusal IS NULL"
# The orders of the choice, their groups by refusal, currency and season, and what each buyer has in each planned
# season.
_HIT = (
    "hit AS MATERIALIZED (SELECT id, version, {refusal} AS refusal, currency, season, total, buyer_id, ordered_at,"
    " delivery_from AS begins, coalesce(delivery_to, delivery_from) AS ends,"
    " CASE WHEN changed_at >= :changed_since THEN 1 END AS changed FROM orders WHERE account = :account AND {chosen})"
)
_SUMS = (
    # The only subquery that sorts all orders, by the most selective column first. The other sums build on it.
    (
        "summed AS MATERIALIZED (SELECT buyer_id, season, currency, refusal, count(*) AS orders, sum(total) AS total,"
        " sum(CASE WHEN total > 0 THEN total ELSE 0 END) AS above_zero, max(total) AS top FROM hit"
        " GROUP BY buyer_id, season, currency, refusal)"
    ),
    (
        "grouped AS MATERIALIZED (SELECT refusal, currency, season, CAST(sum(orders) AS BIGINT) AS orders,"
        " CAST(sum(total) AS BIGINT) AS total, CAST(sum(above_zero) AS BIGINT) AS above_zero, max(top) AS top"
        " FROM summed GROUP BY refusal, currency, season)"
    ),
    (
        "bought AS MATERIALIZED (SELECT buyer_id, season, CAST(sum(orders) AS BIGINT) AS orders FROM summed"
        " WHERE refusal IS NULL GROUP BY buyer_id, season)"
    ),
    (
        "told AS MATERIALIZED (SELECT bought.buyer_id AS id, buyer.name, buyer.email, buyer.language,"
        " coalesce(buyer.cc, '') <> '' OR coalesce(buyer.bcc, '') <> '' AS copied,"
        " sum(bought.orders) AS orders, max(CASE WHEN bought.season <> '' AND ({confirmed}) IS NOT NULL THEN 1 END)"
        " AS confirmed FROM bought LEFT JOIN buyer ON buyer.account = :account AND buyer.id = bought.buyer_id"
        " GROUP BY bought.buyer_id, buyer.name, buyer.email, buyer.language, buyer.cc, buyer.bcc)"
    ),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One question about the orders: a query, and the columns of the answer."""

    name: str
    columns: str
    query: str


@dataclass(frozen=True, slots=True)
class Read:
    """The answers, as the database packed them."""

    packed: Mapping[str, str]

    def rows(self, name: str) -> list[list[Any]]:
        """The rows of a part, decoded."""
        rows: list[list[Any]] = json.loads(self.packed[name])
        return rows


def read_choice(
    connection: Connection, choice: Choice, mode: Mode, parts: Iterable[Part], params: Mapping[str, object]
) -> Read:
    """Read the orders of a choice once, and answer `parts` about them; `targets` and `refused` are objects by id.

    With a parameter `seen_since` stale orders are refused too.
    """
    dialect = connection.dialect
    chosen = choice_condition(choice, dialect)
    packed = {part.name: dialect.json_rows(part.columns, f"({part.query}) AS {part.name}_part") for part in parts}
    packed |= _by_id(dialect)
    hit = _HIT.format(refusal=refusal_sql(mode, or_stale="seen_since" in params), chosen=chosen.sql)
    sums = ", ".join(_SUMS).format(confirmed=_confirmed(mode))
    answers = ", ".join(f"(SELECT {sql}) AS {name}" for name, sql in packed.items())
    row = connection.execute(f"WITH {hit}, {sums} SELECT {answers}", {**chosen.params, **params}).fetchone()
    return Read(dict(zip(packed, row or (), strict=True)))


# The number of open orders and their value in minor units, by season and currency.
OpenTotals = Mapping[tuple[str, str], tuple[int, int]]
# The condition of the index `ix_orders_open`: only then is it used.
_OPEN = f"status NOT IN ('{Status.RETURNED_TO_CART}', '{Status.REJECTED}')"
_KEPT_SEASONS = 50
_NAMED_BUYERS = 5


def impact_parts() -> tuple[Part, ...]:
    """The questions about the impact of rejecting the planned orders."""
    return (
        Part(
            "span",
            "begun, ended, begins, ends, changed",
            "SELECT min(ordered_at) AS begun, max(ordered_at) AS ended, min(begins) AS begins, max(ends) AS ends,"
            f" count(changed) AS changed FROM {PLANNED}",
        ),
        Part(
            "largest",
            "currency, id, total",
            f"SELECT currency, max(id) AS id, total FROM {PLANNED} AND (currency, total) IN"
            f" (SELECT currency, max(top) FROM {GROUPS} GROUP BY currency) GROUP BY currency, total ORDER BY currency",
        ),
        Part(
            "seen",
            "seen_at, source, orders",
            # Counted among all: PostgreSQL takes `refusal IS NULL` for rare, and would look each order up by itself.
            "SELECT said.seen_at, said.source, count(CASE WHEN refusal IS NULL THEN 1 END) AS orders FROM hit"
            " LEFT JOIN order_source AS said ON said.account = :account AND said.order_id = hit.id"
            " GROUP BY said.seen_at, said.source",
        ),
        _buyers("silent", "id IS NOT NULL AND email IS NULL"),
        _buyers("confirmed", "confirmed = 1"),
    )


def count_open_orders(connection: Connection, seasons: Iterable[str]) -> OpenTotals:
    """Count the open orders in these seasons, and add them up, from the index alone."""
    dialect = connection.dialect
    rows = connection.execute(
        "SELECT season, currency, count(*), CAST(sum(total) AS BIGINT) FROM orders"
        f" WHERE account = :account AND {_OPEN} AND season {dialect.among('seasons')} GROUP BY season, currency",
        {"seasons": dialect.bind_ids(sorted(seasons))},
    )
    return {(season, currency): (orders, total) for season, currency, orders, total in rows}


def impact_of(read: Read, open_totals: OpenTotals) -> Impact:
    """The impact, from the answers and the open orders of the planned seasons."""
    groups = [row for row in read.rows("groups") if row[0] is None]
    seasons = [
        SeasonShare(
            season=season,
            currency=currency,
            orders=orders,
            total=total,
            open_orders=open_totals[season, currency][0],
            open_total=open_totals[season, currency][1],
        )
        for __, currency, season, orders, total, __ in groups
    ]
    seasons.sort(key=lambda share: (-share.orders, share.season, share.currency))
    ((begun, ended, begins, ends, changed),) = read.rows("span")
    return Impact(
        seasons=tuple(seasons[:_KEPT_SEASONS]),
        season_count=len(seasons),
        largest=tuple(_largest(row, seasons) for row in read.rows("largest")),
        recently_changed=changed,
        ordered_from=begun and read_instant(begun),
        ordered_to=ended and read_instant(ended),
        delivery_from=begins and read_day(begins),
        delivery_to=ends and read_day(ends),
        without_address=_named(read, "silent"),
        with_confirmed=_named(read, "confirmed"),
        freshness=Freshness.of(
            (seen_at and read_instant(seen_at), orders) for seen_at, __, orders in read.rows("seen")
        ),
    )


def _buyers(name: str, flag: str) -> Part:
    """The buyers with a flag: how many, and the names of the few with the most planned orders."""
    return Part(
        name,
        "number, name",
        "SELECT number, name FROM (SELECT name, count(*) OVER () AS number,"
        f" row_number() OVER (ORDER BY orders DESC, name, id) AS place FROM told WHERE {flag}) AS {name}_buyer"
        f" WHERE place <= {_NAMED_BUYERS} ORDER BY place",
    )


def _confirmed(mode: Mode) -> str:
    """A subquery over a row of `bought`: the buyer has a confirmed order in the season, in any currency.

    As a single value, each is looked up by the index `ix_orders_confirmed`. For a join, an engine that takes the buyers
    for few compares each with all others.
    """
    other = (
        "SELECT 1 FROM orders AS other WHERE other.account = :account AND other.season = bought.season"
        f" AND other.buyer_id = bought.buyer_id AND other.status = '{Status.OC_CONFIRMED}'"
    )
    if mode is Mode.INDIVIDUAL:
        # In this mode a confirmed order may be planned itself.
        other += f" AND other.id NOT IN (SELECT id FROM {PLANNED})"
    return f"{other} LIMIT 1"


def _largest(row: Sequence[Any], seasons: list[SeasonShare]) -> LargestOrder:
    """The largest order of a currency; of several equal ones, the one with the greatest id."""
    currency, order_id, total = row
    among = [share for share in seasons if share.currency == currency]
    return LargestOrder(
        id=order_id,
        currency=currency,
        total=total,
        among_orders=sum(share.orders for share in among),
        among_total=sum(share.total for share in among),
    )


def _named(read: Read, name: str) -> NamedBuyers:
    found = read.rows(name)
    return NamedBuyers(count=found[0][0], names=tuple(row[1] for row in found)) if found else NamedBuyers()


HEAD = 20
_PARTS = (
    Part(
        "groups",
        "refusal, currency, season, orders, total, above_zero",
        "SELECT refusal, currency, season, orders, total, above_zero FROM grouped",
    ),
    Part("head", "id", f"SELECT id FROM {PLANNED} ORDER BY ordered_at DESC, id DESC LIMIT :head"),
    Part(
        "mails",
        "unknown, silent, copied, language, buyers, orders",
        "SELECT id IS NULL AS unknown, email IS NULL AS silent, copied, coalesce(language, '') AS language,"
        " count(*) AS buyers, sum(orders) AS orders FROM told GROUP BY 1, 2, 3, 4 ORDER BY 4, 3",
    ),
)


def assess_choice(
    connection: Connection,
    choice: Choice,
    mode: Mode,
    *,
    mail: MailPlan,
    systems: Mapping[str, str],
    changed_since: datetime,
    seen_since: datetime | None,
) -> Assessment:
    """Split a choice by eligibility, add it up, and compute the impact, reading each order once (design.md, section 6).

    `mail` says what mails there are to be, `systems` has the key of each system by its name. With `seen_since`, orders
    of which their source has not spoken since are stale. Changes nothing.
    """
    instant = connection.dialect.instant
    params: dict[str, object] = {"changed_since": instant(changed_since), "head": HEAD}
    if seen_since is not None:
        params["seen_since"] = instant(seen_since)
    read = read_choice(connection, choice, mode, (*_PARTS, *impact_parts()), params)
    groups = read.rows("groups")
    eligible = [group for group in groups if group[0] is None]
    targets = Targets(read.packed["targets"], sum(group[3] for group in eligible))
    skipped = _skipped(json.loads(read.packed["refused"]))
    buyers, mail = _mails(read.rows("mails"), mail)
    return Assessment(
        given=_given(connection, choice, targets, skipped),
        origins=origins_of(connection, choice),
        targets=targets,
        skipped=skipped,
        totals=add_up(Money(group[1], group[4]) for group in eligible),
        before_credits=add_up(Money(group[1], group[5]) for group in eligible),
        buyers=buyers,
        head=_head(connection, [order_id for (order_id,) in read.rows("head")]),
        mail=mail,
        systems=_systems(read.rows("seen"), systems),
        impact=impact_of(read, count_open_orders(connection, {season for __, __, season, *__ in eligible})),
    )


def _by_id(dialect: Dialect) -> dict[str, str]:
    """The targets with their versions and the refused orders with their reasons, each as an object by id."""
    pack = dialect.json_object
    return {
        "targets": f"{pack('id', 'version')} FROM (SELECT id, version FROM {PLANNED} ORDER BY id) AS target",
        "refused": f"{pack('id', 'refusal')} FROM"
        " (SELECT id, refusal FROM hit WHERE refusal IS NOT NULL ORDER BY id) AS refused_order",
    }


def _skipped(refused: dict[str, str]) -> tuple[Skipped, ...]:
    by_code: dict[str, list[str]] = {}
    for order_id, code in refused.items():
        by_code.setdefault(code, []).append(order_id)
    return tuple(Skipped(code, len(ids), json.dumps(ids)) for code, ids in sorted(by_code.items()))


def _given(connection: Connection, choice: Choice, targets: Targets, skipped: tuple[Skipped, ...]) -> InputSummary:
    """What became of the ids that the choice names, but for targets and skipped orders."""
    excluded, given = taken_out(connection, choice), choice.given
    out, found = {*excluded}, targets.count + sum(same.count for same in skipped)
    unknown = [order_id for order_id in given.ids if order_id not in out]
    if choice.is_listed and len(unknown) == found:
        unknown = []
    elif unknown:
        known = {*targets, *(order_id for same in skipped for order_id in same)}
        unknown = [order_id for order_id in unknown if order_id not in known]
    finds = len(choice.sources) == 1 and isinstance(choice.scope, FilterScope)
    return InputSummary(
        # What a filter alone finds and `--except` takes out was not given.
        ids=found if finds else found + len(unknown) + len(excluded),
        duplicates=given.duplicates,
        unknown=tuple(unknown),
        unknown_count=len(unknown),
        excluded=excluded,
        excluded_count=len(excluded),
        excluded_elsewhere=sum(1 for order_id in choice.excluded.ids if order_id not in out),
    )


def _head(connection: Connection, ids: list[str]) -> tuple[OrderSummary, ...]:
    """The orders with these ids, in this order."""
    # Sorted here: to sort them itself, SQLite would scan the index of the days.
    sql = summaries_sql(f"id IN ({connection.dialect.ids('ids')})", "id")
    found = map(read_summary, connection.execute(sql, {"ids": connection.dialect.bind_ids(ids)}))
    return tuple(sorted(found, key=lambda order: ids.index(order.id)))


def _mails(found: list[list[Any]], wanted: MailPlan) -> tuple[int, MailPlan]:
    """How many buyers the plan concerns, and the mails that would tell them."""
    known = [row for row in found if not row[0]]
    buyers = sum(row[4] for row in known)
    nobody = sum(int(row[5]) for row in found if row[0])
    if not wanted.notify:
        return buyers, replace(wanted, orders_without_buyer=nobody)
    languages: Counter[str] = Counter()
    copied = 0
    for __, silent, is_copied, language, *numbers in known:
        number = 0 if silent else int(numbers[wanted.per_order])
        languages[language] += number
        copied += number if is_copied else 0
    return buyers, replace(
        wanted,
        mails=languages.total(),
        buyers_without_address=sum(row[4] for row in known if row[1]),
        orders_without_buyer=nobody,
        languages=tuple((language, number) for language, number in languages.items() if number),
        copied=copied,
    )


def _systems(found: list[list[Any]], known: Mapping[str, str]) -> tuple[SystemOrders, ...]:
    """How many of the targets live in which of the known systems; `known` has the key of each by its name."""
    orders: Counter[str] = Counter()
    for __, source, number in found:
        orders[source] += number
    return tuple(
        SystemOrders(name=name, key=known[name], orders=orders[name]) for name in sorted(known) if orders[name]
    )


_KEYS = {"id": "o.id", "reference": "o.reference"}


def keys_in(connection: Connection, targets: Targets, system: SystemOrders) -> dict[str, str]:
    """The targets that live in this system, by id, each with the key that it has there."""
    found = connection.execute(
        f"SELECT o.id, {_KEYS[system.key]} FROM ({connection.dialect.pairs('targets')}) AS target"
        " JOIN order_source AS said ON said.account = :account AND said.order_id = target.key"
        " JOIN orders AS o ON o.account = :account AND o.id = target.key WHERE said.source = :system ORDER BY o.id",
        {"targets": targets.packed, "system": system.name},
    )
    return {order_id: key or "" for order_id, key in found}
