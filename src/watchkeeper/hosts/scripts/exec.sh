# $1 seconds, then the command: ended from here too where nobody waits any more.
seconds=$1
shift
if command -v timeout >/dev/null 2>&1; then exec timeout -k 1 "$seconds" "$@"; fi
exec "$@"
