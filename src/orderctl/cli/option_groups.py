"""Options that go together: written once, taken by many commands as one value."""

import inspect
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

Command = Callable[..., None]


def takes(name: str, group: Callable[..., Any], *, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Give a command the options of `group` in place of its parameter `name`, which gets what `group` makes of them."""
    options = tuple(
        each.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for each in inspect.signature(group).parameters.values()
        if each.name not in without
    )

    def given(command: Command) -> Command:
        own = inspect.signature(command).parameters.values()
        parameters = [each for parameter in own for each in (options if parameter.name == name else (parameter,))]

        @wraps(command)
        def called(**arguments: Any) -> None:  # noqa: ANN401 - whatever Typer read
            value = group(**{option.name: arguments.pop(option.name) for option in options})
            command(**{name: value}, **arguments)

        # Typer reads both to learn what the command line takes.
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return called

    return given
