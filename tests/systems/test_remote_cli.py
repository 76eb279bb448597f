"""A rejection reaches Shopify, WooCommerce and Odoo, and a conflict there is named; as the operator sees it."""

import pytest

from support.remote_systems import CANCELLED, OPEN, REMOTES, SECRET, SHIPPED, remote_cli


@pytest.fixture(params=[name for name in REMOTES if name != "odoo json-rpc"])
def shop(request, store_url, tmp_path):
    """The system, and the command line on a store with its orders: one is open there, one was shipped since."""
    remote = REMOTES[request.param]()
    with remote_cli(remote, store_url, tmp_path) as cli:
        remote.orders[remote.keys[SHIPPED]] = OPEN
        assert cli("pull", "shop").code == 0
        remote.orders[remote.keys[SHIPPED]] = SHIPPED
        yield remote, cli, [remote.keys[OPEN], remote.keys[SHIPPED]]


def states(cli):
    listed = cli("writeback", "list", "--format", "json", "--limit", "0").json
    return {each["order_id"]: each["state"] for each in listed}


def test_what_is_open_there_is_cancelled_and_what_was_shipped_is_a_conflict(shop):
    remote, cli, (open_one, shipped) = shop
    ran = cli("reject", open_one, shipped, "--reason", "style dropped", "--notify", "--no-recheck", "--yes")
    assert (ran.code, "1 order cancelled there, 1 in conflict" in ran.out) == (5, True)
    assert states(cli) == {open_one: "sent", shipped: "refused"}
    assert remote.cancelled == [remote.keys[OPEN]]
    assert (remote.orders[remote.keys[OPEN]], remote.orders[remote.keys[SHIPPED]]) == (CANCELLED, SHIPPED)
    listed = cli("writeback", "list", "--state", "refused").out
    assert "shop does not cancel it" in listed
    mails = {each["recipient"]: each["state"] for each in cli("mail", "list", "--format", "json").json}
    assert "sent" not in mails.values() if remote.kind == "odoo" else sorted(mails.values()) == ["held", "sent"]
    assert SECRET not in ran.out + ran.err + listed


def test_what_was_shipped_since_the_pull_is_left_out_by_name(shop):
    remote, cli, (open_one, shipped) = shop
    ran = cli("reject", open_one, shipped, "--yes", "--format", "json")
    assert (ran.code, [each["id"] for each in ran.json["left_out"]]) == (6, [shipped])
    assert (states(cli), remote.cancelled) == ({open_one: "sent"}, [remote.keys[OPEN]])
    assert remote.asked["whole"] == 1


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
    assert (ran.code, states(cli)) == (1, {})
    assert "nothing was changed" in ran.err
    ran = cli("reject", open_one, "--no-recheck", "--yes")
    assert (ran.code, states(cli)) == (5, {open_one: "waiting"})
    assert "shop refuses the login" in ran.out + ran.err
    assert SECRET not in ran.out + ran.err
