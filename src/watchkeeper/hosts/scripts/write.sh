# Write standard input to $1 so that nobody ever sees half of it; mode, owner and group stay what they were.
path=$1
[ -d "$path" ] && { echo "$path is a directory" >&2; exit 4; }
[ -L "$path" ] && path=$(readlink -f -- "$path")
fresh=$(mktemp "$(dirname -- "$path")/.watchkeeper.XXXXXX") || exit 4
trap 'rm -f -- "$fresh"' EXIT
cat >"$fresh" || exit 4
if [ -e "$path" ]; then
  chmod --reference="$path" -- "$fresh" && chown --reference="$path" -- "$fresh" || exit 4
else
  chmod 644 -- "$fresh" || exit 4
fi
sync -d -- "$fresh" 2>/dev/null
mv -f -- "$fresh" "$path" || exit 4
