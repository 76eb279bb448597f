"""The options that name orders, the same for every command that takes orders (design.md, section 5)."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from orderctl.cli.options import (
    Everything,
    Excepted,
    ExceptedFile,
    FilterText,
    IdsFile,
    OrderIds,
    SavedName,
    SelectionName,
)
from orderctl.cli.sources import Source


def takes_source(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options in place of its parameter `source`, which it gets as one value."""
    own = inspect.signature(command).parameters.values()
    parameters = [each for parameter in own for each in (_OPTIONS if parameter.name == "source" else (parameter,))]

    @wraps(command)
    def called(**arguments: Any) -> None:  # noqa: ANN401 - whatever Typer read
        command(source=_source(**{option.name: arguments.pop(option.name) for option in _OPTIONS}), **arguments)

    # Typer reads both to learn what the command line takes.
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _source(
    ids: OrderIds = None,
    ids_file: IdsFile = None,
    saved: SavedName = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
    everything: Everything = False,
    excepted: Excepted = None,
    excepted_file: ExceptedFile = None,
) -> Source:
    return Source(
        ids=ids or (),
        ids_file=ids_file,
        saved=saved,
        filter_text=filter_text,
        selection=name,
        everything=everything,
        excepted=excepted or (),
        excepted_file=excepted_file,
    )


_OPTIONS = tuple(inspect.signature(_source).parameters.values())
