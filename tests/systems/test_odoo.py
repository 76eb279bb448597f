"""Odoo: what is delivered, invoiced or locked; both of its APIs; errors that were rolled back."""

import pytest

from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ServerSetupError, UsageError
from orderctl.systems.systems import Found
from support.http_server import Answer
from support.remote_systems import OPEN, Odoo, OdooRpc, settings_of, talk_to

KEY = "S00001"


@pytest.fixture(params=[Odoo, OdooRpc])
def talk(request, tmp_path):
    with talk_to(request.param(), tmp_path / "shop") as talk:
        yield talk


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"effective_date": "2026-01-01 10:00:00"}, "shipped"),
        ({"delivery_status": "partial"}, "shipped"),
        ({"locked": True}, "locked"),
        ({"state": "done"}, "locked"),
        ({"invoice_ids": [5, 6]}, "invoiced"),
    ],
)
def test_what_was_delivered_invoiced_or_locked_is_a_conflict(talk, facts, why):
    talk.remote.extra[KEY], talk.remote.posted = facts, [6]
    outcome = talk.send(KEY)
    assert (outcome.state, why in outcome.detail) == (DeliveryState.REFUSED, True)
    assert talk.remote.asked["act"] == 0


def test_a_draft_invoice_is_cancelled_with_the_order(talk):
    talk.remote.extra[KEY] = {"invoice_ids": [5]}
    assert talk.send(KEY).state is DeliveryState.SENT


def test_invoices_that_we_may_not_read_count_as_posted(talk):
    talk.remote.extra[KEY] = {"invoice_ids": [5]}
    talk.remote.fail("invoices", talk.remote.error("odoo.exceptions.AccessError", "no", status=403))
    assert talk.send(KEY).state is DeliveryState.REFUSED


def test_a_question_instead_of_a_cancellation_is_a_conflict(talk):
    talk.remote.wizard = True
    assert "not cancelled" in talk.send(KEY).detail
    assert talk.remote.orders[KEY] == OPEN


def test_a_database_without_stock_has_fewer_fields(talk):
    talk.remote.fields = ["name", "state", "invoice_ids", "currency_id"]
    assert talk.send(KEY).state is DeliveryState.SENT
    assert talk.remote.asked["fields"] == 1


def test_an_order_is_known_by_its_id_too_but_two_that_are_called_so_are_a_conflict(talk):
    talk.remote.orders["2"] = OPEN
    assert talk.system.look(["1", "2"]) == {"1": Found.OPEN, "2": Found.CLOSED}
    assert talk.send("1").state is DeliveryState.SENT
    assert talk.remote.cancelled == [KEY]


@pytest.mark.parametrize("name", ["AccessError", "ValidationError", "MissingError"])
def test_what_odoo_refuses_for_one_order_is_a_conflict(talk, name):
    status = 403 if name == "AccessError" else 422
    talk.remote.fail("act", talk.remote.error(f"odoo.exceptions.{name}", "not this one", status=status))
    outcome = talk.send(KEY)
    assert (outcome.state, "not this one" in outcome.detail) == (DeliveryState.REFUSED, True)


def test_an_error_that_was_rolled_back_is_tried_again(talk):
    error = talk.remote.error("psycopg2.errors.SerializationFailure", "could not serialize access", status=500)
    for step in ("read", "act"):
        talk.remote.fail(step, error)
        outcome = talk.send(KEY)
        assert (outcome.state, "could not serialize" in outcome.detail) == (DeliveryState.RETRY, True)
    assert talk.send(KEY).state is DeliveryState.SENT


def test_a_user_that_may_not_read_orders_is_a_matter_of_the_settings(talk):
    talk.remote.fail("read", talk.remote.error("odoo.exceptions.AccessError", "not allowed", status=403))
    with pytest.raises(ServerSetupError, match="refuses the login: not allowed"):
        talk.send(KEY)


def test_a_key_that_expired_is_told_as_that(talk):
    talk.remote.fail("act", talk.remote.error("odoo.exceptions.AccessDenied", "Access Denied", status=403))
    with pytest.raises(ServerSetupError, match="refuses the login"):
        talk.send(KEY)


def test_a_note_is_internal_and_its_failure_changes_nothing(talk):
    talk.remote.fail("note", talk.remote.error("odoo.exceptions.AccessError", "no", status=403))
    assert talk.send(KEY).state is DeliveryState.SENT
    talk.remote.orders[KEY] = OPEN
    assert talk.send(KEY).state is DeliveryState.SENT
    assert talk.remote.notes == [{"body": "dropped: style & co", "subtype_xmlid": "mail.mt_note"}]


def test_a_model_that_is_not_there_is_a_matter_of_the_settings(tmp_path):
    with talk_to(Odoo(), tmp_path / "shop") as talk:
        talk.remote.fail("fields", talk.remote.error("werkzeug.exceptions.NotFound", "the model is not there", 404))
        with pytest.raises(ServerSetupError, match="the model is not there"):
            talk.send(KEY)
        talk.remote.fail("fields", Answer(status=403, body=b"<html>"))
        with pytest.raises(ServerSetupError, match="refuses the login"):
            talk.send(KEY)


def test_json_rpc_logs_in_once(tmp_path):
    with talk_to(OdooRpc(), tmp_path / "shop") as talk:
        talk.send(KEY)
        talk.send(KEY)
        assert talk.remote.asked["login"] == 1


@pytest.mark.parametrize(
    ("remote", "option", "value"),
    [
        (Odoo, "format", "xml-rpc"),
        (Odoo, "refund", "original"),
        (Odoo, "restock", "no"),
        (OdooRpc, "user", ""),
        (OdooRpc, "database", ""),
    ],
)
def test_what_it_cannot_do_or_lacks_is_named(tmp_path, remote, option, value):
    settings = settings_of(remote(), "https://odoo.example", tmp_path / "shop", **{option: value})
    with pytest.raises(UsageError, match=option):
        settings.connect()
