"""`make mutate`: change the deciding modules one place at a time, and print how many changes their tests notice.

`python -m stress.mutate [MODULE …]` runs all of them, or one by its name, e.g. `rejection.execute`: first the tests on
SQLite, then, for what lives, those on PostgreSQL. All mutants share one server and one migrated SQLite store.
A run goes on where the last one stopped; `make clean` forgets it.
"""

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut.stats import status_by_exit_code

from stress.stores import postgres_template, sqlite_template
from support.postgres_server import running_server

MODULES = ("orders.eligibility", "rejection.plan", "rejection.service", "rejection.execute", "delivery.outbox")
OF_SQL = ("rejection.execute", "delivery.queries")
MARK, EQUIVALENT = "__mutmut_", "the same SQL"
LIVING = ("survived", "no tests")
MUTMUT = Path(sys.executable).with_name("mutmut")
# What picks, leases and settles; the other queries tell of it.
PICKING = ("claim", "count_due", "start", "in_sending", "settle", "renew_lease", "release_lease", "expire_leases")
NAMES = {
    **{module: (f"orderctl.{module}.*",) for module in MODULES},
    "delivery.queries": (
        *(f"orderctl.delivery.queries.x_{each}__mutmut_*" for each in PICKING),
        "orderctl.delivery.queries.x__*",
    ),
}


def main(wanted: list[str]) -> int:
    with running_server() as url:
        postgres_template(url)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environ |= {"TEST_POSTGRES_SERVER": url, "TEST_SQLITE_TEMPLATE": str(sqlite_template())}
        for tests in ("not postgres", "postgres"):
            names = [name for module in wanted or NAMES for name in _to_try(module)]
            if names:
                _run(names, environ | {"PYTEST_ADDOPTS": f"-k '{tests}'"})
    for module in NAMES:
        report(module)
    return 0


def verdicts(module: str) -> dict[str, str]:
    """What became of each mutant of a module that was tried."""
    alike = _written_otherwise(module)
    found = {name: status_by_exit_code[code] for name, code in _ended(module).items() if code is not None}
    return {name: EQUIVALENT if name in alike and verdict in LIVING else verdict for name, verdict in found.items()}


def _to_try(module: str) -> list[str]:
    """What no test noticed yet; patterns as long as there are no mutants."""
    ended, done = _ended(module), {*_written_otherwise(module)}
    done |= {name for name, verdict in verdicts(module).items() if verdict not in LIVING}
    chosen = [name for name in ended if any(fnmatchcase(name, pattern) for pattern in NAMES[module])]
    return [name for name in chosen if name not in done] if ended else list(NAMES[module])


def _ended(module: str) -> dict[str, int | None]:
    meta = Path("mutants/src/orderctl") / f"{module.replace('.', '/')}.py.meta"
    return json.loads(meta.read_text("utf-8"))["exit_code_by_key"] if meta.exists() else {}


def _written_otherwise(module: str) -> set[str]:
    """The mutants of a module of SQL that differ from the original in capitals and small letters only."""
    path = Path("mutants/src/orderctl") / f"{module.replace('.', '/')}.py"
    if module not in OF_SQL or not path.exists():
        return set()
    bodies = {
        each.name: ast.unparse(each.body).lower()
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.FunctionDef) and MARK in each.name
    }
    original = {name.partition(MARK)[0]: body for name, body in bodies.items() if name.endswith("orig")}
    return {f"orderctl.{module}.{name}" for name, body in bodies.items() if body == original[name.partition(MARK)[0]]}


def report(module: str) -> None:
    """Print the figures of a module and the names of those that live."""
    found = verdicts(module)
    sys.stdout.write(f"{module:22}{dict(Counter(found.values()))}\n")
    sys.stdout.writelines(f"    {name}: {verdict}\n" for name, verdict in found.items() if verdict in LIVING)


def _run(names: list[str], environ: dict[str, str]) -> None:
    Path("mutants").mkdir(exist_ok=True)
    with Path("mutants/run.log").open("ab") as log:
        subprocess.run([MUTMUT, "run", "--max-children", "2", *names], env=environ, stdout=log, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
