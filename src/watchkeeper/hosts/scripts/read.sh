# The content of the regular file $1.
[ -e "$1" ] || exit 3
[ -f "$1" ] || exit 4
cat -- "$1"
