"""What rules and records cost a bulk rejection: the same run with and without, by processor time with the server's."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import psycopg

from bench.bulk import MAILS_REMAIN, last_day
from bench.measuring import ROOT, Cost, Result, floor, in_turn, orderctl, run
from bench.stores import A_DAY, ENGINES, Stores

MOST = 100_000
RLS_GOAL = 1.05
GOAL = 1.2
_MEMBER, _EXEMPT = "bench_member", "bench_exempt"
# A system whose program ends at once: the write-backs are queued, and wait.
_SYSTEM = "[profile.default.systems.shopify]\nkind = 'command'\ncommand = '/bin/false'\n"
_POLICY = ("policy", "set", "--max-orders", "2000000", "--max-amount", "EUR=900000000", "--reason-required")
Prepare = Callable[[str], object]


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """Row level security; a policy; write-backs; the indexes of today over those of the first release."""
    size = min(MOST, stores.size)
    days = max(1, size // A_DAY)
    reject = ["reject", "--filter", f"ordered:..{last_day(days)}", "--no-notify", "--reason", "dropped"]
    done = [*reject, "--yes", "--expect", str(size)]
    measure = partial(_cost, stores)

    def row(title: str, ours: Callable[[], Cost], without: Callable[[], Cost], goal: float | None) -> Result:
        mine, others = in_turn(rounds, ours, without, of=min)
        return Result(title, mine, others, goal, units=size, by_cpu=True)

    as_login = [partial(measure, "postgresql", done, _logins, login=login) for login in (_MEMBER, _EXEMPT)]
    yield row(f"row level security, reject {size:,}, postgresql, over none", *as_login, RLS_GOAL)
    for engine in ENGINES:
        plain = partial(measure, engine, done)
        ruled = partial(measure, engine, done, _policy)
        yield row(f"a policy, reject {size:,}, {engine}, over none", ruled, plain, GOAL)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(_SYSTEM)
            file.flush()
            told = partial(measure, engine, done, _policy, environ={"ORDERCTL_CONFIG": file.name})
            yield row(f"write-backs and a policy, reject {size:,}, {engine}, over none", told, plain, GOAL)
        for what, arguments in (("reject", done), ("plan to reject", [*reject, "--dry-run"])):
            ours, before = partial(measure, engine, arguments), partial(measure, engine, arguments, _as_at_first)
            yield row(f"indexes, {what} {size:,}, {engine}, over those of the first release", ours, before, None)


def _cost(
    stores: Stores,
    engine: str,
    arguments: Sequence[str],
    prepare: Prepare | None = None,
    *,
    login: str = "postgres",
    environ: Mapping[str, str] | None = None,
) -> Cost:
    with stores.copy(engine) as url:
        if prepare is not None:
            prepare(url)
        command = orderctl(url.replace("postgres@", f"{login}@"), *arguments)
        before = stores.server_cpu_s(engine)
        cost = run(command, environ=environ, allowed=[MAILS_REMAIN if environ else 0])
        return replace(cost, cpu_s=cost.cpu_s + stores.server_cpu_s(engine) - before)


def _policy(url: str) -> None:
    run(orderctl(url, *_POLICY))


def _as_at_first(url: str) -> None:
    run(floor("naive_indexes", url))


def _logins(url: str) -> None:
    """Two operators with the same rights; the policies of the tables do not hold for one of them."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute((ROOT / "docs" / "postgresql-roles.sql").read_text())
        for login, more in ((_MEMBER, ""), (_EXEMPT, "BYPASSRLS")):
            if owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [login]).fetchone() is None:
                owner.execute(f"CREATE ROLE {login} LOGIN {more} IN ROLE orderctl_operator")
            owner.execute(
                "INSERT INTO member (account, login, number, action, at) VALUES ('main', %s, 1, 'add', now())", [login]
            )
