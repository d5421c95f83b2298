#!/bin/sh
# Brings models to the newest session, one after the other; for cron and for CI services:
#
#   TARGET=s3://BUCKET MAX_USD_MONTH=20 sh daily.sh core6 small
#
# Without TARGET trainings run on this machine. A refusal (status 3) is no error of this script: the champion goes on serving. The text
# of a good day goes to stdout, that of any other day to stderr, which cron mails. Any status but 0 and 3 ends the script with 1, after
# the other models had their turn.
set -u
[ "$#" -gt 0 ] || { echo "usage: daily.sh MODEL..." >&2; exit 2; }
failed=0
for model in "$@"; do
  day=$(cloudlstm daily "$model" ${TARGET:+--target="$TARGET"} ${MAX_USD_MONTH:+--max-usd-month="$MAX_USD_MONTH"})
  status=$?
  if [ "$status" -eq 0 ]; then printf '%s\n' "$day"; else printf '%s\n' "$day" >&2; fi
  case $status in
    0) ;;
    3) echo "$model: something was refused, see above; the champion stays" >&2 ;;
    *) echo "$model: ended with status $status" >&2; failed=1 ;;
  esac
done
exit $failed
