#!/bin/sh
set -e
umask 077
watch="+ping +info +client|setname +slowlog|len +config|get +randomkey +client|list +slowlog|get +memory|purge"
watch="$watch +config|set +scan +client|kill +script|kill +function|kill (~watchkeeper:probe:* +set +get +del)"
cat > /etc/desk/users.acl <<ACL
user default off
user desk on >$DESK_PASSWORD ~* &* +@all -@admin -flushall -flushdb +client +info
user practice on >$PRACTICE_PASSWORD ~* &* +@all
user watchkeeper on >$WATCHKEEPER_PASSWORD $watch
ACL
unset DESK_PASSWORD PRACTICE_PASSWORD WATCHKEEPER_PASSWORD
exec redis-server /etc/desk/broker.conf
