# The journal of unit $1 from $2 (seconds since 1970) on, as it grows.
exec journalctl --quiet --follow --unit="$1" --since="@$2" --output=json --output-fields=MESSAGE --no-pager
