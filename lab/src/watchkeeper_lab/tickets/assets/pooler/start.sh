#!/bin/sh
set -e
umask 077
{
    echo "\"desk\" \"$DESK_PASSWORD\""
    echo "\"mailer\" \"$MAILER_PASSWORD\""
    echo "\"pooladmin\" \"$POOLADMIN_PASSWORD\""
    echo "\"watchkeeper\" \"$WATCHKEEPER_PASSWORD\""
} > /etc/desk/users.txt
unset DESK_PASSWORD MAILER_PASSWORD POOLADMIN_PASSWORD WATCHKEEPER_PASSWORD
exec pgbouncer /etc/desk/pooler.ini
