#!/usr/bin/env bash
# Sets up a new machine of a group, a trainer or a launcher, for what its group is assigned.
#
#   trainer.sh             sets up the machine; runs as root at its start, and may run again
#   trainer.sh if-overdue  removes the machine from its group if its deadline has passed; a timer runs it
#   trainer.sh ended       runs when the agent's unit has ended: after a success it sets a near deadline
#
# The cloud's template exports the six variables below before this text. A machine whose set-up fails, or whose agent
# fails again and again, writes its log to the bucket and leaves its group, so that no other one replaces it and fails too.
# Needs bash, curl and python3 of the image, and on AWS its command line; all else comes from the bucket.
set -euo pipefail

: "${CLOUDLSTM_CLOUD:?}" "${CLOUDLSTM_BUCKET_URI:?}" "${CLOUDLSTM_GROUP:?}" "${CLOUDLSTM_REGION:?}"
: "${CLOUDLSTM_MAX_HOURS:?}" "${CLOUDLSTM_GPU:?}"

readonly BASE=${CLOUDLSTM_PREFIX:-}/opt/cloudlstm # tests work below a prefix
readonly STATE=${CLOUDLSTM_PREFIX:-}/run/cloudlstm # in memory: the disk may be full
readonly UNITS=${CLOUDLSTM_PREFIX:-}/etc/systemd/system
readonly COORDINATES=$CLOUDLSTM_BUCKET_URI/trainers/$CLOUDLSTM_GROUP

readonly TRIES=4 WITHIN_S=240 # an agent that fails so often in this time, or in `within` of its assignment, is not started again
readonly ASK_S=900            # a machine asks for this long to leave its group before it shuts down

export HOME=/root # at the start of a machine there is none
export LC_ALL=C   # letters and digits of a pattern are those of ASCII
unset PYTHONPATH  # the agent's
export UV_CACHE_DIR=$BASE/uv-cache

# Checks of external values -----
# This runs as root, and bash executes commands inside the text of a number ("a[$(...)]"). A path, header or unit can be
# made to hold several values. So values of objects and of the metadata service must match a pattern before use.
declare -rA PATTERNS=(
  [version]=1 [deadline]='0|[1-9][0-9]{0,10}' [accelerator]='cpu|cuda' [python]='3\.[0-9]{1,2}'
  [workers]='[1-9][0-9]{0,3}' [port]='[1-9][0-9]{3,4}' [attempt]='[1-9][0-9]{0,8}' [sha256]='[0-9a-f]{64}'
  [trainer_python]='/[A-Za-z0-9._/-]+' [uri]="${CLOUDLSTM_BUCKET_URI//./[.]}(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+"
  [id]='[a-z][a-z0-9-]{0,62}' [address]='[0-9]{1,3}(\.[0-9]{1,3}){3}' [token]='[A-Za-z0-9._~+/=-]+'
  [linger]='0|[1-9][0-9]{0,3}' [within]='[1-9][0-9]{0,5}' [imports]='[a-z]+'
  [zone]='projects/[0-9]+/zones/[a-z0-9-]+' [project-id]='([a-z0-9.-]+:)?[a-z][a-z0-9-]+'
  [CLOUD]='aws|gcp' [BUCKET_URI]='(s3|gs)://[a-z0-9][a-z0-9._-]+' [GROUP]='[a-z][a-z0-9-]*' [REGION]='[a-z][a-z0-9-]+'
  [MAX_HOURS]='[1-9][0-9]{0,2}' [GPU]='[a-z0-9]+'
)

checked() { # NAME VALUE: the value, if the pattern of that name allows it
  local shown=${2:0:80}
  if [[ $2 =~ ^(${PATTERNS[$1]})$ ]]; then
    printf "%s\n" "$2"
  else
    echo "the value ${shown@Q} is not allowed for $1" >&2
    return 1
  fi
}

# Functions per cloud -----

metadata() { # id or address of this machine; of Google's also zone and project-id
  local found
  case $CLOUDLSTM_CLOUD in
    aws)
      local service=http://169.254.169.254/latest token
      local -A names=([id]=instance-id [address]=local-ipv4)
      token=$(curl -fsS --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$service/api/token") &&
        token=$(checked token "$token") || return
      found=$(curl -fsS --retry 5 -H "X-aws-ec2-metadata-token: $token" "$service/meta-data/${names[$1]}") || return
      ;;
    gcp)
      local -A names=([id]=instance/name [address]=instance/network-interfaces/0/ip [zone]=instance/zone
        [project-id]=project/project-id)
      found=$(google_metadata "${names[$1]}") || return
      ;;
    *)
      unknown_cloud
      return
      ;;
  esac
  checked "$1" "$found"
}

copy() { # FROM TO: a file and an object, either way
  local store=https://storage.googleapis.com
  case $CLOUDLSTM_CLOUD in
    aws) aws s3 cp --only-show-errors --region "$CLOUDLSTM_REGION" "$1" "$2" ;;
    gcp)
      if [[ $1 == gs://* ]]; then
        google -o "$2" "$store/${1#gs://}"
      else
        google -T "$1" "$store/${2#gs://}"
      fi
      ;;
    *) unknown_cloud ;;
  esac
}

leave_group() { # ends this machine for good: its group gets smaller by one
  local id zone project
  case $CLOUDLSTM_CLOUD in
    aws)
      id=$(metadata id) || return
      aws autoscaling terminate-instance-in-auto-scaling-group --region "$CLOUDLSTM_REGION" \
        --instance-id "$id" --should-decrement-desired-capacity
      ;;
    gcp)
      id=$(metadata id) && zone=$(metadata zone) && project=$(metadata project-id) || return
      google -o /dev/null -H 'Content-Type: application/json' \
        -d "{\"instances\": [\"zones/${zone##*/}/instances/$id\"]}" \
        "https://compute.googleapis.com/compute/v1/projects/$project/regions/$CLOUDLSTM_REGION/instanceGroupManagers/$CLOUDLSTM_GROUP/deleteInstances"
      ;;
    *) unknown_cloud ;;
  esac
}

google_metadata() { # PATH
  curl -fsS --retry 5 -H 'Metadata-Flavor: Google' "http://metadata.google.internal/computeMetadata/v1/$1"
}

google() { # ARGUMENTS OF CURL...: a request in this machine's name; images differ in tools, and all have curl
  local token
  token=$(google_metadata instance/service-accounts/default/token |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])') &&
    token=$(checked token "$token") || return
  curl -fsS --retry 5 -H @- "$@" <<<"Authorization: Bearer $token"
}

unknown_cloud() {
  echo "no cloud is called $CLOUDLSTM_CLOUD" >&2
  return 1
}

# Deadline and shutdown -----

# A group replaces a machine that shuts down. So the timer asks again: on AWS for a while, as the group may be gone; on
# Google Cloud until the machine is deleted.
leave() { # once the deadline has passed
  local deadline
  leave_group && return
  deadline=$(checked deadline "$(cat "$BASE/deadline")") || deadline=0
  if ! systemctl is-active --quiet cloudlstm-deadline.timer ||
    { [[ $CLOUDLSTM_CLOUD != gcp ]] && (($(date +%s) >= deadline + ASK_S)); }; then
    shutdown -h now
  fi
}

if_overdue() {
  local deadline
  deadline=$(checked deadline "$(cat "$BASE/deadline")") || deadline=0
  (($(date +%s) < deadline)) || leave
}

set_deadline() { # EPOCH_SECONDS: keeps the earliest deadline ever set
  local earlier=$1
  [[ ! -s $BASE/deadline ]] || earlier=$(checked deadline "$(cat "$BASE/deadline")") || return
  echo $(($1 < earlier ? $1 : earlier)) >"$BASE/deadline.new"
  mv "$BASE/deadline.new" "$BASE/deadline"
}

ended() { # the agent's unit has ended
  local now recent
  now=$(date +%s)
  if [[ ${SERVICE_RESULT:-} == success ]]; then # a live launcher removes a trainer sooner
    set_deadline $((now + $(field linger 2>/dev/null || echo 600)))
    if_overdue
    return
  fi
  ! preempted || return 0
  mkdir -p "$STATE"
  journalctl --sync || true
  # What the agent wrote since this start, and what systemd says about it.
  journalctl --lines=40 --no-pager --output=cat "_SYSTEMD_INVOCATION_ID=${INVOCATION_ID:-}" + \
    "INVOCATION_ID=${INVOCATION_ID:-}" >"$STATE/agent.log" || true
  echo "the agent ended: ${SERVICE_RESULT:-}, ${EXIT_CODE:-} ${EXIT_STATUS:-}" >>"$STATE/agent.log" || true
  echo "$now" >>"$STATE/failures"
  mapfile -t recent < <(tail -n "$TRIES" "$STATE/failures")
  if ((${#recent[@]} == TRIES && now - recent[0] < $(field within 2>/dev/null || echo "$WITHIN_S"))); then
    systemctl stop --no-block cloudlstm-agent.service # so it is not started again
    give_up "$STATE/agent.log" "the agent failed $TRIES times in $((now - recent[0])) s"
  else
    store "$STATE/agent.log"
  fi
}

on_exit() { # STATUS
  (($1 != 0)) && ! preempted || return 0
  exec >&3 2>&1 # the machine's console
  tail -n 40 "$BASE/setup.log"
  give_up "$BASE/setup.log" "the set-up failed with status $1"
}

preempted() { # or ended otherwise from outside
  [[ $(systemctl is-system-running) == stopping ]]
}

give_up() { # LOG REASON: a launcher looks for this line
  echo "this machine gives up: $2" >>"$1" || true
  store "$1"
  set_deadline "$(date +%s)" || true # an accepted request to leave may still fail: then the timer asks again
  leave
}

store() { # LOG: into the bucket
  local id
  if id=$(metadata id); then
    copy "$1" "$COORDINATES/machines/$id.log" || true
  fi
}

# Set-up -----

retry() { # COMMAND...: five tries
  local try
  for try in 2 4 8 16; do
    "$@" && return
    sleep "$try"
  done
  "$@"
}

field() { # NAME: a value of the assignment, such as package.sha256
  local found
  found=$(python3 -c '
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."):
    value = value[key]
print(int(value) if isinstance(value, float) else value)' "$BASE/assignment.json" "$1") || found=
  checked "${1##*.}" "$found" || { echo "the assignment has no usable $1" >&2 && return 1; }
}

has() { # KEY: whether the assignment has it
  python3 -c 'import json, sys; sys.exit(sys.argv[2] not in json.load(open(sys.argv[1])))' "$BASE/assignment.json" "$1"
}

is() { # FILE SHA256
  sha256sum --check --status <<<"$2  $1" 2>/dev/null
}

fetch() { # NAME FILE: downloads the object named in the assignment, unless FILE has its content
  local uri sha256
  uri=$(field "$1.uri") && sha256=$(field "$1.sha256") || return
  is "$2" "$sha256" && return
  retry copy "$uri" "$2"
  is "$2" "$sha256" && return
  echo "$uri does not have the sha256 $sha256 that was assigned"
  return 1
}

watch_deadline() {
  set_deadline $(($(date +%s) + CLOUDLSTM_MAX_HOURS * 3600))
  cat >"$UNITS/cloudlstm-deadline.service" <<UNIT
[Unit]
Description=End of this machine once its deadline has passed

[Service]
Type=oneshot
EnvironmentFile=$BASE/environment
ExecStart=$BASE/trainer.sh if-overdue
UNIT
  cat >"$UNITS/cloudlstm-deadline.timer" <<UNIT
[Timer]
OnBootSec=1min
OnUnitInactiveSec=1min

[Install]
WantedBy=timers.target
UNIT
  systemctl daemon-reload
  systemctl enable --now cloudlstm-deadline.timer
}

check_driver() { # takes less than two minutes
  [[ $CLOUDLSTM_GPU != none ]] || return 0
  retry timeout 12 nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
  # CUDA has a setuid program make this device, which can do nothing in a unit without new privileges.
  timeout 12 nvidia-modprobe -u -c 0 || true
  [[ -c ${CLOUDLSTM_PREFIX:-}/dev/nvidia-uvm ]] || { echo "NVIDIA's driver made no device nvidia-uvm" && return 1; }
  timeout 12 python3 -c "$USE_GPU"
}

# CUDA as the agent uses it: not as root, and without new privileges.
readonly USE_GPU='
import ctypes, os, sys
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
status = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
if status or not count.value:
    sys.exit(f"CUDA cannot use the GPU: status {status}, {count.value} devices")
'

# The assignment is written before the group scales out. A machine that finds none, or an expired one, for half an hour
# replaces one that is no longer needed.
await_assignment() {
  local deadline=0 tries=0 name accelerator
  while true; do
    if copy "$COORDINATES/assignment.json" "$BASE/assignment.json"; then
      deadline=$(field deadline) || return
      ((deadline <= $(date +%s))) || break
    fi
    ((++tries <= 60)) || { echo "no run has been assigned for half an hour" && return 1; }
    sleep 30
  done
  set_deadline "$deadline"
  for name in version attempt workers port python; do
    field "$name" >/dev/null || return
  done
  accelerator=$(field accelerator) || return
  [[ $CLOUDLSTM_GPU != none || $accelerator == cpu ]] && return
  echo "the run wants $accelerator, and this machine has no GPU"
  return 1
}

lay_out_run() {
  mkdir -p "$BASE/jobs"
  fetch package "$BASE/cloudlstm.zip"
  fetch jobs.agent "$BASE/jobs/agent.py"
  fetch jobs.train "$BASE/jobs/train.py"
  CODE=$BASE/cloudlstm.zip
  if has own; then # the user's
    fetch own "$BASE/own.zip"
    CODE+=:$BASE/own.zip
  fi
  if field trainer_python >/dev/null 2>&1; then
    use_image
  else
    unpack_wheelhouse
  fi
}

use_image() { # the image has an interpreter with all packages
  local said module
  PYTHON=$(field trainer_python) && module=$(field imports 2>/dev/null || echo tensorflow) || return
  said=$("$PYTHON" -c "import $module" 2>&1) && return
  echo "$PYTHON, the image's trainer_python, cannot import $module: ${said##*$'\n'}"
  return 1
}

unpack_wheelhouse() { # Python and packages from the bucket alone: no index, no package source
  local house=$BASE/wheelhouse sha256 python
  sha256=$(field wheelhouse.sha256) && python=$(field python) || return
  PYTHON=$BASE/venv/bin/python
  [[ ! -e $BASE/venv/wheelhouse || $(<"$BASE/venv/wheelhouse") != "$sha256" ]] || return 0
  rm -rf "$house" "$BASE/venv"
  fetch wheelhouse "$house.tar"
  python3 -m tarfile -e "$house.tar" "$house"
  rm "$house.tar"
  "$house/uv" venv --quiet --offline --python "$house/python/bin/python$python" "$BASE/venv"
  "$house/uv" pip install --quiet --offline --no-index --find-links "$house/wheels" --require-hashes \
    --no-deps --only-binary :all: --python "$PYTHON" -r "$house/requirements.txt"
  rm -rf "$house/wheels" "$UV_CACHE_DIR"
  echo "$sha256" >"$BASE/venv/wheelhouse"
}

start_agent() {
  local address
  address=$(metadata address)
  cat >"$BASE/agent.environment" <<ENVIRONMENT
CLOUDLSTM_ADDRESS=$address
PYTHONPATH=$CODE
AWS_DEFAULT_REGION=$CLOUDLSTM_REGION
HOME=/var/lib/cloudlstm
TMPDIR=/var/lib/cloudlstm
ENVIRONMENT
  cat >"$UNITS/cloudlstm-agent.service" <<UNIT
[Unit]
Description=Training worker
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
EnvironmentFile=$BASE/environment
EnvironmentFile=$BASE/agent.environment
ExecStart=$PYTHON $BASE/jobs/agent.py
WorkingDirectory=/var/lib/cloudlstm
StateDirectory=cloudlstm
DynamicUser=yes
Restart=on-failure
RestartSec=5
OOMPolicy=continue
ExecStopPost=+$BASE/trainer.sh ended

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now cloudlstm-agent.service
}

set_up() {
  local name variable
  umask 022
  mkdir -p "$BASE" "$UNITS"
  exec 3>&1 >>"$BASE/setup.log" 2>&1
  trap 'on_exit $?' EXIT
  if [[ ! $0 -ef $BASE/trainer.sh ]]; then
    install -m 755 "$0" "$BASE/trainer.sh"
  fi
  for name in CLOUD BUCKET_URI GROUP REGION MAX_HOURS GPU; do
    variable=CLOUDLSTM_$name
    checked "$name" "${!variable}" >/dev/null
    echo "$variable=${!variable}"
  done >"$BASE/environment"
  watch_deadline
  check_driver
  await_assignment
  lay_out_run
  start_agent
}

case ${1:-set-up} in
  set-up) set_up ;;
  if-overdue) if_overdue ;;
  ended) ended ;;
  *)
    echo "usage: trainer.sh [if-overdue|ended]" >&2
    exit 2
    ;;
esac
