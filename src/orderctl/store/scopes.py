"""A choice of orders as a condition over `orders`. Everything that takes a choice gets it from here."""

from orderctl.domain.selection import Choice, FilterScope, IdScope
from orderctl.store.filtering import compile_filter
from orderctl.store.sql import Dialect, Fragment


def choice_condition(choice: Choice, dialect: Dialect) -> Fragment:
    """The condition that holds for the orders of the choice, less those taken out again."""
    chosen = _scope_condition(choice, dialect)
    if not choice.excluded.ids:
        return chosen
    return Fragment(
        f"({chosen.sql}) AND NOT id {dialect.among('excluded')}",
        {**chosen.params, "excluded": dialect.bind_ids(choice.excluded.ids)},
    )


def _scope_condition(choice: Choice, dialect: Dialect) -> Fragment:
    scope = choice.scope
    if isinstance(scope, FilterScope):
        return compile_filter(scope.filter, dialect)
    if isinstance(scope, IdScope):
        return Fragment(f"id {dialect.among('given')}", {"given": dialect.bind_ids(scope.given.ids)})
    return Fragment(
        "id IN (SELECT order_id FROM selection_item"
        " WHERE account = :account AND actor = :selected_by AND name = :selection)",
        {"selected_by": scope.actor, "selection": scope.name},
    )
