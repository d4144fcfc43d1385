# End process $1 (0: none), begun at $2 ticks, within $3 tenths of a second; then start it again as `begin` does, unless
# somebody else does so within $4 tenths. $5: its port in hexadecimal, or nothing. The rest: see below.
# All in one script: it goes on to its end whatever becomes of whoever asked for it.
pid=$1 ticks=$2 left=$3 others=$4 port=$5
shift 5
begun() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1,20; }
there() { case $(begun "$pid") in Z*|X*|"") return 1 ;; *" $ticks") return 0 ;; *) return 1 ;; esac; }
heard() { [ -n "$port" ] && grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6; }
if [ "$pid" != 0 ] && there; then
  kill -TERM "$pid" || exit 4
  kill -CONT "$pid" 2>/dev/null
  while there && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
  if there; then kill -KILL "$pid"; fi
  left=100
  while there && [ "$left" -gt 0 ]; do sleep 0.05; left=$((left - 1)); done
  if there; then echo "process $pid does not end" >&2; exit 4; fi
fi
# Its parent may be there to start it again.
while [ "$others" -gt 0 ]; do
  if heard; then exit 0; fi
  sleep 0.1
  others=$((others - 1))
done
if heard; then
  if [ "$pid" = 0 ]; then exit 0; fi
  echo "somebody else listens on its port" >&2
  exit 5
fi
# $1 cwd, $2 and $3 files for stdout and stderr, $4 uid, $5 gid, $6 groups (comma separated), $7 umask, $8 open files
# (soft:hard), $9 control groups; then its variables (NAME=value) and the command. What comes in is what it reads first.
cwd=$1 out=$2 err=$3 uid=$4 gid=$5 groups=$6 mask=$7 files=$8 cgroups=$9
shift 9
cd -- "$cwd" || exit 4
command -v setsid >/dev/null || { echo "setsid is not installed (package util-linux)" >&2; exit 4; }
# What is started in the background ignores Ctrl-C, and would hand that on.
plain=
env --default-signal=INT,QUIT true 2>/dev/null && plain=--default-signal=INT,QUIT
set -- env -i $plain "$@"
if [ "$uid" != "$(id -u)" ]; then
  if [ -n "$groups" ]; then groups=--groups=$groups; else groups=--clear-groups; fi
  set -- setpriv "--reuid=$uid" "--regid=$gid" "$groups" -- "$@"
fi
if [ -n "$files" ] && command -v prlimit >/dev/null; then set -- prlimit "--nofile=$files" "$@"; fi
given=$(mktemp) || exit 4
cat >"$given"
exec 3<"$given"
rm -f -- "$given"
(
  umask "$mask"
  # Into the control groups it was in: in ours it would end with us.
  printf '%s\n' "$cgroups" >"$given"
  while IFS= read -r line; do
    controllers=${line#*:} path=${line#*:*:}
    controllers=${controllers%%:*}
    for root in "/sys/fs/cgroup/${controllers#name=}" /sys/fs/cgroup/unified; do
      [ -w "$root$path/cgroup.procs" ] && { echo 0 >"$root$path/cgroup.procs"; } 2>/dev/null && break
    done
  done <"$given"
  rm -f -- "$given"
  exec setsid "$@" <&3 3<&- >>"$out" 2>>"$err"
) &
child=$!
exec 3<&-
left=10
while [ "$left" -gt 0 ]; do
  sleep 0.05
  if ! kill -0 "$child" 2>/dev/null; then
    wait "$child"
    code=$?
    [ "$code" = 0 ] && exit 0
    echo "it ended at once with exit code $code; its output is in $err" >&2
    exit 5
  fi
  left=$((left - 1))
done
exit 0
