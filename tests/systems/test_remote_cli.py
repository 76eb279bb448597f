"""A rejection reaches Shopify, WooCommerce and Odoo, and a conflict there is named; as the operator sees it."""

import pytest

from support.cli import Cli
from support.http_server import http_server
from support.remote_systems import CANCELLED, OPEN, REMOTES, SECRET, SHIPPED, config_of

HEADER = "id,reference,status,ordered,currency,total,buyer_id,buyer_name,buyer_email"


@pytest.fixture(params=[name for name in REMOTES if name != "odoo json-rpc"])
def shop(request, store_url, tmp_path):
    """The system, and the command line on a store with two of its orders: one is open there, one was shipped."""
    remote = REMOTES[request.param]()
    keys = [remote.keys[OPEN], remote.keys[SHIPPED]]
    # Odoo's orders are known by their ids here, the others by their references.
    rows = [
        f"{key if remote.kind == 'odoo' else f'N{key}'},{key},needs-oc,2026-01-01,EUR,10,{key},N {key},{key}@b.example"
        for key in keys
    ]
    (tmp_path / "orders.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    with http_server(remote) as server:
        config = config_of(remote, server.url, tmp_path / "shop", timeout=10)
        config.write_text(
            "[profile.default]\nmail.transport = 'maildir'\nmail.sender = 'orders@brand.example'\n"
            f"mail.maildir = '{tmp_path}/mails'\n{config.read_text()}"
        )
        cli = Cli(store_url, tmp_path / "home", ORDERCTL_CONFIG=str(config))
        assert cli("import", str(tmp_path / "orders.csv"), "--source", "shop").code == 0
        yield remote, cli, [row.split(",")[0] for row in rows]


def states(cli):
    listed = cli("writeback", "list", "--format", "json", "--limit", "0").json
    return {each["order_id"]: each["state"] for each in listed}


def test_what_is_open_there_is_cancelled_and_what_was_shipped_is_a_conflict(shop):
    remote, cli, (open_one, shipped) = shop
    ran = cli("reject", open_one, shipped, "--reason", "style dropped", "--notify", "--yes")
    assert (ran.code, "1 order cancelled there, 1 in conflict" in ran.out) == (5, True)
    assert states(cli) == {open_one: "sent", shipped: "refused"}
    assert remote.cancelled == [remote.keys[OPEN]]
    assert (remote.orders[remote.keys[OPEN]], remote.orders[remote.keys[SHIPPED]]) == (CANCELLED, SHIPPED)
    listed = cli("writeback", "list", "--state", "refused").out
    assert "shop does not cancel it" in listed
    mails = {each["recipient"]: each["state"] for each in cli("mail", "list", "--format", "json").json}
    assert sorted(mails.values()) == ["held", "sent"]
    assert SECRET not in ran.out + ran.err + listed


def test_an_answer_that_was_lost_is_asked_about_and_the_order_not_cancelled_again(shop):
    remote, cli, (open_one, _) = shop
    remote.polls = 0
    remote.fail("act", cut=0)
    assert cli("reject", open_one, "--yes").code == 5
    assert states(cli) == {open_one: "unknown"}
    assert cli("writeback", "send").code == 0
    assert states(cli) == {open_one: "sent"}
    assert (remote.cancelled, remote.asked["act"]) == ([remote.keys[OPEN]], 1)


def test_a_token_that_is_refused_leaves_the_order_waiting_and_says_what_to_do(shop, tmp_path):
    remote, cli, (open_one, _) = shop
    remote.knows = lambda _request: False
    ran = cli("reject", open_one, "--yes")
    assert (ran.code, states(cli)) == (5, {open_one: "waiting"})
    assert "shop refuses the login" in ran.out + ran.err
    assert SECRET not in ran.out + ran.err
