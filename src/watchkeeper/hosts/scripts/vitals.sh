# How the machine itself is. Each line bears the file it comes from. $1 = 1: also what changes seldom. The rest: mount
# points to look at whatever they are.
seldom=$1
shift
echo "now $(date +%s.%N)"
echo "cores $(grep -c "^cpu[0-9]" /proc/stat)"
grep -sH '^cpu ' /proc/stat
grep -sHE '^(MemTotal|MemAvailable|SwapTotal|SwapFree):' /proc/meminfo
grep -sHE '^(oom_kill|pgmajfault|pswpin|pswpout) ' /proc/vmstat
grep -sH '' /proc/loadavg /proc/diskstats /proc/net/dev /proc/pressure/* /proc/sys/fs/file-nr /proc/sys/kernel/pid_max \
  /proc/sys/kernel/osrelease /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max \
  /proc/mdstat /proc/net/bonding/* /sys/class/hwmon/hwmon*/temp*_input /sys/class/hwmon/hwmon*/temp*_crit \
  /sys/class/hwmon/hwmon*/temp*_crit_alarm /sys/devices/system/edac/mc/mc*/[cu]e_count /sys/fs/ext4/*/errors_count
for link in /sys/class/net/*/device /sys/block/*; do
  [ -e "$link" ] && echo "there $link"
done
for speed in /sys/class/net/*/speed; do
  [ -e "${speed%/speed}/device" ] && grep -sH '' "$speed"
done
grep -sHvE '^ *(#|$)' /etc/fstab
seen=
while read -r device mount type options rest; do
  named=0
  for wanted; do
    [ "$(printf %b "$mount")" = "$wanted" ] && named=1
  done
  if [ "$named" = 0 ]; then
    case $type in
      ext[234] | xfs | btrfs | zfs | f2fs | jfs | reiserfs | bcachefs) ;;
      *) continue ;;
    esac
    case "$device $seen " in
      /dev/loop* | *" $device "*) continue ;;
    esac
    seen="$seen $device "
  fi
  figures=$(stat -f -c '%S %b %a %c %d' -- "$(printf %b "$mount")" 2>&1)
  printf '%s\n' "filesystem $device $mount $type $options $named $figures"
done </proc/self/mounts
if [ "$seldom" = 1 ] && [ -d /run/systemd/system ]; then
  echo systemd
  systemctl list-units --state=failed --no-legend --plain --no-pager 2>/dev/null | sed 's/^/failed /'
fi
exit 0
