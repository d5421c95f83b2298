#!/bin/sh
# Brings models to the newest session, one after the other; for cron and for CI services:
#
#   TARGET=s3://BUCKET MAX_USD_MONTH=20 LOCK=/srv/daily.lock HOURS=20 sh daily.sh core6 small
#
# TARGET: a bucket's URI, or the absolute path of a Terraform folder or of a target document, because cron starts in $HOME. Without it
# trainings run on this machine. With it a training waits until the trainers of the target are free.
# MAX_USD_MONTH: what each model may spend in a month, instead of the limit of the model.
# LOCK: a file; a call ends at once with 75 while an earlier one holds it, and says so. HOURS: a model that takes longer is ended, with
# status 124, and the next one has its turn. Both need commands of Linux, flock and timeout.
#
# A refusal (status 3) is no error of this script: the champion goes on serving. The text of a good day goes to stdout, that of any other
# day to stderr, which cron mails. Any status but 0 and 3 ends the script with 1, after the other models had their turn.
set -u
[ "$#" -gt 0 ] || { echo "usage: daily.sh MODEL..." >&2; exit 2; }
if [ -n "${LOCK:-}" ]; then
  exec 9>> "$LOCK" || exit 2
  flock -n 9 || { echo "daily.sh: an earlier call still runs and holds $LOCK; this one has done nothing for: $*" >&2; exit 75; }
fi
failed=0
for model in "$@"; do
  day=$(${HOURS:+timeout -k 60 "${HOURS}h"} \
    cloudlstm daily "$model" --wait ${TARGET:+--target="$TARGET"} ${MAX_USD_MONTH:+--max-usd-month="$MAX_USD_MONTH"})
  status=$?
  if [ "$status" -eq 0 ]; then printf '%s\n' "$day"; else printf '%s\n' "$day" >&2; fi
  case $status in
    0) ;;
    3) echo "$model: something was refused, see above; the champion stays" >&2 ;;
    124) echo "$model: ended after ${HOURS:-} hours; the same command goes on where it stopped" >&2; failed=1 ;;
    *) echo "$model: ended with status $status" >&2; failed=1 ;;
  esac
done
exit $failed
