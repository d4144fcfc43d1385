#!/bin/sh
# As in the official image: own the data, then run as redis and not as root.
set -e
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown -R redis:redis .
    exec setpriv --reuid redis --regid redis --clear-groups -- "$@"
fi
exec "$@"
