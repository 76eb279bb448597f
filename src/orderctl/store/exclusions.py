"""Which orders of a choice its exclusions really took out."""

from dataclasses import replace

from orderctl.domain.rejection import Given
from orderctl.domain.selection import Choice, IdList
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection

_SHOWN = 20


def with_exclusions(connection: Connection, given: Given, choice: Choice) -> Given:
    """The same account of the ids, with what was taken out of them, and what was not among them anyway."""
    if not choice.excluded.ids:
        return given
    scope = choice_condition(replace(choice, excluded=IdList(ids=())), connection.dialect)
    found = connection.execute(
        f"SELECT id FROM orders WHERE account = :account AND ({scope.sql})"
        f" AND id IN ({connection.dialect.ids('taken_out')}) ORDER BY id",
        {**scope.params, "taken_out": connection.dialect.bind_ids(choice.excluded.ids)},
    )
    taken_out = [str(order_id) for (order_id,) in found]
    return replace(
        given,
        excluded=tuple(taken_out[:_SHOWN]),
        excluded_count=len(taken_out),
        excluded_elsewhere=len(choice.excluded.ids) - len(taken_out),
    )
