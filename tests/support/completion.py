"""A store with something to complete of each kind."""

from orderctl.filters.saved import SavedFilter, save_filter
from orderctl.orders.orders import Buyer
from orderctl.selection.queries import add_choice
from orderctl.selection.selection import Choice, IdList, IdScope
from support.factories import KUMO, NOW, make_order, put_all
from support.stores import open_store

EVIL = Buyer(id="evil", name="Evil `id` $HOME")


def fill(store_url):
    with open_store(store_url) as store:
        put_all(
            store,
            [
                make_order("1001", tags=frozenset({"late", "vip"})),
                make_order("1002", buyer=KUMO, country="JP", season="26FW", tags=frozenset({"late"})),
                make_order("2001", buyer=EVIL),
                make_order("2002", buyer=Buyer(id="x", name="esc\x1b[2J")),
            ],
        )
        saved = SavedFilter(name="dropped", expression="tag:late", actor="mia", saved_at=NOW)
        store.write(lambda connection: save_filter(connection, saved, over=None))
        chosen = Choice(scope=IdScope(given=IdList(ids=("1001",)), words="ids"))
        store.write(lambda connection: add_choice(connection, "mia", "friday", chosen, NOW))
