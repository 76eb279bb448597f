"""The options that name orders, the same for every command that takes orders (design.md, section 5)."""

from orderctl.cli.option_groups import takes
from orderctl.cli.options import (
    AllowEmpty,
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


def _source(
    ids: OrderIds = None,
    ids_file: IdsFile = None,
    saved: SavedName = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
    everything: Everything = False,
    excepted: Excepted = None,
    excepted_file: ExceptedFile = None,
    allow_empty: AllowEmpty = False,
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
        allow_empty=allow_empty,
    )


takes_source = takes("source", _source)
