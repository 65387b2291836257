# shellcheck shell=bash
# The instance's own mail server, for tests and to look at mail. Sourced by scripts/setup.

# It comes from PyPI, into its own folder under .dev: nothing of the system's Python changes.
AIOSMTPD_VERSION=1.4.6

# Set MAIL_PYTHON to a Python that has aiosmtpd, installed when missing.
ensure_mail_server() {
  local dir new
  dir=$DEV_DIR/aiosmtpd-$AIOSMTPD_VERSION
  MAIL_PYTHON=$dir/bin/python
  if "$MAIL_PYTHON" -c 'import aiosmtpd' 2>/dev/null; then return 0; fi
  ensure_installed python
  say "Installing aiosmtpd $AIOSMTPD_VERSION, a mail server for tests, into .dev/$(basename "$dir")."
  mkdir -p "$DEV_DIR"
  new=$(mktemp -d "$DEV_DIR/aiosmtpd.XXXXXX")
  if ! run_group python3 -m venv "$new" ||
    ! run_group "$new/bin/python" -m pip install --quiet --disable-pip-version-check "aiosmtpd==$AIOSMTPD_VERSION"; then
    rm -rf "$new"
    die "could not install aiosmtpd from PyPI"
  fi
  # Somebody else may have been faster.
  if "$MAIL_PYTHON" -c 'import aiosmtpd' 2>/dev/null; then
    rm -rf "$new"
  else
    rm -rf "$dir"
    mv "$new" "$dir"
  fi
}

# start_mail_server NAME makes sure that it runs, and exports MAIL_SERVER_URL, MAIL_SERVER_TLS_URL
# and MAIL_SERVER_DIR, the folder of the letters.
start_mail_server() {
  local dir log
  dir=$(instance_dir "$1")
  log=$dir/log/mail.log
  is_running "$dir/run/mail" ||
    launch "$dir/run/mail" TERM "$log" "$MAIL_PYTHON" "$ROOT/scripts/lib/mail_server.py" "$dir/mail" \
      "$(cat "$dir/mail.port" 2>/dev/null || echo 0)"
  await_start "$dir/run/mail" mail_server_announced "$log" || die_of "$1" mail
  MAIL_SERVER_URL=$(sed -n 's/^mail server listening on \(smtp:[^ ]*\).*/\1/p' "$log")
  MAIL_SERVER_TLS_URL=$(sed -n 's/^mail server listening on .* and \(smtps:[^ ]*\)$/\1/p' "$log")
  MAIL_SERVER_DIR=$dir/mail
  printf '%s\n' "${MAIL_SERVER_URL##*:}" >"$dir/mail.port"
  export MAIL_SERVER_URL MAIL_SERVER_TLS_URL MAIL_SERVER_DIR
}

mail_server_announced() {
  grep -q '^mail server listening on smtp:' "$1"
}
