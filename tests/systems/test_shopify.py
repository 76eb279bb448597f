"""Shopify: what is said of money and goods, jobs, costs, names."""

from itertools import cycle

import pytest

from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError
from orderctl.systems.systems import Found
from support.http_server import Answer
from support.remote_systems import CANCELLED, OPEN, SECRET, SHIPPED, Shopify, settings_of, talk_to


def throttled(available, restored=50.0):
    status = {"maximumAvailable": 1000.0, "currentlyAvailable": available, "restoreRate": restored}
    return Answer(
        body={
            "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
            "extensions": {"cost": {"requestedQueryCost": 10, "actualQueryCost": None, "throttleStatus": status}},
        }
    )


def failed(code, message="no"):
    return Answer(body={"data": {"orderCancel": None}, "errors": [{"message": message, "extensions": {"code": code}}]})


@pytest.fixture
def talk(tmp_path):
    with talk_to(Shopify(), tmp_path / "shop") as talk:
        yield talk


def test_money_goods_and_reason_are_said_as_the_settings_say_and_nobody_is_mailed(talk):
    talk.send("1001")
    assert talk.remote.told == {
        "id": "gid://shopify/Order/1001",
        "reason": "INVENTORY",
        "refund": {"originalPaymentMethodsRefund": False},
        "restock": True,
        "note": "dropped: style & co",
    }
    assert "notifyCustomer: false" in talk.remote.last["act"].json["query"]


def test_money_is_paid_back_only_if_that_is_said(tmp_path):
    with talk_to(Shopify(), tmp_path / "shop", refund="original", restock="no") as talk:
        talk.send("1001")
        assert (talk.remote.told["refund"], talk.remote.told["restock"]) == (
            {"originalPaymentMethodsRefund": True},
            False,
        )


@pytest.mark.parametrize("option", ["reason", "refund", "restock"])
@pytest.mark.parametrize("value", ["", "perhaps"])
def test_what_moves_money_or_goods_has_no_default(tmp_path, option, value):
    settings = settings_of(Shopify(), "https://shop.example", tmp_path / "shop", **{option: value})
    with pytest.raises(UsageError, match=f"systems.shop.{option}") as caught:
        settings.connect()
    assert "say w" in caught.value.hint


@pytest.mark.parametrize("polls", [0, 1, 3])
def test_the_job_is_followed_to_its_end(talk, polls):
    talk.remote.polls = polls
    assert talk.send("1001").state is DeliveryState.SENT
    assert talk.remote.asked["job"] == polls


def test_a_job_that_ends_without_cancelling_is_a_conflict(talk):
    talk.remote.works = False
    outcome = talk.send("1001")
    assert outcome.state is DeliveryState.REFUSED
    assert "the order is not cancelled" in outcome.detail


def test_a_job_that_does_not_end_in_time_is_unknown_and_a_repetition_cancels_once(talk):
    talk.remote.polls = 1000
    outcome = talk.send("1001")
    assert (outcome.state, "its job has not ended within 1 s" in outcome.detail) == (DeliveryState.UNKNOWN, True)
    assert talk.system.look(["1001"]) == {"1001": Found.OPEN}
    talk.remote.polls = 1
    assert talk.send("1001").state is DeliveryState.SENT
    assert talk.remote.cancelled == ["1001"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=500),
        Answer(status=429),
        Answer(body={"data": {"job": None}}),
        Answer(status=401),
        Answer(body=b"{"),
    ],
    ids=str,
)
def test_a_job_that_cannot_be_followed_is_unknown(talk, answer):
    talk.remote.fail("job", answer)
    assert talk.send("1001").state is DeliveryState.UNKNOWN


@pytest.mark.parametrize("step", ["read", "act", "job"])
def test_what_is_throttled_by_its_cost_is_asked_again_when_there_is_enough(talk, step):
    talk.remote.fail(step, throttled(0.0))
    assert talk.send("1001").state is DeliveryState.SENT
    assert talk.remote.cancelled == ["1001"]


@pytest.mark.parametrize(("available", "times", "asked"), [(0.0, 9, 4), (-1000.0, 1, 1)])
def test_what_stays_throttled_is_put_off(talk, available, times, asked):
    talk.remote.fail("act", throttled(available), times=times)
    outcome = talk.send("1001")
    assert (outcome.state, outcome.detail) == (DeliveryState.RETRY, "shop puts it off: Throttled")
    assert outcome.not_before_s == pytest.approx(max(0.1, (10 - available) / 50))
    assert (talk.remote.asked["act"], talk.remote.cancelled) == (asked, [])


@pytest.mark.parametrize("cost", [{}, {"requestedQueryCost": "x"}, None])
def test_a_throttling_without_figures_waits_a_second(talk, cost):
    answer = throttled(0.0)
    answer.body["extensions"]["cost"] = cost
    talk.remote.fail("read", answer)
    assert talk.send("1001").state is DeliveryState.SENT


def test_what_shopify_says_of_the_whole_request_is_told_without_the_token(talk):
    talk.remote.fail("read", Answer(body={"errors": f"[API] Invalid API key: {SECRET}"}))
    with pytest.raises(ServerSetupError, match=r"\[API\] Invalid API key: \*\*\*"):
        talk.send("1001")


def test_lines_without_an_end_are_given_up(talk):
    info = {"hasNextPage": True, "endCursor": "2"}
    talk.remote.items = lambda _start: {"pageInfo": info, "nodes": [{"name": "Shirt"}]}
    with talk.system.orders() as table, pytest.raises(ServerUnavailableError, match="not one of this kind"):
        list(table.rows)
    assert talk.remote.asked["lines"] < 50


@pytest.mark.parametrize("number", ["9" * 5000, "-1", "1e3", "\u0663"], ids=["long", "below", "word", "arabic"])
def test_an_id_that_is_no_number_of_shopify_ends_the_pull(talk, number):
    right = talk.remote.order
    talk.remote.order = lambda key: {**right(key), "legacyResourceId": number}
    with talk.system.orders() as table, pytest.raises(ServerUnavailableError, match="not one of this kind"):
        list(table.rows)


def test_pages_that_go_back_end_the_pull(talk):
    pages = cycle(["1002", "1001"])
    info = {"hasNextPage": True, "endCursor": "x"}
    talk.remote.page = lambda _told: {"orders": {"pageInfo": info, "nodes": [talk.remote.order(next(pages))]}}
    with talk.system.orders() as table, pytest.raises(ServerUnavailableError, match="not one of this kind"):
        list(table.rows)
    assert talk.remote.asked["page"] == 2


def test_an_internal_error_of_the_cancellation_is_unknown(talk):
    said = [{"code": "INTERNAL_ERROR", "message": "Unexpected"}]
    talk.remote.fail("act", Answer(body={"data": {"orderCancel": {"job": None, "orderCancelUserErrors": said}}}))
    assert talk.send("1001").state is DeliveryState.UNKNOWN
    talk.remote.fail("act", failed("INTERNAL_SERVER_ERROR"))
    assert talk.send("1001").state is DeliveryState.UNKNOWN


def test_a_token_without_the_right_is_a_matter_of_the_settings(talk):
    for step in ("read", "act"):
        talk.remote.fail(step, failed("ACCESS_DENIED", "Required access: write_orders"))
        with pytest.raises(ServerSetupError, match="write_orders"):
            talk.send("1001")


def test_a_version_that_is_gone_is_a_matter_of_the_settings(talk):
    talk.remote.fail("read", Answer(body={"errors": [{"message": "Field 'nodes' doesn't exist"}]}))
    with pytest.raises(ServerSetupError, match="does not take"):
        talk.send("1001")
    talk.remote.fail("read", Answer(status=404, body={"errors": "Not Found"}))
    with pytest.raises(ServerSetupError, match="404 Not Found"):
        talk.send("1001")
    talk.remote.fail("read", failed("INTERNAL_SERVER_ERROR"))
    assert talk.send("1001").state is DeliveryState.RETRY


@pytest.mark.parametrize("key", ["1001", "gid://shopify/Order/1001", "#1001"])
def test_an_order_is_known_by_number_id_or_name(talk, key):
    assert talk.send(key).state is DeliveryState.SENT
    assert talk.remote.cancelled == ["1001"]


def test_only_the_very_name_counts_and_only_if_it_is_one(talk):
    talk.remote.names |= {"1002": "#10010", "1003": "#1001"}
    assert talk.system.look(["#1001", "#1000", "#10010"]) == {
        "#1001": Found.CLOSED,
        "#1000": Found.MISSING,
        "#10010": Found.CANCELLED,
    }
    assert "several orders" in talk.send("#1001").detail
    assert talk.remote.orders == {"1001": OPEN, "1002": CANCELLED, "1003": SHIPPED, "1999": "missing"}


def test_a_hundred_orders_are_looked_up_in_few_requests(talk):
    talk.remote.orders |= {str(number): OPEN for number in range(5000, 5100)}
    talk.remote.names |= {str(number): f"#{number}" for number in range(5000, 5100)}
    found = talk.system.look([*map(str, range(5000, 5100)), *(f"#{number}" for number in range(5000, 5010))])
    assert (set(found.values()), len(found)) == ({Found.OPEN}, 110)
    assert talk.remote.asked["read"] == 3


def test_a_look_that_is_throttled_to_the_end_raises(talk):
    talk.remote.fail("read", throttled(-1000.0))
    with pytest.raises(ServerUnavailableError):
        talk.system.look(["1001"])
