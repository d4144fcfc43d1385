# Two databases, each with an owner of its own; and a role that watches, with what is advised to it and nothing more.
psql -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres \
    -v desk="$DESK_PASSWORD" -v mailer="$MAILER_PASSWORD" -v watch="$WATCHKEEPER_PASSWORD" <<'SQL'
CREATE ROLE desk LOGIN PASSWORD :'desk';
CREATE ROLE mailer LOGIN PASSWORD :'mailer';
CREATE DATABASE tickets OWNER desk;
CREATE DATABASE mailroom OWNER mailer;
REVOKE CONNECT ON DATABASE tickets, mailroom FROM PUBLIC;

CREATE ROLE watchkeeper LOGIN PASSWORD :'watch';
GRANT CONNECT, TEMPORARY ON DATABASE postgres, tickets, mailroom TO watchkeeper;
GRANT pg_read_all_stats, pg_read_all_settings, pg_signal_backend TO watchkeeper;
GRANT EXECUTE ON FUNCTION pg_reload_conf() TO watchkeeper;
GRANT ALTER SYSTEM ON PARAMETER autovacuum, max_connections TO watchkeeper;
GRANT desk, mailer TO watchkeeper;

\connect tickets
SET ROLE desk;
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, note text NOT NULL);
CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer NOT NULL REFERENCES customers,
    subject text NOT NULL, body text NOT NULL, opened timestamptz NOT NULL DEFAULT now());
CREATE TABLE replies (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ticket bigint NOT NULL REFERENCES tickets,
    job text NOT NULL UNIQUE, text text NOT NULL);
INSERT INTO customers SELECT i, 'Customer ' || i, repeat(md5(i::text) || ' ', 20) FROM generate_series(1, 500) AS i;
INSERT INTO tickets (customer, subject, body)
    SELECT i, 'Question ' || i, repeat(md5(i::text) || ' ', 10) FROM generate_series(1, 200) AS i;

RESET ROLE;
\connect mailroom
SET ROLE mailer;
CREATE TABLE templates (id integer PRIMARY KEY, body text NOT NULL);
CREATE TABLE outbox (job text PRIMARY KEY, ticket bigint NOT NULL, body text NOT NULL,
    queued timestamptz NOT NULL DEFAULT now());
INSERT INTO templates SELECT i, repeat('Dear customer. ', 10 + i % 20) FROM generate_series(1, 200) AS i;
SQL
