# shellcheck shell=bash
# Linecook's own programs in an instance: building, environment, start, health, stop. Sourced by
# scripts/setup.

BUILD_SECONDS=7200 # no build takes that long

GIVEN_PORT=${PORT:-}
GIVEN_PUBLIC_URL=${PUBLIC_URL:-}

# build_programs CARGO ARGUMENTS builds the programs that the arguments select and exports
# LINECOOK_BIN_DIR, the folder they are in.
build_programs() {
  say "Building Linecook (the first build takes several minutes)."
  run_group within "$BUILD_SECONDS" cargo build "$@"
  # The second time cargo builds nothing. It prints the path of the result for any target folder,
  # triple and profile.
  LINECOOK_BIN_DIR=$(cargo build --quiet "$@" --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)\/[^"\/]*".*/\1/p' | tail -n 1)
  [ -n "$LINECOOK_BIN_DIR" ] || die "cargo built no program"
  export LINECOOK_BIN_DIR
}

# forget_settings [NAME...] unsets the settings of a real installation, except those named.
# shellcheck disable=SC2120 # scripts/bench names none
forget_settings() {
  local name
  # shellcheck disable=SC2013 # words, one a line
  for name in $(sed -n 's/^\(# \)\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\2/p' "$ROOT/.env.example"); do
    case " $* " in
      *" $name "*) ;;
      *) unset "$name" ;;
    esac
  done
}

# Export the variable $1: as it is given in the environment, else with the value $2.
set_default() {
  export "$1=${!1:-$2}"
}

# sandbox_environment WORLD points the programs to that world of the sandbox instead of the real
# providers. Settings from the environment win. Needs SANDBOX_URL.
sandbox_environment() {
  set_default FACEBOOK_APP_ID 100200300400500
  set_default FACEBOOK_APP_SECRET sandbox-app-secret
  set_default META_GRAPH_URL "$SANDBOX_URL/$1/graph"
  set_default META_DIALOG_URL "$SANDBOX_URL/$1/facebook"
  set_default META_GRAPH_VERSION v25.0
  set_default OPENAI_API_KEY sk-sandbox
  set_default PUBLER_URL "$SANDBOX_URL/$1/publer"
  set_default OPENAI_BASE_URL "$SANDBOX_URL/$1/openai/v1"
  set_default GPT_TEXT_MODEL gpt-4o
  set_default GOOGLE_CLIENT_ID google-sandbox-app
  set_default GOOGLE_CLIENT_SECRET google-sandbox-secret
  set_default GOOGLE_AUTH_URL "$SANDBOX_URL/$1/google/o/oauth2/v2/auth"
  set_default GOOGLE_TOKEN_URL "$SANDBOX_URL/$1/google/token"
  set_default GOOGLE_API_URL "$SANDBOX_URL/$1/google"
  set_default GITHUB_CLIENT_ID github-sandbox-app
  set_default GITHUB_CLIENT_SECRET github-sandbox-secret
  set_default GITHUB_URL "$SANDBOX_URL/$1/github"
  set_default GITHUB_API_URL "$SANDBOX_URL/$1/github/api"
  bypass_proxies
}

# Requests to this machine must not go through a proxy.
bypass_proxies() {
  export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
  export no_proxy="$NO_PROXY"
}

# program_environment NAME sets the other settings that programs need: storage and the keys, which
# are made once per instance.
program_environment() {
  local dir
  dir=$(instance_dir "$1")
  [ -s "$dir/encryption_keys" ] || printf 'local:%s\n' "$(random_base64)" >"$dir/encryption_keys"
  [ -s "$dir/secret_key" ] || printf '%s\n' "$(random_base64)" >"$dir/secret_key"
  mkdir -p "$dir/storage"
  set_default ENCRYPTION_KEYS "$(cat "$dir/encryption_keys")"
  set_default SECRET_KEY "$(cat "$dir/secret_key")"
  set_default STORAGE_URL "file://$dir/storage"
  # Listen on this machine only, unless told to listen everywhere. (Some tools put a name of the
  # machine into HOST.)
  case ${HOST:-} in 0.0.0.0 | ::) ;; *) HOST=127.0.0.1 ;; esac
  export HOST
}

random_base64() {
  head -c 32 /dev/urandom | base64 | tr -d '\n'
}

# start_program NAME PROGRAM [ARGUMENTS] starts a built program in the instance.
start_program() {
  local dir program=$2
  dir=$(instance_dir "$1")
  shift 2
  launch "$dir/run/$program" TERM "$dir/log/$program.log" "$LINECOOK_BIN_DIR/$program" "$@"
}

# start_sandbox NAME sees that the stand-in for the providers runs, and exports SANDBOX_URL.
start_sandbox() {
  local dir port
  dir=$(instance_dir "$1")
  # On the port it had before, if that is still free.
  for port in $(cat "$dir/sandbox.port" 2>/dev/null || true) 0; do
    is_running "$dir/run/sandbox" || start_program "$1" sandbox --port "$port"
    if await_start "$dir/run/sandbox" sandbox_announced "$dir/log/sandbox.log"; then break; fi
    [ "$port" != 0 ] || die_of "$1" sandbox
  done
  SANDBOX_URL=$(sed -n 's/^sandbox listening on \(http:[^ ]*\).*/\1/p' "$dir/log/sandbox.log")
  printf '%s\n' "${SANDBOX_URL##*:}" >"$dir/sandbox.port"
  export SANDBOX_URL
}

sandbox_announced() {
  grep -q '^sandbox listening on http:' "$1"
}

# start_private_api NAME builds and starts everything in the instance, with no limits of requests,
# and exports API_URL and API_KEY, an operator's key. Nothing that is sent there reaches a real
# installation.
start_private_api() {
  forget_settings
  build_programs -p worker -p admin -p sandbox
  start_servers "$1"
  start_sandbox "$1"
  sandbox_environment private
  program_environment "$1"
  export RATE_LIMIT_BASIC=none RATE_LIMIT_CLIENT=none HOST=127.0.0.1
  "$LINECOOK_BIN_DIR/admin" migrate >"$(instance_dir "$1")/log/migrate.log" 2>&1 || die_of "$1" migrate
  start_admin "$1"
  # Without one, /health/workers rightly answers 503.
  start_worker "$1"
  API_KEY=$("$LINECOOK_BIN_DIR/admin" create-operator --name private | grep '^lk_')
  export API_KEY
}

# start_admin NAME makes sure that the API runs, on PORT if that is given, else on a free port, and
# exports PORT and API_URL.
start_admin() {
  local dir try
  dir=$(instance_dir "$1")
  for ((try = 1; try <= PORT_TRIES; try++)); do
    is_running "$dir/run/admin" || launch_admin "$1" "$try"
    if await_start "$dir/run/admin" admin_is_healthy; then return; fi
    [ -z "$GIVEN_PORT" ] || die_of "$1" admin
    check_port_taken "The admin" "$dir/log/admin.log"
  done
  die "found no free port for the admin"
}

launch_admin() {
  local dir
  dir=$(instance_dir "$1")
  use_port "${GIVEN_PORT:-$(candidate_port "$dir/admin.port" "$2")}"
  # A stranger there would answer in its place.
  while port_answers "$PORT"; do
    [ -z "$GIVEN_PORT" ] || die "port $PORT is taken"
    use_port "$(candidate_port /dev/null 1)"
  done
  printf '%s\n' "$PORT" >"$dir/admin.port"
  start_program "$1" admin serve
}

# Export what follows from the admin's port. A PUBLIC_URL given by the caller wins.
use_port() {
  export PORT="$1" API_URL="http://127.0.0.1:$1" PUBLIC_URL="${GIVEN_PUBLIC_URL:-http://127.0.0.1:$1}"
}

# start_worker NAME sees that a worker runs and has said that it is ready.
start_worker() {
  local dir
  dir=$(instance_dir "$1")
  is_running "$dir/run/worker" || start_program "$1" worker
  await_start "$dir/run/worker" worker_announced "$dir/log/worker.log" || die_of "$1" worker
}

worker_announced() {
  grep -q 'worker ready' "$1"
}

admin_is_healthy() {
  answers "$API_URL/health" && answers "$API_URL/health/db" && answers "$API_URL/health/redis"
}

sandbox_is_healthy() {
  answers "$SANDBOX_URL/$1/control/health"
}

# Tell whether a GET of the address gives 200.
answers() {
  [ "$(curl --noproxy '*' -s -o /dev/null -m 5 -w '%{http_code}' "$1" 2>/dev/null)" = 200 ]
}

port_answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Fail, with the end of the program's log.
die_of() {
  tail -n 30 "$(instance_dir "$1")/log/$2.log" >&2
  die "$2 did not start; its log is .dev/$1/log/$2.log"
}

# stop_programs NAME ends the programs of the instance; the worker may finish its jobs.
stop_programs() {
  local dir program
  dir=$(instance_dir "$1")
  for program in worker admin sandbox mail; do
    stop_recorded "$dir/run/$program"
  done
}
