"""The outbox on both engines: leases, fencing, back-off, and what an operator may do."""

from datetime import timedelta

import pytest

from orderctl.delivery import queries as rows
from orderctl.delivery import service as delivery
from orderctl.delivery.outbox import CANCEL, MAX_ATTEMPTS, NOT_SENT, RETRY, SENT, DeliveryState
from orderctl.delivery.queries import count_due, count_states, expire_leases, list_events, release_lease
from orderctl.errors import OrderctlError, UsageError
from orderctl.mail.outbox import BOUNCE, MAILS, MailQuery
from orderctl.mail.queries import list_mails, mail_order_ids, queued_letters
from support.factories import ACME, KUMO, FixedClock, make_order, put
from support.mail import LETTER, MINUTE, NOW, act, claim, get, queue, settle, start, states
from support.rejection import CLOCK, ids, reject
from support.stores import open_store

EVERYTHING = MailQuery()


def test_a_mail_goes_from_waiting_to_sent(store):
    (mail_id,) = queue(store, 1)
    waiting = get(store, mail_id)
    assert (waiting.state, waiting.attempts, waiting.orders, waiting.letter) == (DeliveryState.WAITING, 0, 1, None)
    assert (waiting.recipient, waiting.buyer_id, waiting.language) == (ACME.email, ACME.id, "fr")

    assert claim(store) == [mail_id]
    assert get(store, mail_id).state is DeliveryState.CLAIMED
    assert start(store, mail_id)
    sending = get(store, mail_id)
    assert (sending.state, sending.attempts, sending.letter) == (DeliveryState.SENDING, 1, LETTER)
    assert settle(store, mail_id, DeliveryState.SENT, detail="250 ok", now=NOW + MINUTE)
    sent = get(store, mail_id)
    assert (sent.state, sent.last_error, sent.updated_at) == (DeliveryState.SENT, "250 ok", NOW + MINUTE)
    assert sent.message_id == waiting.message_id
    assert claim(store) == []


def test_a_claim_takes_only_what_is_due_and_free(store):
    first, second, third = queue(store)
    assert claim(store, "a", limit=2) == [first, second]
    assert claim(store, "b") == [third]
    assert claim(store, "c") == []
    assert claim(store, "c", now=NOW - MINUTE) == []


def test_a_claim_does_not_wait_for_another_that_is_not_committed(postgres_url):
    with open_store(postgres_url) as store, open_store(postgres_url) as other:
        first, second, third = queue(store)

        def claim_while_another_claims(connection):
            mine = rows.claim(connection, MAILS, token="a", until=NOW + MINUTE, now=NOW, limit=2, batch_id=None)
            return mine, claim(other, "b")

        assert store.write(claim_while_another_claims) == ([first, second], [third])


def test_a_claim_may_be_of_one_batch(store):
    mine = queue(store, 2)
    put(store, make_order("other", buyer=KUMO))
    other = reject(store, ids("other"), notify=True).batch_id
    with store.snapshot() as connection:
        assert (count_due(connection, MAILS, NOW, other), count_due(connection, MAILS, NOW, None)) == (1, 3)
        assert count_states(connection, MAILS, MailQuery(batch_id=other))[DeliveryState.WAITING] == 1
        assert [mail.batch_id for mail in list_mails(connection, MailQuery(batch_id=other))] == [other]
    assert claim(store, batch_id=other) == [f"{other}.1"]
    assert claim(store, "later") == mine


def test_only_the_holder_of_the_lease_may_send_and_settle(store):
    (mail_id,) = queue(store, 1)
    assert not start(store, mail_id)
    claim(store)
    assert not start(store, mail_id, holder="thief")
    assert not settle(store, mail_id, DeliveryState.SENT)
    assert start(store, mail_id)
    assert not start(store, mail_id)
    assert not settle(store, mail_id, DeliveryState.SENT, holder="thief")
    assert settle(store, mail_id, DeliveryState.SENT)
    assert not settle(store, mail_id, DeliveryState.REFUSED)
    assert get(store, mail_id).state is DeliveryState.SENT


def test_a_temporary_refusal_backs_off_and_gives_up_at_last(store):
    (mail_id,) = queue(store, 1)
    now, pauses = NOW, []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert claim(store, now=now) == [mail_id]
        assert start(store, mail_id, now=now)
        assert settle(store, mail_id, DeliveryState.RETRY, detail="451 later", now=now)
        mail = get(store, mail_id)
        assert mail.attempts == attempt
        pauses.append(int((mail.next_attempt_at - now) / MINUTE))
        if attempt < MAX_ATTEMPTS:
            assert claim(store, now=mail.next_attempt_at - timedelta(seconds=1)) == []
        now = mail.next_attempt_at
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 0]
    assert (mail.state, mail.last_error) == (
        DeliveryState.REFUSED,
        f"given up after {MAX_ATTEMPTS} attempts: 451 later",
    )
    assert claim(store, now=now) == []


def test_what_was_claimed_is_given_back(store):
    first, second, third = queue(store)
    claim(store, limit=1)
    start(store, first)
    settle(store, first, DeliveryState.RETRY)
    assert claim(store, now=NOW + MINUTE) == [second, third, first]
    start(store, second)
    assert store.write(lambda connection: release_lease(connection, MAILS, "t", NOW)) == 2
    assert states(store) == {first: DeliveryState.RETRY, second: DeliveryState.SENDING, third: DeliveryState.WAITING}


def test_a_lease_that_ran_out_makes_a_claim_due_and_a_sending_unknown(store):
    first, second = queue(store, 2)
    claim(store)
    start(store, first)
    assert store.write(lambda connection: expire_leases(connection, MAILS, NOW + 9 * MINUTE)) == 0
    assert store.write(lambda connection: expire_leases(connection, MAILS, NOW + 11 * MINUTE)) == 2
    assert states(store) == {first: DeliveryState.UNKNOWN, second: DeliveryState.WAITING}
    assert "may have taken" in get(store, first).last_error
    assert claim(store, "next", now=NOW + timedelta(days=9)) == [second]


def test_a_sender_that_outlived_its_lease_may_still_tell_what_it_knows(store):
    (mail_id,) = queue(store, 1)
    claim(store)
    start(store, mail_id)
    store.write(lambda connection: expire_leases(connection, MAILS, NOW + 11 * MINUTE))
    assert not settle(store, mail_id, DeliveryState.SENT, holder="thief")
    assert settle(store, mail_id, DeliveryState.SENT)
    assert get(store, mail_id).state is DeliveryState.SENT


def test_mails_are_found_by_state_newest_first(store):
    first, second, third = queue(store)
    claim(store, limit=1)
    with store.snapshot() as connection:
        assert [mail.id for mail in list_mails(connection, EVERYTHING)] == [third, second, first]
        waiting = MailQuery(states=(DeliveryState.WAITING,), limit=1)
        assert [mail.id for mail in list_mails(connection, waiting)] == [third]
        both = MailQuery(states=(DeliveryState.CLAIMED, DeliveryState.SENT))
        assert [mail.id for mail in list_mails(connection, both)] == [first]
        counts = count_states(connection, MAILS, EVERYTHING)
        assert {state: number for state, number in counts.items() if number} == {
            DeliveryState.WAITING: 2,
            DeliveryState.CLAIMED: 1,
        }
        assert mail_order_ids(connection, first) == ("Q0",)
        assert list(list_mails(connection, MailQuery(ids=("nobody",)))) == []
        assert queued_letters(connection, ["nobody"]) == {}


def test_accounts_do_not_see_each_others_mails(store, store_url):
    (mail_id,) = queue(store, 1)
    claim(store)
    with open_store(store_url, "other") as other:
        assert (claim(other), states(other), get(other, mail_id)) == ([], {}, None)
        assert not start(other, mail_id)
        assert other.write(lambda connection: release_lease(connection, MAILS, "t", NOW)) == 0
        assert other.write(lambda connection: expire_leases(connection, MAILS, NOW + timedelta(days=1))) == 0
        with pytest.raises(UsageError, match="there is no mail"):
            act(other, CANCEL, mail_id)


def held_mail(store):
    """A mail that waits until the system of its order has cancelled it."""
    put(store, make_order("H1"))
    seen = {"at": NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    store.write(
        lambda connection: connection.execute(
            "INSERT INTO order_source (account, order_id, source, seen_at) VALUES (:account, 'H1', 'shop', :at)"
            " ON CONFLICT (account, order_id) DO UPDATE SET source = excluded.source",
            seen,
        )
    )
    return f"{reject(store, ids('H1'), notify=True, systems={'shop': 'id'}).batch_id}.1"


def in_state(store, state):
    mail_id = held_mail(store) if state is DeliveryState.HELD else queue(store, 1)[0]
    if state is DeliveryState.HELD:
        return mail_id
    if state is DeliveryState.CANCELLED:
        act(store, CANCEL, mail_id)
    elif state is not DeliveryState.WAITING:
        claim(store)
        if state is not DeliveryState.CLAIMED:
            start(store, mail_id)
        if state not in (DeliveryState.CLAIMED, DeliveryState.SENDING):
            came = DeliveryState.SENT if state is DeliveryState.BOUNCED else state
            settle(store, mail_id, came, detail="as told")
        if state is DeliveryState.BOUNCED:
            act(store, BOUNCE, mail_id)
    assert get(store, mail_id).state is state
    return mail_id


ACTIONS = {"retry": RETRY, "cancel": CANCEL, "sent": SENT, "not sent": NOT_SENT}
ALLOWED = {
    "retry": dict.fromkeys(
        (
            DeliveryState.REFUSED,
            DeliveryState.UNKNOWN,
            DeliveryState.RETRY,
            DeliveryState.CANCELLED,
            DeliveryState.WAITING,
            DeliveryState.BOUNCED,
            DeliveryState.HELD,
        ),
        DeliveryState.WAITING,
    ),
    "cancel": dict.fromkeys(
        (DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.RETRY, DeliveryState.CLAIMED),
        DeliveryState.CANCELLED,
    ),
    "sent": {DeliveryState.UNKNOWN: DeliveryState.SENT},
    "not sent": {DeliveryState.UNKNOWN: DeliveryState.REFUSED},
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", DeliveryState)
def test_what_an_operator_may_do(sqlite_url, state, action):
    with open_store(sqlite_url) as store:
        mail_id = in_state(store, state)
        if state in ALLOWED[action]:
            act(store, ACTIONS[action], mail_id)
            assert get(store, mail_id).state is ALLOWED[action][state]
        else:
            with pytest.raises(UsageError, match=f"{mail_id} is {state}; only one that is"):
                act(store, ACTIONS[action], mail_id)
            assert get(store, mail_id).state is state


def test_an_operators_retry_is_due_at_once_and_takes_the_mail_from_its_sender(store):
    mail_id = in_state(store, DeliveryState.UNKNOWN)
    act(store, RETRY, mail_id, clock=FixedClock(NOW + MINUTE))
    assert not settle(store, mail_id, DeliveryState.SENT)
    assert claim(store, now=NOW + MINUTE) == [mail_id]


def test_a_cancelled_mail_is_taken_from_whoever_claimed_it(store):
    mail_id = in_state(store, DeliveryState.CLAIMED)
    act(store, CANCEL, mail_id)
    assert not start(store, mail_id)
    assert claim(store) == []


def test_what_an_operator_did_is_kept_with_who_when_and_why(store):
    first, second = queue(store, 2)
    assert act(store, CANCEL, first, second, reason="told by phone") == 2
    assert act(store, RETRY, first, clock=FixedClock(NOW + MINUTE)) == 1
    with store.snapshot() as connection:
        cancelled, retried = list_events(connection, MAILS, first)
        assert len(list_events(connection, MAILS, second)) == 1
    assert (cancelled.action, cancelled.from_state, cancelled.to_state) == (
        "cancel",
        DeliveryState.WAITING,
        "cancelled",
    )
    assert (cancelled.actor, cancelled.reason, cancelled.at) == ("mia", "told by phone", NOW)
    assert (retried.action, retried.from_state, retried.reason) == ("retry", DeliveryState.CANCELLED, "")


def test_the_log_of_a_mail_cannot_be_edited(store, store_url):
    (mail_id,) = queue(store, 1)
    act(store, CANCEL, mail_id)
    for statement in ("UPDATE mail_event SET actor = 'nobody'", "DELETE FROM mail_event"):
        with pytest.raises(OrderctlError, match="append-only"):
            store.write(lambda connection, sql=statement: connection.execute(sql))


def test_mails_that_changed_in_between_stay_as_they_are(store):
    first, second = queue(store, 2)
    picked = delivery.pick(store, MAILS, CANCEL, MailQuery(ids=(first, second)))
    claim(store, limit=1)
    done = delivery.act(store, MAILS, CANCEL, picked, actor="mia", reason="", clock=CLOCK)
    assert done == 1
    assert states(store) == {first: DeliveryState.CLAIMED, second: DeliveryState.CANCELLED}


def test_filters_take_only_what_an_action_takes_unasked(store):
    mail_ids = queue(store, 4)
    claim(store)
    for mail_id, state in zip(
        mail_ids, (DeliveryState.REFUSED, DeliveryState.UNKNOWN, DeliveryState.SENT), strict=False
    ):
        start(store, mail_id)
        settle(store, mail_id, state)
    store.write(lambda connection: release_lease(connection, MAILS, "t", NOW))
    act(store, CANCEL, mail_ids[3])
    picked = delivery.pick(store, MAILS, RETRY, MailQuery())
    assert dict(picked.states) == {mail_ids[0]: DeliveryState.REFUSED}
    assert picked.left == {DeliveryState.UNKNOWN: 1, DeliveryState.SENT: 1, DeliveryState.CANCELLED: 1}
    spelled = delivery.pick(store, MAILS, RETRY, MailQuery(states=(DeliveryState.UNKNOWN,)))
    assert (dict(spelled.states), spelled.left) == ({mail_ids[1]: DeliveryState.UNKNOWN}, {})
    with pytest.raises(UsageError, match="only those that are"):
        delivery.pick(store, MAILS, RETRY, MailQuery(states=(DeliveryState.SENT,)))


QUERIES = [
    ({"buyer": "acme"}, ["Q0"]),
    ({"buyer": "PARIS"}, ["Q0"]),
    ({"buyer": "雲"}, ["K1"]),
    ({"buyer": "%"}, []),
    ({"order_id": "K1"}, ["K1"]),
    ({"recipient": "KUMO.example"}, ["K1"]),
    ({"queued_before": NOW + MINUTE}, ["K1", "Q0"]),
    ({"queued_before": NOW}, []),
    ({"buyer": "acme", "order_id": "K1"}, []),
]


@pytest.mark.parametrize(("query", "orders"), QUERIES)
def test_mails_are_found_by_what_an_operator_knows(store, query, orders):
    queue(store, 1)
    put(store, make_order("K1", buyer=KUMO))
    reject(store, ids("K1"), notify=True)
    with store.snapshot() as connection:
        found = [mail_order_ids(connection, mail.id) for mail in list_mails(connection, MailQuery(**query))]
        assert sorted(order for (order,) in found) == orders
        assert sum(count_states(connection, MAILS, MailQuery(**query)).values()) == len(orders)
