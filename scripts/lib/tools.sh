# shellcheck shell=bash
# Finds the tools that Linecook needs, and installs missing ones. Sourced by scripts/setup.

POSTGRES_OLDEST=15
SCHEMATHESIS_VERSION=4.32.5
AXE_VERSION=4.14.1 # finds what keeps people from using a page
CLIENT_GENERATORS_VERSION=1 # another number installs them anew

# Tell the user something. On stderr, so that functions whose output is read can speak too.
say() {
  printf '==> %s\n' "$*" >&2
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

is_root() {
  [ "$(id -u)" = 0 ]
}

# Check that every tool is there, install what is missing, and set POSTGRES_BIN.
ensure_tools() {
  ensure_cargo
  ensure_installed compiler postgresql redis curl perl
  POSTGRES_BIN=$(find_postgres)
}

# Install faketime if it is missing, and export LINECOOK_FAKETIME, its library, which moves the
# clock of one process. If it cannot be installed, a test that needs it says so.
ensure_faketime() {
  [ "$(uname -s)" = Linux ] || return 0
  ensure_installed faketime
  LINECOOK_FAKETIME=$(find_faketime)
  export LINECOOK_FAKETIME
}

# Export LINECOOK_PGBOUNCER, the program: the one in the environment, else the system's, which is
# installed if it is missing.
ensure_pgbouncer() {
  if [ -z "${LINECOOK_PGBOUNCER:-}" ]; then
    ensure_installed pgbouncer
    LINECOOK_PGBOUNCER=$(find_pgbouncer)
  fi
  export LINECOOK_PGBOUNCER
}

# Install a browser and axe-core if they are missing, and export LINECOOK_CHROMIUM, the program, and
# LINECOOK_AXE, the script. axe-core finds what keeps people from using a page. It comes from npm,
# into a folder under .dev.
ensure_browser() {
  local folder=$DEV_DIR/tools/axe-$AXE_VERSION
  if [ -z "${LINECOOK_CHROMIUM:-}" ]; then
    ensure_installed chromium
    LINECOOK_CHROMIUM=$(find_chromium)
  fi
  if [ ! -e "$folder/is-whole" ]; then
    ensure_installed node
    say "Installing axe-core $AXE_VERSION into ${folder#"$ROOT"/}."
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --silent --no-fund --no-audit --prefix "$folder" "axe-core@$AXE_VERSION"
    touch "$folder/is-whole"
  fi
  LINECOOK_AXE=$folder/node_modules/axe-core/axe.min.js
  export LINECOOK_CHROMIUM LINECOOK_AXE
}

find_chromium() {
  command -v chromium || command -v chromium-browser || command -v google-chrome ||
    find "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium \
      -prune 2>/dev/null | grep .
}

# Debian has it in a folder that only root searches.
find_pgbouncer() {
  PATH=$PATH:/usr/sbin command -v pgbouncer
}

# Print the library for programs with threads.
find_faketime() {
  local library
  for library in /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib*/faketime/libfaketimeMT.so.1; do
    if [ -e "$library" ]; then
      printf '%s\n' "$library"
      return
    fi
  done
  return 1
}

# Export SCHEMATHESIS, the program. It has its own Python environment under .dev, from PyPI.
ensure_schemathesis() {
  local folder=$DEV_DIR/tools/schemathesis-$SCHEMATHESIS_VERSION
  if [ ! -e "$folder/is-whole" ]; then
    ensure_installed python
    say "Installing schemathesis $SCHEMATHESIS_VERSION into ${folder#"$ROOT"/}."
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$SCHEMATHESIS_VERSION"
    touch "$folder/is-whole"
  fi
  SCHEMATHESIS=$folder/bin/schemathesis
  export SCHEMATHESIS
}

# Export PYTHON_TOOLS and NODE_TOOLS, folders with the programs that make clients from the API's
# description, under .dev. They come from PyPI and npm.
ensure_client_generators() {
  local folder=$DEV_DIR/tools/clients-$CLIENT_GENERATORS_VERSION
  PYTHON_TOOLS=$folder/python/bin
  NODE_TOOLS=$folder/node_modules/.bin
  export PYTHON_TOOLS NODE_TOOLS
  if [ -e "$folder/is-whole" ]; then return 0; fi
  ensure_installed python node
  say "Installing generators of clients into ${folder#"$ROOT"/}."
  rm -rf "$folder"
  mkdir -p "$folder"
  python3 -m venv "$folder/python"
  "$PYTHON_TOOLS/pip" install --quiet --disable-pip-version-check openapi-python-client==0.29.1 httpx==0.28.1 attrs==26.1.0
  npm install --silent --no-fund --no-audit --prefix "$folder" @redocly/cli@1.34.5 openapi-typescript@7.13.0 \
    openapi-fetch@0.17.0 typescript@5.9.3 @types/node@22.19.1
  touch "$folder/is-whole"
}

# Install those of the named tools that are missing: compiler, postgresql, redis, curl, perl,
# faketime, pgbouncer, python, node, chromium, shellcheck.
ensure_installed() {
  local missing
  missing=$(missing_tools "$@")
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086 # a list of words
  install_tools $missing
  missing=$(missing_tools "$@")
  [ -z "$missing" ] || die "still missing after the installation: $missing"
}

missing_tools() {
  local tool
  for tool in "$@"; do
    tool_is_there "$tool" || printf '%s ' "$tool"
  done
}

tool_is_there() {
  case $1 in
    compiler) has_compiler ;;
    postgresql) find_postgres >/dev/null ;;
    redis) has redis-server && has redis-cli ;;
    python) has_python ;;
    node) has node && has npm ;;
    faketime) find_faketime >/dev/null ;;
    pgbouncer) find_pgbouncer >/dev/null ;;
    chromium) find_chromium >/dev/null ;;
    *) has "$1" ;;
  esac
}

# On macOS `cc` exists before the developer tools do, and only offers to install them.
has_compiler() {
  has cc || return 1
  [ "$(uname -s)" != Darwin ] || xcode-select -p >/dev/null 2>&1
}

# With what makes environments: Debian has that in a package of its own.
has_python() {
  has python3 && python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

# Find cargo, and see that it can build this workspace.
ensure_cargo() {
  local wanted found
  if ! has cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
  fi
  has cargo || die "cargo is missing. Install Rust with rustup: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml")
  found=$(cd "$ROOT" && cargo --version) || die "cargo does not run: rustup default stable"
  found=$(printf '%s\n' "$found" | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
  [ "$(minor "$found")" -ge "$(minor "$wanted")" ] || die "cargo $found is too old, Linecook needs $wanted: rustup update"
}

minor() {
  printf '%s\n' "$1" | cut -d . -f 2
}

# Print the folder of the newest PostgreSQL server on this machine, if one is new enough.
find_postgres() {
  local folder version newest=$((POSTGRES_OLDEST - 1)) found=
  while IFS= read -r folder; do
    if ! [ -x "$folder/initdb" ] || ! [ -x "$folder/postgres" ] || ! [ -x "$folder/psql" ]; then continue; fi
    version=$("$folder/postgres" --version | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p')
    if [ "${version:-0}" -gt "$newest" ]; then
      newest=$version
      found=$folder
    fi
  done <<LIST
$(postgres_folders)
LIST
  [ -n "$found" ] && printf '%s\n' "$found"
}

postgres_folders() {
  if has postgres; then dirname "$(command -v postgres)"; fi
  if has pg_config; then pg_config --bindir; fi
  printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
    /usr/local/opt/postgresql@*/bin /Applications/Postgres.app/Contents/Versions/*/bin
}

install_tools() {
  if [ "$(uname -s)" = Darwin ]; then
    install_with_homebrew "$@"
  elif has apt-get; then
    install_with_apt "$@"
  else
    die "please install: $* (PostgreSQL $POSTGRES_OLDEST or newer), then run this again"
  fi
}

install_with_homebrew() {
  local tool packages=
  for tool in "$@"; do
    case $tool in
      compiler) die "a C compiler is missing: run xcode-select --install, then run this again" ;;
      postgresql) packages="$packages postgresql@17" ;;
      python) packages="$packages python@3.13" ;;
      *) packages="$packages $tool" ;;
    esac
  done
  has brew || die "please install:$packages (with Homebrew, https://brew.sh), then run this again"
  say "Installing with Homebrew:$packages"
  # shellcheck disable=SC2086 # a list of words
  brew install $packages >&2
}

install_with_apt() {
  local tool packages=
  for tool in "$@"; do
    case $tool in
      compiler) packages="$packages gcc libc6-dev" ;;
      redis) packages="$packages redis-server" ;;
      python) packages="$packages python3 python3-venv" ;;
      node) packages="$packages nodejs npm" ;;
      curl) packages="$packages curl ca-certificates" ;;
      *) packages="$packages $tool" ;;
    esac
  done
  is_root || has sudo || die "please install as root: apt-get install$packages"
  say "Installing with apt-get:$packages"
  # shellcheck disable=SC2086 # a list of words
  apt_install_quietly $packages >&2 || die "could not install:$packages. Install them as root, then run this again"
}

as_root() {
  if is_root; then "$@"; else sudo "$@"; fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "$@"
}

# Install packages without starting their services, now or at the next boot: Linecook runs its own
# servers. (In a subshell: its trap takes away the guard that holds the services.)
apt_install_quietly() (
  as_root apt-get update || say "apt-get update failed, trying with the lists as they are"
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod 755 /usr/sbin/policy-rc.d
  fi
  case " $* " in *' postgresql '*) prepare_postgres_package || exit 1 ;; esac
  apt_install "$@" || exit 1
  case " $* " in *' redis-server '*) as_root update-rc.d redis-server disable || true ;; esac
  case " $* " in *' pgbouncer '*) as_root update-rc.d pgbouncer disable || true ;; esac
)

# Make sure that apt offers a new enough PostgreSQL, and that a first installation makes no cluster
# of its own.
prepare_postgres_package() {
  local offered
  offered=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
  if [ "${offered:-0}" -lt "$POSTGRES_OLDEST" ]; then
    say "This system offers PostgreSQL ${offered:-none}. A newer one: apt-get install postgresql-common," \
      "then /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh, then apt-get install postgresql-17"
    return 1
  fi
  if [ ! -d /etc/postgresql-common ]; then
    apt_install postgresql-common || return 1
    as_root pg_conftool /etc/postgresql-common/createcluster.conf set create_main_cluster false
    say "No system cluster will be made (create_main_cluster = false in /etc/postgresql-common/createcluster.conf)."
  fi
}
