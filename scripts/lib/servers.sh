# shellcheck shell=bash
# Private PostgreSQL and Redis. Sourced by scripts/setup.
#
# An instance is a folder .dev/NAME with its own servers (and perhaps programs): `dev` lives on, the
# others are made for one run and removed after it. It has run/ (records of processes), log/, and
# everything that must survive a restart.

PORT_TRIES=20

POSTGRES_SETTINGS= # more settings of a private PostgreSQL, a line each

instance_dir() {
  printf '%s\n' "$DEV_DIR/$1"
}

make_instance_dir() {
  mkdir -p "$DEV_DIR"
  chmod 700 "$DEV_DIR"
  mkdir -p "$DEV_DIR/$1/run" "$DEV_DIR/$1/log"
}

# Make an instance for this run only, and print its name. remove_instance ends it. If this script is
# killed, its guard does; if that is killed too, the next script.
new_instance() {
  local dir name
  reap_instances
  mkdir -p "$DEV_DIR"
  dir=$(mktemp -d "$DEV_DIR/$1.XXXXXX")
  name=$(basename "$dir")
  record_process "$dir/owner" $$
  make_instance_dir "$name"
  guard "$dir/owner" remove_instance "$name"
  printf '%s\n' "$name"
}

# Remove the instances of scripts that were killed.
reap_instances() {
  local owner name
  for owner in "$DEV_DIR"/*/owner; do
    name=$(basename "$(dirname "$owner")")
    case $name in *.lock) continue ;; esac
    if [ -e "$owner" ] && ! is_running "$owner"; then
      say "Removing what an interrupted run left behind (.dev/$name)."
      remove_instance "$name"
    fi
  done
}

# End everything that runs in the instance NAME and remove it with its data.
remove_instance() {
  local dir state
  dir=$(instance_dir "$1")
  [ -d "$dir" ] || return 0
  stop_recorded "$dir/run/group"
  stop_recorded "$dir/run/initdb"
  stop_programs "$1"
  stop_recorded "$dir/run/postgres" 30 QUIT # no checkpoint: its data goes too
  stop_servers "$1"
  state=$(cat "$dir/state" 2>/dev/null || true)
  case $state in */linecook.??????) rm -rf "$state" ;; esac
  rm -rf "$dir"
}

# start_servers NAME exports DATABASE_URL and REDIS_URL of running servers: those given in the
# environment, else private ones. With a private PostgreSQL it exports SUPERUSER_DATABASE_URL too:
# the same database as a superuser.
start_servers() {
  local dir
  dir=$(instance_dir "$1")
  make_instance_dir "$1"
  if is_given "${DATABASE_URL:-}" "$dir/database.url"; then
    say "Using the PostgreSQL of DATABASE_URL."
  else
    start_postgres "$dir"
  fi
  if is_given "${REDIS_URL:-}" "$dir/redis.url"; then
    say "Using the Redis of REDIS_URL."
  else
    start_redis "$dir"
  fi
  export DATABASE_URL REDIS_URL
}

# stop_servers NAME ends the private servers of the instance; its data stays.
stop_servers() {
  local dir
  dir=$(instance_dir "$1")
  stop_recorded "$dir/run/redis"
  stop_recorded "$dir/run/postgres"
}

# An address counts as given if it is set and is not our own from an earlier run, which .dev/env
# sets.
is_given() {
  [ -n "$1" ] && [ "$1" != "$(cat "$2" 2>/dev/null)" ]
}

# Set SERVER_USER, the user of the servers, and SERVER_RUN, the words before a command that run it
# as that user. PostgreSQL refuses to run as root.
choose_server_user() {
  SERVER_USER=$(id -un)
  SERVER_RUN=(env)
  is_root || return 0
  SERVER_USER=postgres
  id postgres >/dev/null 2>&1 || SERVER_USER=nobody
  SERVER_RUN=(setpriv "--reuid=$SERVER_USER" "--regid=$(id -g "$SERVER_USER")" --clear-groups)
  "${SERVER_RUN[@]}" true 2>/dev/null || SERVER_RUN=(runuser -u "$SERVER_USER" --)
  "${SERVER_RUN[@]}" true 2>/dev/null || SERVER_RUN=(sudo -u "$SERVER_USER")
}

as_server_user() (
  cd /
  exec "${SERVER_RUN[@]}" "$@"
)

# Print the instance's private folder outside the checkout, made when missing: it holds the socket
# (whose path must be short), and, for root, the data (the server's user may not reach the
# checkout).
state_dir() {
  local dir=$1 state parent
  state=$(cat "$dir/state" 2>/dev/null || true)
  if [ -z "$state" ] || [ -z "$(find "$state" -prune -type d -user "$SERVER_USER" -perm 0700 2>/dev/null)" ]; then
    parent=${TMPDIR:-/tmp}
    # A long or closed TMPDIR will not do.
    if [ "${#parent}" -gt 60 ] || ! as_server_user test -x "$parent"; then parent=/tmp; fi
    state=$(mktemp -d "${parent%/}/linecook.XXXXXX")
    if is_root; then chown "$SERVER_USER" "$state"; fi
    printf '%s\n' "$state" >"$dir/state"
  fi
  printf '%s\n' "$state"
}

# Print the port to try: at first the one in FILE, so that addresses stay, else any. Ports under
# 32768 are not given to outgoing connections.
candidate_port() {
  if [ "$2" = 1 ] && [ -s "$1" ]; then
    cat "$1"
  else
    printf '%s\n' "$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))"
  fi
}

random_hex() {
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

# await_start RECORD PROBE... waits up to a minute until PROBE succeeds; fails at once when the
# process ends.
await_start() {
  local record=$1 waited=0
  shift
  while [ "$waited" -lt 600 ]; do
    is_running "$record" || return 1
    if "$@"; then return 0; fi
    sleep 0.1
    waited=$((waited + 1))
  done
  return 1
}

# Fail with the end of LOG, unless it says that the port was taken, which is worth another try.
check_port_taken() {
  if ! grep -qi 'address already in use' "$2"; then
    tail -n 20 "$2" >&2
    die "$1 did not start"
  fi
}

# own_servers_environment NAME exports what tests need that start servers of their own.
own_servers_environment() {
  local dir
  dir=$(instance_dir "$1")
  choose_server_user
  LINECOOK_SERVER_DIR=$(state_dir "$dir")
  export LINECOOK_SERVER_DIR LINECOOK_SERVER_RUN="${SERVER_RUN[*]}" LINECOOK_POSTGRES_BIN="$POSTGRES_BIN"
}

start_postgres() {
  local dir=$1 state data try
  choose_server_user
  unset PGDATA PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGOPTIONS PGSERVICE PGSSLMODE
  state=$(state_dir "$dir")
  data=$dir/postgres
  if is_root; then data=$state/postgres; fi
  for ((try = 1; try <= PORT_TRIES; try++)); do
    # It may run already, perhaps not for long: its starter was killed.
    is_running "$dir/run/postgres" || launch_postgres "$dir" "$state" "$data" "$try"
    if await_start "$dir/run/postgres" postgres_answers "$dir"; then break; fi
    check_port_taken PostgreSQL "$dir/log/postgres.log"
  done
  is_running "$dir/run/postgres" || die "found no free port for PostgreSQL"
  superuser_psql "$dir" -v ON_ERROR_STOP=1 <"$ROOT/scripts/lib/roles.sql" || die "could not make roles and database"
  DATABASE_URL=postgres://linecook@127.0.0.1:$(cat "$dir/postgres.port")/linecook
  printf '%s\n' "$DATABASE_URL" >"$dir/database.url"
  SUPERUSER_DATABASE_URL="postgres://postgres@localhost:$(cat "$dir/postgres.port")/linecook?host=$state"
  export DATABASE_URL SUPERUSER_DATABASE_URL
}

launch_postgres() {
  local dir=$1 state=$2 data=$3 port
  make_cluster "$dir" "$data"
  port=$(candidate_port "$dir/postgres.port" "$4")
  printf '%s\n' "$port" >"$dir/postgres.port"
  postgres_settings "$port" "$state" | as_server_user tee "$data/linecook.conf" >/dev/null
  launch "$dir/run/postgres" INT "$dir/log/postgres.log" "${SERVER_RUN[@]}" \
    env LC_ALL=C "$POSTGRES_BIN/postgres" -D "$data" # macOS: without a locale it refuses to start
}

# psql as the superuser, who may log in by the private socket only.
superuser_psql() {
  local dir=$1
  shift
  "$POSTGRES_BIN/psql" -X -q -h "$(cat "$dir/state")" -p "$(cat "$dir/postgres.port")" -U postgres -d postgres "$@"
}

postgres_answers() {
  superuser_psql "$1" -c 'select 1' >/dev/null 2>&1
}

# Make the data folder when missing, and get an existing one ready for a start.
make_cluster() {
  local dir=$1 data=$2 locale=C GROUP_RECORD=$1/run/initdb
  if as_server_user test -s "$data/PG_VERSION"; then
    [ "$(as_server_user cat "$data/PG_VERSION")" = "$(postgres_major)" ] ||
      die "$data was made by another version of PostgreSQL; remove it to start afresh"
    clear_stale_lock "$dir" "$data"
    return 0
  fi
  if locale -a 2>/dev/null | grep -qix 'C\.utf-\{0,1\}8'; then locale=C.UTF-8; fi
  stop_recorded "$GROUP_RECORD"
  as_server_user rm -rf "$data.new" "$data"
  # Only the socket's folder is closed to others, so the superuser logs in there and nowhere else.
  run_group as_server_user env LC_ALL=C "$POSTGRES_BIN/initdb" -D "$data.new" -U postgres -E UTF8 --locale="$locale" \
    --auth=trust -N >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2 && die "initdb failed"; }
  as_server_user tee "$data.new/pg_hba.conf" >/dev/null <<'HBA'
local all all                   trust
host  all postgres 127.0.0.1/32 reject
host  all all      127.0.0.1/32 trust
HBA
  echo "include 'linecook.conf'" | as_server_user tee -a "$data.new/postgresql.conf" >/dev/null
  as_server_user mv "$data.new" "$data" # only now is it whole
  rm -f "$GROUP_RECORD"
}

postgres_major() {
  "$POSTGRES_BIN/postgres" --version | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p'
}

postgres_settings() {
  cat <<SETTINGS
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = '$2'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
timezone = 'UTC'
lc_messages = 'C'
${POSTGRES_SETTINGS:-}
SETTINGS
}

# migrate_template NAME applies the migrations to the database that every new one is copied from, so
# that tests need not.
migrate_template() {
  local dir
  dir=$(instance_dir "$1")
  superuser_psql "$dir" -c 'alter database template1 owner to linecook'
  DATABASE_URL="${DATABASE_URL%/*}/template1" "$LINECOOK_BIN_DIR/migrate" "$ROOT/migrations" || die "could not migrate the template"
}

# After a reboot the id in postmaster.pid may belong to somebody else, and PostgreSQL would refuse
# to start. If the server runs after all, only its record was lost.
clear_stale_lock() {
  local pid
  pid=$(as_server_user sed -n 1p "$2/postmaster.pid" 2>/dev/null) || return 0
  process_identity "$pid" >/dev/null 2>&1 || return 0
  if postgres_runs_in "$2" "$pid"; then
    record_process "$1/run/postgres" "$pid" INT
    stop_recorded "$1/run/postgres"
  else
    rm -f "$2/postmaster.pid"
  fi
}

postgres_runs_in() {
  if [ -e "/proc/$2/cwd" ]; then
    [ "$(readlink "/proc/$2/cwd")" = "$1" ]
  else
    case $(ps -o comm= -p "$2") in *postgres*) ;; *) return 1 ;; esac
  fi
}

start_redis() {
  local dir=$1 state try
  choose_server_user
  state=$(state_dir "$dir")
  [ -s "$dir/redis.password" ] || random_hex >"$dir/redis.password"
  for ((try = 1; try <= PORT_TRIES; try++)); do
    is_running "$dir/run/redis" || launch_redis "$dir" "$state" "$try"
    if await_start "$dir/run/redis" redis_answers "$dir"; then break; fi
    check_port_taken Redis "$dir/log/redis.log"
  done
  is_running "$dir/run/redis" || die "found no free port for Redis"
  REDIS_URL=redis://:$(cat "$dir/redis.password")@127.0.0.1:$(cat "$dir/redis.port")
  printf '%s\n' "$REDIS_URL" >"$dir/redis.url"
  export REDIS_URL
}

launch_redis() {
  local dir=$1 state=$2 port
  port=$(candidate_port "$dir/redis.port" "$3")
  printf '%s\n' "$port" >"$dir/redis.port"
  redis_settings "$port" "$state" "$(cat "$dir/redis.password")" | as_server_user tee "$state/redis.conf" >/dev/null
  launch "$dir/run/redis" TERM "$dir/log/redis.log" "${SERVER_RUN[@]}" redis-server "$state/redis.conf"
}

# The password keeps other users of the machine out, and tells our server from a stranger's on the
# same port.
redis_settings() {
  cat <<SETTINGS
bind 127.0.0.1
port $1
dir "$2"
requirepass $3
save ""
appendonly no
SETTINGS
}

redis_answers() {
  [ "$(REDISCLI_AUTH=$(cat "$1/redis.password") redis-cli -h 127.0.0.1 -p "$(cat "$1/redis.port")" ping 2>/dev/null)" = PONG ]
}
