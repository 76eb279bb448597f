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

-- The operator works on orders. No UPDATE or DELETE on the log, no DELETE of orders, mails or batches.
GRANT INSERT, UPDATE ON buyer, orders TO orderctl_operator;
GRANT INSERT, UPDATE, DELETE ON order_line, order_tag, selection_item, saved_filter TO orderctl_operator;
GRANT INSERT ON batch, order_event TO orderctl_operator;
GRANT INSERT, UPDATE (state, attempts, next_attempt_at, lease_until, token, subject, text, html, last_error, updated_at)
    ON mail TO orderctl_operator;
GRANT INSERT ON mail_order, mail_event TO orderctl_operator;

-- What the sources said of the orders, in stores that keep it.
DO $$
BEGIN
    IF to_regclass('order_source') IS NOT NULL THEN
        GRANT INSERT, UPDATE ON order_source TO orderctl_operator;
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

-- The policy is the owner's: operators read it. The database notes which batches were begun.
DO $$
BEGIN
    IF to_regclass('batch_begun') IS NOT NULL THEN
        GRANT INSERT ON batch_begun TO orderctl_operator;
    END IF;
END
$$;

-- Saved plans, in stores that have them: they may be approved, cancelled and run, and not be made into others.
DO $$
BEGIN
    IF to_regclass('plan') IS NOT NULL THEN
        GRANT INSERT, UPDATE (state, approver, approver_login, approved_at, how, due_at, expires_at, closed_at,
                              closed_by, closed_by_login, digest)
            ON plan TO orderctl_operator;
    END IF;
    IF to_regclass('plan_order') IS NOT NULL THEN
        GRANT INSERT ON plan_order TO orderctl_operator;
    END IF;
END
$$;

-- The mail worker reads what letters are made of, and notes how each mail went. It can neither reject nor add mails.
GRANT SELECT ON mail, mail_order, batch, orders, buyer, orderctl_version TO orderctl_mailer;
GRANT UPDATE (state, attempts, next_attempt_at, lease_until, token, subject, text, html, last_error, updated_at)
    ON mail TO orderctl_mailer;
