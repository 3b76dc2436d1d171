# Shared by the scripts in this folder's parent: paths, messages, progress, locks. Sourced, never run.
# Sets HORT_ROOT, HORT_CACHE, HORT_STATE, HORT_VENV, HORT_PYTHON, HORT_ES_HOME, HORT_TOOLS, HORT_NODE, HORT_ACTIONS_ENV, HORT_ACTIONS_NODE.
set -euo pipefail
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8   # else Java cannot read a path that is not ASCII

HORT_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
HORT_CACHE=${HORT_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/hort}
HORT_STATE=${HORT_STATE:-$HORT_ROOT/.hort}
HORT_LOGS=$HORT_CACHE/logs

digest() { cat -- "$@" | sha256sum | cut -c1-16; }

# One folder a lock: a changed lock gets a new environment, an old one is never half updated. The interpreter's version is part of it.
HORT_PROFILE=${HORT_PROFILE:-run}   # run | dev
HORT_VENV=$HORT_CACHE/venv-$HORT_PROFILE-$(digest "$HORT_ROOT/requirements/$HORT_PROFILE.txt")
HORT_PYTHON=$HORT_VENV/bin/python
HORT_TOOLS=$HORT_CACHE/tools-$(digest "$HORT_ROOT/scripts/tools/go.mod" "$HORT_ROOT/scripts/tools/go.sum")
HORT_NODE=$HORT_CACHE/node-$(digest "$HORT_ROOT/scripts/tools/package.json" "$HORT_ROOT/scripts/tools/package-lock.json")
HORT_ACTIONS_NODE=$HORT_CACHE/nodejs20-$(digest "$HORT_ROOT"/scripts/localwhisk/runtimes/nodejs20/*.json)
HORT_ES_VERSION=8.19.0
HORT_ES_SHA256=14833b2d86c30656901f92049f81fb5777a8e4545413c8656cd1a21b55173033
HORT_ES_HOME=$HORT_CACHE/elasticsearch-$HORT_ES_VERSION
HORT_ACTIONS_LOCK=$HORT_ROOT/scripts/localwhisk/runtimes/python311.txt
HORT_ACTIONS_ENV=$HORT_CACHE/python311-$([ -f "$HORT_ACTIONS_LOCK" ] && digest "$HORT_ACTIONS_LOCK" || echo none)
export HORT_ROOT HORT_CACHE HORT_STATE HORT_VENV HORT_PYTHON HORT_TOOLS HORT_NODE HORT_ES_HOME HORT_ACTIONS_ENV HORT_ACTIONS_NODE
export PYTHONPATH=$HORT_ROOT/scripts:$HORT_ROOT/actions:$HORT_ROOT

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# step TEXT COMMAND...: runs the command with its output in a log; a live line with the seconds on a terminal, plain lines elsewhere.
step() {
  local text=$1 log status=0 start=$SECONDS pid; shift
  mkdir -p "$HORT_LOGS"
  log=$HORT_LOGS/$(printf '%s' "$text" | tr -cs 'A-Za-z0-9' '-' | cut -c1-60).log
  if [ -t 2 ]; then
    "$@" >"$log" 2>&1 </dev/null & pid=$!
    trap 'kill -- "$pid" 2>/dev/null || true; printf "\n" >&2; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
      printf '\r\033[K  %s ... %d s' "$text" $((SECONDS - start)) >&2; sleep 0.5
    done
    wait "$pid" || status=$?
    trap - INT TERM
    printf '\r\033[K' >&2
  else
    say "  $text ..."
    "$@" >"$log" 2>&1 </dev/null || status=$?
  fi
  if [ "$status" != 0 ]; then
    tail -n 25 -- "$log" >&2
    die "$text failed with status $status; the whole output is in $log"
  fi
  say "  $text: done in $((SECONDS - start)) s"
}

# as_root COMMAND...: the command as root, through sudo for other users.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo -- "$@"
  else die "root rights are needed for: $* (no sudo here; run that as root, then start again)"; fi
}

# there FOLDER FILE: whether a cached folder is whole. The time of its mark says when it was last used.
there() { [ -f "$1/.complete" ] && [ -s "$1/$2" ] && { touch -c "$1/.complete" 2>/dev/null || true; }; }

# prune: removes what nobody used for 60 days; called before something new is made, so that the cache does not grow without end.
prune() {
  local mark
  find "$HORT_CACHE" -mindepth 2 -maxdepth 3 -name .complete -mtime +60 2>/dev/null | while read -r mark; do rm -rf -- "${mark%/.complete}"; done
  find "$HORT_CACHE/bytecode" -type f -mtime +60 -delete 2>/dev/null || true
}

# locked NAME COMMAND...: one such command at a time over all runs on this machine; the second one waits, then finds the work done.
locked() {
  local name=$1; shift
  mkdir -p "$HORT_CACHE"
  ( exec 9>"$HORT_CACHE/$name.lock"
    flock -n 9 || { say "  waiting for another setup ($name) ..."; flock -w 1800 9 || die "another setup holds $HORT_CACHE/$name.lock for 30 minutes"; }
    "$@" )
}
