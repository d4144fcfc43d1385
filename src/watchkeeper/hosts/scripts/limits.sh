# The least memory limit of the control groups of process $1, in bytes; and its own limit of address space or data.
pid=$1
least() {
  # $1 root, $2 path, $3 file
  path=$2
  while :; do
    value=$(cat "$1$path/$3" 2>/dev/null) && echo "limit $value"
    [ -z "$path" ] || [ "$path" = / ] && break
    path=${path%/*}
  done
}
while IFS= read -r line; do
  case $line in
    0::*) least /sys/fs/cgroup "${line#0::}" memory.max; least /sys/fs/cgroup/unified "${line#0::}" memory.max ;;
    *:memory:*) least /sys/fs/cgroup/memory "${line#*:memory:}" memory.limit_in_bytes ;;
  esac
done <"/proc/$pid/cgroup"
sed -nE 's/^Max (address space|data size) +([0-9]+) .*/limit \2/p' "/proc/$pid/limits"
exit 0
