# What runs on this machine. Each line bears the file it comes from, so that no process can speak for another.
# $1 = 1: everything; else only what changes from look to look. Then the units to show; none with $1 = 1: all.
full=$1
shift
cat /proc/sys/kernel/random/boot_id | sed 's/^/boot /'
grep -H '^btime' /proc/stat
echo "units $(getconf CLK_TCK) $(getconf PAGESIZE) $(id -u)"
grep -sHE '^(MemTotal|MemAvailable):' /proc/meminfo
grep -sH '^oom_kill ' /proc/vmstat
grep -sH '' /proc/[0-9]*/stat
if [ "$full" = 1 ]; then
  echo "namespace $(readlink /proc/self/ns/pid)"
  grep -sHE '^(NSpid|Uid):' /proc/[0-9]*/status /proc/self/status
  grep -sH '' /proc/[0-9]*/cgroup /proc/self/cgroup
  grep -sH ' 0A ' /proc/net/tcp /proc/net/tcp6
  find /proc/[0-9]*/fd -lname 'socket:*' -printf '%p %l\n' 2>/dev/null
fi
if [ -d /run/systemd/system ]; then
  [ "$full" = 1 ] && set -- '*.service'
  if [ $# -gt 0 ]; then
    echo systemd
    systemctl show --no-pager -p Id,LoadState,ActiveState,SubState,Type,Result,MainPID,Restart,RestartUSec,ExecMainCode,ExecMainStatus,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,NRestarts,MemoryCurrent,MemoryMax,MemoryLimit,CPUUsageNSec,TasksCurrent,UnitFileState,ControlGroup,ExecStart -- "$@" 2>/dev/null
  fi
fi
echo commands
[ "$full" = 1 ] && grep -saHz '' /proc/[0-9]*/cmdline
exit 0
