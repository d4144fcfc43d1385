"""What is asked of a server, from PostgreSQL 14 on; with which rights is in `rights`."""

OVERVIEW = """
WITH s AS (
  SELECT *, backend_type = 'client backend' AND pid <> pg_backend_pid() AS client,
    backend_type IS NULL AND datid IS NOT NULL AS hidden FROM pg_stat_activity
)
SELECT
  count(*) FILTER (WHERE backend_type IN ('client backend', 'walsender') OR hidden) AS connections,
  current_setting('max_connections')::int AS max_connections,
  count(*) FILTER (WHERE client AND state = 'active') AS active_sessions,
  count(*) FILTER (WHERE client AND state = 'idle') AS idle_sessions,
  count(*) FILTER (WHERE client AND state LIKE 'idle in transaction%') AS idle_in_transaction,
  count(*) FILTER (WHERE hidden) AS hidden_sessions,
  count(*) FILTER (WHERE client AND wait_event_type = 'Lock') AS waiting_sessions,
  coalesce(max(extract(epoch FROM clock_timestamp() - query_start))
    FILTER (WHERE client AND state = 'active'), 0)::float8 AS longest_query_seconds,
  coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE client), 0)::float8
    AS longest_transaction_seconds,
  coalesce(max(extract(epoch FROM clock_timestamp() - state_change))
    FILTER (WHERE client AND state LIKE 'idle in transaction%'), 0)::float8 AS longest_idle_in_transaction_seconds,
  pg_is_in_recovery() AS is_replica,
  current_setting('default_transaction_read_only')::bool AS read_only,
  (SELECT NOT datallowconn FROM pg_database WHERE datname = current_database()) AS connections_forbidden,
  extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS uptime_seconds,
  current_setting('server_version') AS version,
  current_user::text AS login,
  current_database()::text AS database,
  extract(epoch FROM pg_postmaster_start_time())::text AS started
FROM s
"""

TOTALS = """
SELECT
  sum(xact_commit)::float8 AS commits_total, sum(xact_rollback)::float8 AS rollbacks_total,
  sum(blks_hit)::float8 AS blocks_hit_total, sum(blks_read)::float8 AS blocks_read_total,
  sum(deadlocks)::float8 AS deadlocks_total, sum(temp_bytes)::float8 AS temporary_bytes_total,
  sum(conflicts)::float8 AS conflicts_total
FROM pg_stat_database
"""

WAITING = """
WITH waiting AS (
  SELECT pid, pg_blocking_pids(pid) AS blockers FROM pg_stat_activity WHERE wait_event_type = 'Lock'
)
SELECT a.pid, coalesce(w.blockers, '{}') AS blockers, a.state, a.usename AS user, a.application_name AS application,
  a.backend_type, a.client_addr::text AS address, a.backend_start::text AS started, a.query,
  coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8 AS transaction_seconds,
  coalesce(extract(epoch FROM clock_timestamp() - a.query_start), 0)::float8 AS query_seconds
FROM pg_stat_activity a LEFT JOIN waiting w USING (pid)
WHERE w.pid IS NOT NULL OR a.pid IN (SELECT unnest(blockers) FROM waiting)
"""

SESSIONS = """
SELECT pid, usename AS user, application_name AS application, datname AS database, client_addr::text AS address,
  backend_type, backend_start::text AS started, state, wait_event_type AS waits_for, query, md5(query) AS query_hash,
  coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS transaction_seconds,
  coalesce(extract(epoch FROM clock_timestamp() - query_start), 0)::float8 AS query_seconds,
  coalesce(extract(epoch FROM clock_timestamp() - state_change), 0)::float8 AS state_seconds
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

TABLES = """
SELECT format('%I.%I', s.schemaname, s.relname) AS name, n_dead_tup::float8 AS dead, n_live_tup::float8 AS live,
  pg_relation_size(s.relid)::float8 AS bytes,
  coalesce((SELECT option_value::bool FROM pg_options_to_table(c.reloptions)
            WHERE option_name = 'autovacuum_enabled'), true) AS autovacuum,
  coalesce(extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum)), -1)::float8 AS vacuumed_ago
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE n_dead_tup >= 1000 ORDER BY n_dead_tup DESC LIMIT 1
"""

SETTINGS = """
SELECT name, reset_val AS value FROM pg_settings WHERE name = ANY(%(names)s) AND reset_val IS NOT NULL
UNION ALL SELECT 'started', pg_postmaster_start_time()::text
"""

SELDOM = """
SELECT current_setting('autovacuum')::bool AS autovacuum,
  current_setting('superuser_reserved_connections')::int
   + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved_connections,
  pg_has_role(current_user, 'pg_signal_backend', 'usage') AS signals,
  pg_has_role(current_user, 'pg_read_all_stats', 'usage') AS sees_sessions,
  pg_has_role(current_user, 'pg_read_all_settings', 'usage') AS sees_settings,
  (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate
   AND NOT has_database_privilege(oid, 'CONNECT')) AS closed_databases,
  (SELECT sum(pg_database_size(oid)) FROM pg_database
   WHERE has_database_privilege(oid, 'CONNECT') OR pg_has_role(current_user, 'pg_read_all_stats', 'usage'))::float8
   AS database_bytes
"""

DATABASES = """
SELECT datname AS name FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT')
ORDER BY 1 LIMIT 200
"""

OTHERS = """
SELECT datname AS name FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> current_database() ORDER BY 1 LIMIT 50
"""

SEES = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'usage') AS sees"

AUTOVACUUM_OFF = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, o.option_value AS said
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_options_to_table(c.reloptions) o
WHERE c.relkind IN ('r', 'm') AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::bool ORDER BY 1 LIMIT 200
"""

TABLE_OPTION = """
SELECT (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled') AS said
FROM pg_class c WHERE c.oid = to_regclass(%(name)s)
"""

OWNED = """
SELECT pg_has_role(c.relowner, 'usage') OR pg_has_role(d.datdba, 'usage') AS ours, pg_get_userbyid(c.relowner) AS owner,
  current_setting('server_version_num')::int AS version
FROM pg_class c, pg_database d WHERE c.oid = to_regclass(%(name)s) AND d.datname = current_database()
"""

MAINTAINED = "SELECT has_table_privilege(to_regclass(%(name)s), 'MAINTAIN') AS ours"
"""From PostgreSQL 17 on."""

SERVER_SWITCH = """
SELECT setting::bool AS on, source, coalesce(sourcefile LIKE '%postgresql.auto.conf', false) AS altered,
  pg_has_role(current_user, 'pg_read_all_settings', 'usage') AS told
FROM pg_settings WHERE name = 'autovacuum'
"""

FOLDER = "SELECT current_setting('data_directory') AS folder"

WRITE_AND_READ = """
DO $$
DECLARE got text;
BEGIN
  CREATE TEMPORARY TABLE watchkeeper_probe (value text) ON COMMIT DROP;
  INSERT INTO watchkeeper_probe VALUES ('{value}');
  SELECT value INTO got FROM watchkeeper_probe;
  IF got IS DISTINCT FROM '{value}' THEN RAISE EXCEPTION 'what was written is not what was read'; END IF;
  PERFORM pg_logical_emit_message(true, 'watchkeeper', '{value}');
END $$
"""
