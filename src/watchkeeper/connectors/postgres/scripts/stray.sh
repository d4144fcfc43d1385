# What fills the disk of a PostgreSQL and is none of its own: `find`, `moved`, `move FILE`, `back FILE`.
# Arguments: MODE DATA SPARE LEAST_PERCENT LEAST_MINUTES [FILE]. Prints words for people on the error output.
# A file is only ever moved by copying, flushing, comparing, and then removing: never just removed.
set -u
LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
mode=$1 data=$2 spare=$3 minutes=$5 file=${6:-}
refuse() { echo "$*" >&2; exit 3; }
device() { stat -c %d -- "$1" 2>/dev/null; }
df_field() { df -Pk -- "$1" | sed -n 2p | sed 's/  */ /g' | cut -d' ' -f"$2"; }
free_kib() { df_field "$1" 4; }

data=$(realpath -- "$data") || refuse "the data directory is not there"
disk=$(device "$data")
least=$(($(df_field "$data" 2) * $4 / 100))
[ "$mode" != find ] || echo "disk $(df_field "$data" 2) $(free_kib "$data")"
top=$data
while [ "$top" != / ]; do
  above=${top%/*}
  [ "$(device "${above:-/}")" = "$disk" ] || break
  top=${above:-/}
done
# A disk that it shares with the system holds files of everybody.
case $top in
  / | /usr | /var | /var/lib | /var/log | /home | /opt | /srv | /tmp | /root | /etc | /mnt | /media | /dev/shm)
    refuse "its data is not on a disk of its own, but on that of $top" ;;
esac

# Whatever is below one of these is the server's: its data, its write-ahead log, its tablespaces.
owned=$(
  echo "$data"
  realpath -- "$data/pg_wal" 2>/dev/null
  for link in "$data"/pg_tblspc/*; do [ -e "$link" ] && realpath -- "$link"; done
)
is_owned() {
  echo "$owned" | while IFS= read -r one; do
    case $1/ in "$one"/*) echo yes ;; esac
  done | grep -q yes
}

# A cluster, a tablespace, a base backup or a repository of backups is somebody's, as a whole.
in_a_store() {
  at=${1%/*}
  while :; do
    for mark in PG_VERSION backup_manifest backup_label backup.info archive.info; do
      [ -e "$at/$mark" ] && return 0
    done
    set -- "$at"/PG_[0-9]*_*
    [ -e "$1" ] && return 0
    [ "$at" = "$top" ] || [ -z "$at" ] && return 1
    at=${at%/*}
  done
}

# Of every process it must be possible to see which files it holds open: a container's root may not look at those of
# other users' processes, so each is looked at as its own user. Who may follow its `cwd` may follow its open files.
open_files() {
  for who in $(stat -c %u:%g /proc/[0-9]* 2>/dev/null | sort -u); do
    look='for p in /proc/[0-9]*; do [ -e "$p/cwd" ] && echo "seen ${p#/proc/}"; done
      printf "%s\n" /proc/[0-9]*/fd/* /proc/[0-9]*/cwd | xargs stat -L -c "file %d:%i" | sort -u
      cat /proc/[0-9]*/maps | sed -n "s/^[^ ]* [^ ]* [^ ]* [^ ]* \([1-9][0-9]*\) .*/map \1/p" | sort -u'
    if [ "$who" = "$(id -u):$(id -g)" ]; then sh -c "$look"
    else setpriv --reuid "${who%:*}" --regid "${who#*:}" --clear-groups sh -c "$look" || su-exec "$who" sh -c "$look"
    fi 2>/dev/null
  done
}
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
must_not_be_open() {
  number=$(stat -c %i -- "$1")
  files=$(open_files)
  seen=" $(echo "$files" | sed -n 's/^seen //p' | tr '\n' ' ')"
  ours=$(began $$)
  for process in /proc/[0-9]*; do
    process=${process#/proc/}
    case $seen in *" $process "*) continue ;; esac
    # A machine's first process may be beyond root's rights; it holds nobody's data.
    [ "$process" = 1 ] && [ "$(stat -c %u /proc/1)" = 0 ] && continue
    grep -q '^State:.*[ZX]' "/proc/$process/status" 2>/dev/null && continue
    start=$(began "$process")
    # What began after us is a command of ours, or came since: the look before the end would see it.
    [ -n "$start" ] && [ "$start" -lt "$ours" ] && refuse "what process $process holds open cannot be seen from here"
  done
  echo "$files" | grep -qx "file $disk:$number" && refuse "a process holds it open"
  echo "$files" | grep -qx "map $number" && refuse "a process has it mapped"
  for backing in /sys/block/loop*/loop/backing_file; do
    [ -e "$backing" ] || continue
    [ "$(sed 's|.*/||' "$backing")" = "${1##*/}" ] && refuse "it is mounted as a disk"
  done
  grep -q "^$1 " /proc/swaps 2>/dev/null && refuse "it is swapped to"
  return 0
}

# What must hold of a file, whoever proposed it.
must_be_stray() {
  [ "$(realpath -- "$1" 2>/dev/null)" = "$1" ] || refuse "it is not there, or a link leads to it"
  [ -f "$1" ] || refuse "it is not a regular file"
  [ "$(stat -c %h -- "$1")" = 1 ] || refuse "it has other names (hard links): moving it would free nothing"
  [ "$(device "$1")" = "$disk" ] || refuse "it is on another disk"
  is_owned "$1" && refuse "it belongs to the server: its data, its write-ahead log or a tablespace"
  in_a_store "$1" && refuse "it belongs to a cluster or a backup"
  case ${1##*/} in
    postgresql* | pg_* | *.conf | *.history | *.partial | *.backup | *.signal | *.pid | .watchkeeper-*)
      refuse "its name is that of a file PostgreSQL uses" ;;
  esac
  echo "${1##*/}" | grep -Eq '^[0-9A-F]{24}(\..*)?$' && refuse "it is a segment of the write-ahead log"
  [ $(($(stat -c '%b * %B / 1024' -- "$1"))) -ge "$least" ] || refuse "it is too small to matter"
  [ -n "$(find "$1" -mmin +"$minutes" 2>/dev/null)" ] || refuse "it was written to within the last $minutes minutes"
}

usable_spare() {
  spare=$(realpath -- "$spare" 2>/dev/null) && [ -d "$spare" ] || refuse "the spare folder is not there"
  [ "$(device "$spare")" != "$disk" ] || refuse "the spare folder is on the same disk"
}

# Copy, flush, compare, look whether it is the same still, put it in its place, and only then remove.
carry() {
  from=$1 to=$2
  part=${to%/*}/.watchkeeper-${to##*/}.part
  before=$(stat -c '%i %s %Y' -- "$from")
  trap 'rm -f -- "$part"' EXIT
  cp -p -- "$from" "$part" || refuse "it could not be copied"
  sync "$part" || refuse "the copy could not be flushed"
  cmp -s -- "$from" "$part" || refuse "the copy differs"
  [ "$(stat -c '%i %s %Y' -- "$from")" = "$before" ] || refuse "it was changed meanwhile"
  [ ! -e "$to" ] || refuse "$to is there already"
  mv -n -- "$part" "$to" && [ ! -e "$part" ] || refuse "$to is there already"
  sync "${to%/*}"
}

case $mode in
  find)
    set -- -name lost+found
    while IFS= read -r one; do set -- "$@" -o -path "$(echo "$one" | sed 's/[][*?\\]/\\&/g')"; done <<OWNED
$owned
OWNED
    find "$top" -xdev \( "$@" \) -prune -o -type f -links 1 -size +"$least"k -mmin +"$minutes" -print 2>/dev/null |
      while IFS= read -r one; do
        (must_be_stray "$one") 2>/dev/null && stat -c '%b %B %n' -- "$one"
      done | sort -rn | head -n 5 | while read -r blocks size name; do echo "stray $((blocks * size)) $name"; done
    [ -n "$spare" ] && (usable_spare) 2>/dev/null && echo "spare $(free_kib "$spare")"
    exit 0
    ;;
  moved)
    for note in "$spare"/*.moved-from; do
      [ -e "$note" ] && [ -e "${note%.moved-from}" ] || continue
      [ -e "$(cat "$note")" ] || cat "$note"
    done
    ;;
  move)
    usable_spare
    must_be_stray "$file"
    must_not_be_open "$file"
    size=$(($(stat -c %s -- "$file") / 1024))
    [ "$(free_kib "$spare")" -ge $((size + size / 10 + 65536)) ] || refuse "the spare folder has no room for it"
    to=$spare/${file##*/}
    number=1
    while [ -e "$to" ] || [ -e "$to.moved-from" ]; do
      # Interrupted after the copy and before the end: go on from there.
      if [ "$(cat "$to.moved-from" 2>/dev/null)" = "$file" ] && cmp -s -- "$file" "$to"; then break; fi
      to=$spare/${file##*/}.$number number=$((number + 1))
    done
    if [ ! -e "$to" ]; then
      echo "$file" > "$to.moved-from" && sync "$to.moved-from" || refuse "the spare folder cannot be written to"
      carry "$file" "$to"
    fi
    must_not_be_open "$file"
    rm -- "$file" && sync "${file%/*}"
    echo "$to"
    ;;
  back)
    for note in "$spare"/*.moved-from; do
      [ "$(cat "$note" 2>/dev/null)" = "$file" ] && [ -e "${note%.moved-from}" ] || continue
      [ -e "$file" ] && refuse "$file is there already"
      [ "$(device "${file%/*}")" = "$disk" ] || refuse "its folder is no more"
      size=$(($(stat -c %s -- "${note%.moved-from}") / 1024))
      [ "$(free_kib "$data")" -gt "$size" ] || refuse "there is no room for it any more: it stays in $spare"
      carry "${note%.moved-from}" "$file"
      rm -- "${note%.moved-from}" "$note"
      exit 0
    done
    refuse "it is not in $spare"
    ;;
esac
