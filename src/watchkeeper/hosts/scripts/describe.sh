# What is needed to start process $1, begun at $2 ticks, again: one thing after the other, each ended by NUL.
# $3 is its own word for its program.
pid=$1
cd "/proc/$pid" || exit 3
[ "$(sed 's/.*) //' stat | cut -d' ' -f20)" = "$2" ] || exit 3
exe=$(readlink exe) || exe=
exe=${exe% (deleted)}
cwd=$(readlink cwd) || cwd=/
# A virtual environment's Python is a link: its own word for itself is what counts, where it leads to the same file.
program=$exe
PATH=$(tr '\0' '\n' <environ 2>/dev/null | sed -n 's/^PATH=//p'):$PATH
if named=$(cd "$cwd" 2>/dev/null && command -v -- "$3") && [ "$(cd "$cwd" && readlink -f -- "$named")" = "$exe" ]; then
  case $named in /*) program=$named ;; esac
fi
printf '%s\0' "$program" "$cwd" "$(readlink fd/1)" "$(readlink fd/2)" \
  "$(sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' status)" "$(sed -n 's/^Gid:[[:space:]]*\([0-9]*\).*/\1/p' status)" \
  "$(sed -n 's/^Groups:[[:space:]]*//p' status)" "$(sed -n 's/^Umask:[[:space:]]*//p' status)" \
  "$(sed -nE 's/^Max open files +([0-9a-z]+) +([0-9a-z]+) .*/\1:\2/p' limits)" "$(cat cgroup)"
cat environ 2>/dev/null
exit 0
