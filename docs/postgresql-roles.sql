-- Who may do what on a PostgreSQL store. Run it as the owner of the tables (who ran `orderctl store init`), or as a
-- superuser, with psql on the store's database; run it again after `orderctl store upgrade`. It changes no data.
--
--   orderctl help postgresql-roles | psql 'postgresql://owner@db.example/orders' -v ON_ERROR_STOP=1
--
-- Three roles that nobody logs in as; people and workers are members of one:
--
--   CREATE ROLE mia LOGIN IN ROLE orderctl_operator;
--   CREATE ROLE worker1 LOGIN IN ROLE orderctl_mailer;
--   CREATE ROLE audit LOGIN IN ROLE orderctl_auditor;
--
-- None of them sees a row until the owner has made it a member of an account: orderctl member add mia
--
-- Nobody but the owner can drop, disable or replace the triggers that keep a rejection final, the log append-only, and
-- a sent mail sent:
-- nobody works as the owner from day to day.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['orderctl_operator', 'orderctl_mailer', 'orderctl_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$$;

-- What everybody has of old: a table of one's own could stand before one of ours.
DO $$
BEGIN
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM orderctl_operator, orderctl_mailer, orderctl_auditor',
                   current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO orderctl_operator, orderctl_mailer, orderctl_auditor',
                   current_schema());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO orderctl_operator, orderctl_mailer, orderctl_auditor',
                   current_database());
    -- Operators and auditors read everything.
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO orderctl_operator, orderctl_auditor', current_schema());
END
$$;

-- The operator works on orders. No UPDATE or DELETE on the log, no DELETE of orders, mails or batches. UPDATE by column:
-- nothing moves to another account or id, and a queued mail keeps its batch and its buyer.
GRANT INSERT, UPDATE (name, name_folded, email, contact, country, language) ON buyer TO orderctl_operator;
GRANT INSERT ON orders TO orderctl_operator;
GRANT INSERT, DELETE ON order_line, order_tag, selection_item TO orderctl_operator;
GRANT INSERT, UPDATE (expression, actor, saved_at), DELETE ON saved_filter TO orderctl_operator;
GRANT INSERT ON batch TO orderctl_operator;
GRANT INSERT (account, id, batch_id, buyer_id, recipient, language, message_id, state, next_attempt_at, created_at,
              updated_at),
      UPDATE (state, attempts, next_attempt_at, lease_until, token, subject, text, html, last_error, updated_at,
              recipient)  -- a trigger wants an event with both addresses
    ON mail TO orderctl_operator;
GRANT INSERT ON mail_order TO orderctl_operator;
-- All columns of the logs but `actor_login`: the database writes there who is logged in.
GRANT INSERT (account, order_id, id, batch_id, kind, from_status, to_status, detail, reason_code, actor, at, lines_digest)
    ON order_event TO orderctl_operator;
GRANT INSERT (account, mail_id, id, action, from_state, to_state, reason, actor, at) ON mail_event TO orderctl_operator;

-- Of an order, everything but its account and id, as far as the store has the column.
DO $$
BEGIN
    EXECUTE (
        SELECT format('GRANT UPDATE (%s) ON orders TO orderctl_operator', string_agg(quote_ident(attname), ', '))
        FROM pg_attribute
        WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped AND attname IN (
            'buyer_id', 'brand', 'status', 'reference', 'season', 'ordered_at', 'terms', 'delivery_address',
            'billing_address', 'country', 'delivery_from', 'delivery_to', 'currency', 'total', 'quantity',
            'delivery_notes', 'invoices', 'backlog_skus', 'note', 'folded', 'fingerprint', 'archived_at', 'rejected_at',
            'changed_at', 'batch_id', 'version', 'lines_digest', 'gone_at')
    );
END
$$;

-- What the sources said of the orders, in stores that keep it.
DO $$
BEGIN
    IF to_regclass('order_source') IS NOT NULL THEN
        GRANT INSERT, UPDATE (source, seen_at, status, delivery_notes, invoices, import_id)
            ON order_source TO orderctl_operator;
    END IF;
END
$$;

-- What a batch remembers of the ids it was asked about, in stores that keep it.
DO $$
BEGIN
    IF to_regclass('batch_verdict') IS NOT NULL THEN
        GRANT INSERT ON batch_verdict, batch_origin TO orderctl_operator;
    END IF;
END
$$;

-- The policy is the owner's: operators read it. Nobody writes `batch_begun` but the triggers, as the owner.

-- What operators do besides rejecting, in stores that keep it: added, and never changed.
DO $$
BEGIN
    IF to_regclass('act') IS NOT NULL THEN
        GRANT INSERT ON act TO orderctl_operator;
    END IF;
END
$$;

-- Operators save plans and change none of them: functions of the owner approve and close them. They write down who is
-- logged in, and refuse an approval by the author.
DO $$
BEGIN
    IF to_regclass('plan') IS NOT NULL THEN
        GRANT INSERT ON plan, plan_order TO orderctl_operator;
        GRANT EXECUTE ON FUNCTION orderctl_lock_plan, orderctl_approve_plan, orderctl_close_plan TO orderctl_operator;
    END IF;
    IF to_regclass('heartbeat') IS NOT NULL THEN
        GRANT INSERT, UPDATE ON heartbeat TO orderctl_operator;
    END IF;
END
$$;

-- The mail worker reads what letters are made of, and notes how each mail went. It can neither reject nor add mails.
GRANT SELECT ON mail, mail_order, batch, orders, buyer, orderctl_version TO orderctl_mailer;
DO $$
BEGIN
    IF to_regclass('member') IS NOT NULL THEN
        GRANT SELECT ON member TO orderctl_mailer;
    END IF;
END
$$;
GRANT UPDATE (state, attempts, next_attempt_at, lease_until, token, subject, text, html, last_error, updated_at)
    ON mail TO orderctl_mailer;

-- What was queued, and to which address a mail goes instead, is digested with a salt, in stores that keep it. An erasure
-- alone writes the digests beside it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'batch'::regclass AND attname = 'mails_digest') THEN
        GRANT INSERT (salt) ON mail, mail_event TO orderctl_operator;
    END IF;
END
$$;

-- The digest of each message as it was handed over, and mails with a checkpoint for an auditor, which are queued with all
-- that they say.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'mail'::regclass AND attname = 'sent_digest') THEN
        GRANT UPDATE (sent_digest) ON mail TO orderctl_operator, orderctl_mailer;
        GRANT INSERT (subject, text, html) ON mail TO orderctl_operator;
    END IF;
END
$$;

-- The copies of a buyer's mails, in stores that keep them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'buyer'::regclass AND attname = 'bcc') THEN
        GRANT UPDATE (cc, bcc) ON buyer TO orderctl_operator;
    END IF;
END
$$;

-- What the systems are told, in stores that keep it: queued with the rejection, sent by operators and by the mail worker.
DO $$
BEGIN
    IF to_regclass('writeback') IS NOT NULL THEN
        GRANT INSERT (account, id, batch_id, order_id, system, system_key, state, next_attempt_at, created_at, updated_at)
            ON writeback TO orderctl_operator;
        GRANT INSERT (account, writeback_id, id, action, from_state, to_state, reason, actor, at)
            ON writeback_event TO orderctl_operator;
        GRANT SELECT ON writeback, order_event TO orderctl_mailer;
        GRANT UPDATE (state, attempts, next_attempt_at, lease_until, token, last_error, updated_at)
            ON writeback TO orderctl_operator, orderctl_mailer;
    END IF;
END
$$;

-- Where a system can be asked, the mail worker asks it about write-backs of unknown fate, and logs what it says. The
-- policies let it log nothing else; for whoever is an operator too they change nothing.
DO $$
BEGIN
    IF to_regclass('writeback') IS NOT NULL THEN
        GRANT SELECT ON writeback_event TO orderctl_mailer;
        GRANT INSERT (account, writeback_id, id, action, from_state, to_state, reason, actor, at)
            ON writeback_event TO orderctl_mailer;
        GRANT SELECT (account, position, digest), INSERT ON act TO orderctl_mailer;
        DROP POLICY IF EXISTS of_mailer ON writeback_event;
        CREATE POLICY of_mailer ON writeback_event AS RESTRICTIVE FOR INSERT TO orderctl_mailer WITH CHECK (
            pg_has_role(session_user, 'orderctl_operator', 'USAGE') OR (from_state = 'unknown' AND reason = '' AND (
                action = 'asked: cancelled' AND to_state = 'sent' OR action = 'asked: open' AND to_state = 'waiting')));
        DROP POLICY IF EXISTS of_mailer ON act;
        CREATE POLICY of_mailer ON act AS RESTRICTIVE FOR INSERT TO orderctl_mailer WITH CHECK (
            pg_has_role(session_user, 'orderctl_operator', 'USAGE')
            OR (kind IN ('writeback-asked: cancelled', 'writeback-asked: open') AND detail = ''));
    END IF;
END
$$;

-- What a report said of a mail, and to which address it goes instead; erased mails are recognized by whoever writes one.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'mail_event'::regclass AND attname = 'to_recipient') THEN
        GRANT INSERT (from_recipient, to_recipient, report) ON mail_event TO orderctl_operator;
        GRANT SELECT ON erasure TO orderctl_mailer;
    END IF;
END
$$;
