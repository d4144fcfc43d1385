# The file $1 as it grows, over rotations.
[ -r "$1" ] || { echo "$1 cannot be read" >&2; exit 4; }
exec tail -n 0 -F -- "$1" 2>/dev/null
