# The TCP sockets of this machine, who holds them, and where it stands on the network.
echo "namespace $(readlink /proc/self/ns/net)"
command -v ip >/dev/null && ip -o addr show scope global 2>/dev/null | sed 's/^/address /'
echo "host $(uname -n)"
grep -sH '' /proc/net/tcp /proc/net/tcp6
find /proc/[0-9]*/fd -lname 'socket:*' -printf '%p %l\n' 2>/dev/null
exit 0
