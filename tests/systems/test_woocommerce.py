"""WooCommerce: what was paid, what lies in the bin, and notes."""

import pytest

from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ServerSetupError, UsageError
from support.http_server import Answer
from support.remote_systems import OPEN, PAID, Woo, settings_of, talk_to


@pytest.fixture
def talk(tmp_path):
    with talk_to(Woo(), tmp_path / "shop") as talk:
        yield talk


def test_a_paid_order_is_a_conflict_unless_the_settings_say_that_the_money_stays(tmp_path):
    for refund, state in {"": DeliveryState.REFUSED, "none": DeliveryState.SENT}.items():
        woo = Woo()
        woo.orders["11"] = PAID
        with talk_to(woo, tmp_path / f"shop{refund}", refund=refund) as talk:
            assert talk.send("11").state is state


def test_an_order_on_hold_that_was_paid_for_is_a_conflict(talk):
    row = {"id": 11, "status": "on-hold", "date_paid_gmt": "2026-01-01T00:00:00"}
    talk.remote.fail("read", Answer(body=[row]))
    assert "it was paid for" in talk.send("11").detail
    assert talk.remote.cancelled == []


@pytest.mark.parametrize("status", ["completed", "refunded", "failed", "trash", "wc-custom", None])
def test_a_status_that_is_not_open_is_a_conflict(talk, status):
    talk.remote.fail("read", Answer(body=[{"id": 11, "status": status, "date_paid_gmt": None}]))
    outcome = talk.send("11")
    assert (outcome.state, str(status) in outcome.detail) == (DeliveryState.REFUSED, True)


def test_the_cancellation_carries_the_write_back_and_a_private_note(talk):
    talk.send("11")
    assert talk.remote.last["act"].json["meta_data"] == [{"key": "_orderctl_writeback", "value": "w-1"}]
    assert talk.remote.notes == [{"note": "dropped &lt;style &amp; co&gt;", "customer_note": False}]


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(status=403), Answer(status=429), Answer(cut=0)], ids=str)
def test_a_note_that_fails_changes_nothing(talk, answer):
    talk.remote.fail("note", answer)
    assert talk.send("11").state is DeliveryState.SENT


def test_no_note_is_left_without_a_text(tmp_path):
    with talk_to(Woo(), tmp_path / "shop", note="") as talk:
        assert talk.send("11").state is DeliveryState.SENT
        assert talk.remote.asked["note"] == 0


def test_a_plugin_that_makes_it_another_status_is_a_conflict(talk):
    talk.remote.fail("act", Answer(body={"id": 11, "status": "on-hold"}))
    outcome = talk.send("11")
    assert (outcome.state, talk.remote.orders["11"]) == (DeliveryState.REFUSED, OPEN)


@pytest.mark.parametrize("key", ["", "#11", "WC-11", "11,12", "\uff11\uff11", "../11"])
def test_a_key_that_is_no_number_is_not_there(talk, key):
    assert talk.send(key).state is DeliveryState.REFUSED
    assert talk.remote.asked["act"] == 0


def test_a_site_without_the_api_is_a_matter_of_the_settings(talk):
    talk.remote.fail("read", Answer(status=404, body={"code": "rest_no_route", "message": "No route was found"}))
    with pytest.raises(ServerSetupError, match="No route was found"):
        talk.send("11")


@pytest.mark.parametrize(("option", "value"), [("refund", "original"), ("restock", "no"), ("user", "")])
def test_what_it_cannot_do_is_refused(tmp_path, option, value):
    settings = settings_of(Woo(), "https://shop.example", tmp_path / "shop", **{option: value})
    with pytest.raises(UsageError, match=option):
        settings.connect()
