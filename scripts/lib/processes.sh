# shellcheck shell=bash
# Our processes: each starts in its own group, is recorded in a file, and is ended by that record.
# Sourced by scripts/setup.
#
# A record is a file of three lines: the process id, the time at which that process began, and the
# signal that ends it. After a reboot, or once ids wrap around, the id alone would name another
# process.

STARTED_HERE=  # records of what this script started, newest first
GROUP_PID=     # the group that run_group waits for
GROUP_RECORD=  # where run_group records it
HELD_LOCK=     # the lock that this script holds

# Print what tells this process from a later one with the same id; fail if it is gone.
process_identity() {
  local line
  if [ -r /proc/self/stat ]; then
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # After the name in parentheses: the state is the first field, the start time the twentieth.
    # shellcheck disable=SC2086 # the fields
    set -- ${line##*) }
    [ "$1" != Z ] || return 1
    printf '%s %s\n' "${20}" "$(cat /proc/sys/kernel/random/boot_id)"
  else
    line=$(LC_ALL=C ps -o stat= -o lstart= -p "$1") || return 1
    # shellcheck disable=SC2086 # the fields: the state, then the date
    set -- $line
    case $1 in Z*) return 1 ;; esac
    shift
    printf '%s\n' "$*"
  fi
}

# record_process FILE PID [SIGNAL]
record_process() {
  local identity
  identity=$(process_identity "$2") || return 1
  printf '%s\n%s\n%s\n' "$2" "$identity" "${3:-TERM}" >"$1.new"
  mv -f "$1.new" "$1"
}

# Print the id of the process that FILE records, if it still runs.
running_pid() {
  local pid='' identity=''
  { read -r pid && read -r identity; } 2>/dev/null <"$1" || return 1
  [ "$(process_identity "$pid")" = "$identity" ] || return 1
  printf '%s\n' "$pid"
}

is_running() {
  running_pid "$1" >/dev/null
}

# within SECONDS COMMAND... runs a program, which ends by SIGALRM if it takes longer.
within() {
  perl -e 'alarm shift; exec @ARGV or die "$ARGV[0]: $!\n"' "$@"
}

# launch RECORD SIGNAL LOG COMMAND... starts a process in the background, in /, that outlives this
# script.
launch() {
  local record=$1 signal=$2 log=$3 waited=0
  shift 3
  rm -f "$record"
  : >"$log"
  STARTED_HERE="$record
$STARTED_HERE"
  # A short-lived parent: the process belongs to init, and this shell never reports on it.
  (
    set -m
    cd /
    trap '' HUP
    record_and_run "$record" "$signal" exec env NO_COLOR=1 "$@" >>"$log" 2>&1 </dev/null &
  )
  while [ ! -e "$record" ] && [ "$waited" -lt 200 ]; do
    sleep 0.05
    waited=$((waited + 1))
  done
}

# record_and_run RECORD SIGNAL COMMAND... runs the command in this subshell. It is recorded before
# it begins, so a killed script leaves only recorded processes behind. (BASHPID would do, but bash
# 3.2 has none.)
record_and_run() {
  local record=$1 signal=$2 pid
  set +m
  shift 2
  pid=$(exec sh -c 'echo "$PPID"')
  if [ -n "$record" ]; then record_process "$record" "$pid" "$signal"; fi
  "$@"
}

# stop_recorded RECORD [SECONDS [SIGNAL]] ends the recorded process and its group, kindly first.
stop_recorded() {
  local pid waited=0
  if pid=$(running_pid "$1"); then
    kill -s "${3:-$(sed -n 3p "$1")}" -- "-$pid" 2>/dev/null || true
    while is_running "$1" && [ "$waited" -lt $((${2:-30} * 10)) ]; do
      sleep 0.1
      waited=$((waited + 1))
    done
    if is_running "$1"; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
  fi
  rm -f "$1"
}

# guard RECORD COMMAND... runs COMMAND if the process that RECORD names disappears, as after a kill
# -9, before the record does. It waits in its own group, so signals to the script do not reach it.
guard() {
  local record=$1
  shift
  (
    set -m
    trap '' HUP
    {
      set +me
      trap - EXIT
      while is_running "$record"; do sleep 1; done
      if [ -e "$record" ]; then "$@"; fi
    } </dev/null >/dev/null 2>&1 &
  )
}

# Stop what this script itself started, newest first.
stop_started_here() {
  local record
  printf '%s' "$STARTED_HERE" | while IFS= read -r record; do
    stop_recorded "$record"
  done
  STARTED_HERE=
}

# Run a command in its own process group and wait for it, so that an interrupted script can end all
# of it. If only cargo ended, its tests would go on. GROUP_RECORD, if set, names its record.
run_group() {
  local status=0
  set -m
  record_and_run "$GROUP_RECORD" TERM "$@" </dev/null &
  GROUP_PID=$!
  set +m
  wait "$GROUP_PID" || status=$?
  stop_group
  return "$status"
}

stop_group() {
  local waited=0
  [ -n "$GROUP_PID" ] || return 0
  kill -TERM -- "-$GROUP_PID" 2>/dev/null || true
  while kill -0 -- "-$GROUP_PID" 2>/dev/null && [ "$waited" -lt 50 ]; do
    sleep 0.1
    waited=$((waited + 1))
  done
  kill -KILL -- "-$GROUP_PID" 2>/dev/null || true
  GROUP_PID=
}

# Call FUNCTION once when the script ends, however it ends (short of kill -9).
trap_exit() {
  # shellcheck disable=SC2064 # expands now: the function's name
  trap "trap '' HUP INT TERM PIPE; set +e; $1" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
}

LOCK_TRIES=9000 # half an hour: who holds the lock may be building

# take_lock NAME waits until no other script holds .dev/NAME.lock, for half an hour at most.
# release_lock gives it back, if it is held.
take_lock() {
  local lock=$DEV_DIR/$1.lock waited=0
  while ! mkdir "$lock" 2>/dev/null; do
    [ "$waited" -lt "$LOCK_TRIES" ] || die "another script holds .dev/$1 for half an hour; end it, or remove .dev/$1.lock"
    # Whoever took it died: either before it could sign, or later.
    if ! is_running "$lock/owner" && { [ -e "$lock/owner" ] || [ "$waited" -gt 25 ]; }; then
      rm -rf "$lock"
    else
      [ "$waited" != 5 ] || say "Waiting for another script to finish with .dev/$1."
      waited=$((waited + 1))
      sleep 0.2
    fi
  done
  HELD_LOCK=$lock
  record_process "$lock/owner" $$
}

release_lock() {
  if [ -n "$HELD_LOCK" ]; then rm -rf "$HELD_LOCK"; fi
  HELD_LOCK=
}
