#!/bin/sh
# Brings models to the newest session, one after the other; for cron and for CI services:
#
#   TARGET=s3://BUCKET MAX_USD_MONTH=20 sh daily.sh core6 small
#
# Without TARGET trainings run on this machine. A refusal (status 3) is no error of this script: the champion goes on serving, and
# what was refused is printed, which cron mails. Any other status ends the script with 1, after the other models had their turn.
set -u
[ "$#" -gt 0 ] || { echo "usage: daily.sh MODEL..." >&2; exit 2; }
failed=0
for model in "$@"; do
  cloudlstm daily "$model" ${TARGET:+--target="$TARGET"} ${MAX_USD_MONTH:+--max-usd-month="$MAX_USD_MONTH"}
  status=$?
  case $status in
    0) ;;
    3) echo "$model: something was refused, see above; the champion stays" >&2 ;;
    *) echo "$model: ended with status $status" >&2; failed=1 ;;
  esac
done
exit $failed
