# systemctl $2 $3, with sudo where $1 is 1; its output would keep the connection open.
if [ "$1" = 1 ]; then set -- sudo -n systemctl "$2" -- "$3"; else set -- systemctl --no-ask-password "$2" -- "$3"; fi
"$@"
