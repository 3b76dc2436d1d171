# What scripts/setup installs, one function a part. Each looks first whether its part is there and whole, and returns at once when it is.
# Sourced after common.sh.

# ---- system packages -------------------------------------------------------------------------------------------------------------

APT_MISSING=()
need_package() { # need_package TEST-COMMAND PACKAGE...
  local test=$1; shift
  eval "$test" >/dev/null 2>&1 && return
  for test in "$@"; do
    case " ${APT_MISSING[*]-} " in *" $test "*) ;; *) APT_MISSING+=("$test") ;; esac
  done
}

good_python() { # a Python of at least 3.11 that can make environments
  local p
  for p in "${HORT_BASE_PYTHON:-}" python3.11 python3 python3.12 python3.13; do
    [ -n "$p" ] && "$p" -ISc 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$p"; return; }
  done
  return 1
}

java_home() { # a Java of at least 17, whatever the machine's default is
  local home
  for home in "${ES_JAVA_HOME:-}" /usr/lib/jvm/java-17-openjdk-* /usr/lib/jvm/java-21-openjdk-* "${JAVA_HOME:-}" /usr/lib/jvm/default-java; do
    [ -n "$home" ] && [ -x "$home/bin/java" ] && [ "$(java_major "$home")" -ge 17 ] && { echo "$home"; return; }
  done
  return 1
}
java_major() { sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null | grep . || echo 0; }

missing_packages() { # fills APT_MISSING for the parts in $*
  local part
  APT_MISSING=()
  for part in "$@"; do
    case $part in
      python) need_package good_python python3 python3-venv ;;
      mosquitto) need_package 'have mosquitto || [ -x /usr/sbin/mosquitto ]' mosquitto ;;
      redis) need_package 'have redis-server' redis-server ;;
      elasticsearch)
        need_package java_home openjdk-17-jre-headless
        elasticsearch_there || need_package 'have mvn' maven ;;
      tools)
        tools_there || need_package 'have go || [ -x /usr/local/go/bin/go ]' golang-go
        need_package 'have curl' curl ;; # the README's commands use it
      browser) # Ubuntu's chromium is a snap, which wants a desktop session: there the page tests skip
        grep -qi '^ID=ubuntu' /etc/os-release 2>/dev/null || need_package 'have chromium' chromium ;;
      node)
        need_package 'have node' nodejs
        { node_there && actions_node_there; } || need_package 'have npm' npm ;;
    esac
  done
}

install_packages() {
  missing_packages "$@"
  [ "${#APT_MISSING[@]}" -gt 0 ] || return 0
  have apt-get || die "these are missing and there is no apt-get to install them: ${APT_MISSING[*]}"
  say "Missing on this machine: ${APT_MISSING[*]}"
  step "Reading the package lists" as_root apt-get update -q
  step "Installing ${APT_MISSING[*]}" apt_install "${APT_MISSING[@]}"
  missing_packages "$@"
  [ "${#APT_MISSING[@]}" -eq 0 ] || die "still missing after the installation: ${APT_MISSING[*]}"
}

# Without questions, and without starting the services that packages bring (Debian's policy-rc.d: 101 = not allowed). In a session of its
# own: whoever interrupts the script must not interrupt dpkg in mid-work, nor leave the policy behind.
apt_install() {
  as_root setsid --wait sh -c '
    policy=/usr/sbin/policy-rc.d ours= status=0
    if [ ! -e "$policy" ]; then
      ours=1
      printf "#!/bin/sh\nexit 101\n" >"$policy"
      chmod 755 "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true NEEDRESTART_MODE=l \
      apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" || status=$?
    [ -z "$ours" ] || rm -f "$policy"
    exit "$status"' apt_install "$@"
}

# ---- Python environments ---------------------------------------------------------------------------------------------------------

venv_there() { there "$1" bin/python && "$1/bin/python" -ISc "" 2>/dev/null; } # -IS: whether it runs at all, at no cost

install_venv() { # install_venv run|dev
  local lock=$HORT_ROOT/requirements/$1.txt dir
  dir=$HORT_CACHE/venv-$1-$(digest "$lock")
  venv_there "$dir" || locked "venv-$1" build_venv "$1" "$dir" "$lock"
}
build_venv() {
  local name=$1 dir=$2 lock=$3
  venv_there "$dir" && return 0
  prune
  rm -rf -- "$dir"
  step "Making the Python environment ($name)" "$(good_python)" -m venv "$dir"
  step "Installing the Python packages ($name)" \
    "$dir/bin/python" -m pip install -q --disable-pip-version-check --no-input --no-deps --require-hashes --only-binary :all: -r "$lock"
  touch "$dir/.complete"
}

# The engine runs actions as the python:3.11 image does, so this one needs exactly 3.11.
python311() {
  local p
  for p in python3.11 python3 "$HORT_PYTHON"; do
    "$p" -ISc 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1 && { command -v "$p"; return; }
  done
  have uv || { say "Python 3.11 is missing: the action runtime is python:3.11, and this machine has $(python3 -V 2>&1)."
               say "Install python3.11 and python3.11-venv, or uv (then 'uv python install 3.11' is done for you), and start again."; return 1; }
  uv python find 3.11 2>/dev/null || { uv python install 3.11 >&2 && uv python find 3.11; }
}

actions_there() { venv_there "$HORT_ACTIONS_ENV"; }
install_actions() {
  [ -f "$HORT_ACTIONS_LOCK" ] || return 0
  actions_there || locked actions build_actions
}
build_actions() {
  local base
  actions_there && return 0
  prune
  base=$(python311) || die "no Python 3.11"
  rm -rf -- "$HORT_ACTIONS_ENV"
  step "Making the action environment (packages of the python:3.11 image)" \
    env LOCALWHISK_PYTHON311="$base" "$HORT_PYTHON" -m localwhisk.runtimes.environment --path "$HORT_ACTIONS_ENV"
  touch "$HORT_ACTIONS_ENV/.complete"
}

# ---- Elasticsearch ---------------------------------------------------------------------------------------------------------------

elasticsearch_there() { there "$HORT_ES_HOME" "lib/elasticsearch-$HORT_ES_VERSION.jar"; }

install_elasticsearch() { elasticsearch_there || locked elasticsearch build_elasticsearch; }
build_elasticsearch() {
  local work zip
  elasticsearch_there && return 0
  prune
  work=$(mktemp -d "$HORT_CACHE/elasticsearch.XXXXXX")
  zip=$work/elasticsearch-$HORT_ES_VERSION.zip
  step "Downloading Elasticsearch $HORT_ES_VERSION (97 MB)" fetch_elasticsearch "$work"
  echo "$HORT_ES_SHA256  $zip" | sha256sum --check --quiet >&2 || { rm -rf -- "$work"; die "the downloaded Elasticsearch has another checksum than expected"; }
  step "Unpacking Elasticsearch" python3 -m lib.unzip "$zip" "$work"
  touch "$work/elasticsearch-$HORT_ES_VERSION/.complete"
  rm -rf -- "$HORT_ES_HOME"
  mv -- "$work/elasticsearch-$HORT_ES_VERSION" "$HORT_ES_HOME"
  rm -rf -- "$work"
}
fetch_elasticsearch() { # Maven checks its own checksum too; a partial file in its local repository is asked for again
  local attempt
  for attempt in 1 2 3; do
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:copy -DoutputDirectory="$1" -Dmdep.overWriteReleases=true \
      "-Dartifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:$HORT_ES_VERSION:zip" && return 0
    echo "attempt $attempt failed"; rm -rf -- "${HOME:-/root}/.m2/repository/org/elasticsearch/distribution/integ-test-zip/elasticsearch/$HORT_ES_VERSION"
    sleep 2
  done
  return 1
}

# ---- wsk and wskdeploy -----------------------------------------------------------------------------------------------------------

tools_there() { [ -x "$HORT_TOOLS/wsk" ] && there "$HORT_TOOLS" wskdeploy; }

install_tools() { tools_there || locked tools build_tools; }
build_tools() {
  local work
  tools_there && return 0
  prune
  work=$(mktemp -d "$HORT_CACHE/tools.XXXXXX")
  cp -- "$HORT_ROOT/scripts/tools/go.mod" "$HORT_ROOT/scripts/tools/go.sum" "$work/"
  step "Building wskdeploy" go_build "$work" wskdeploy github.com/sciabarracom/openwhisk-wskdeploy
  step "Building wsk" go_build "$work" wsk github.com/sciabarracom/openwhisk-cli
  touch "$work/.complete"
  rm -rf -- "$HORT_TOOLS"
  chmod 755 "$work"
  mv -- "$work" "$HORT_TOOLS"
}
go_build() { # go_build FOLDER NAME MODULE; three tries, since the module proxy may hiccup
  local attempt
  for attempt in 1 2 3; do
    ( cd -- "$1" && PATH=$PATH:/usr/local/go/bin GOFLAGS='-mod=mod -buildvcs=false' CGO_ENABLED=0 go build -trimpath -o "$2" "$3" ) && return 0
    echo "attempt $attempt failed"; sleep 2
  done
  return 1
}

# ---- npm packages: the client for the test that drives it, and what the nodejs:20 image brings ---------------------------------------

node_there() { there "$HORT_NODE" node_modules/openwhisk/package.json; }
actions_node_there() { there "$HORT_ACTIONS_NODE" node_modules/openwhisk/package.json; }

install_node() { node_there || locked node npm_install "the npm client of OpenWhisk" "$HORT_NODE" "$HORT_ROOT/scripts/tools"; }
install_actions_node() {
  actions_node_there || locked node npm_install "the packages of the nodejs:20 image" "$HORT_ACTIONS_NODE" "$HORT_ROOT/scripts/localwhisk/runtimes/nodejs20"
}
npm_install() { # npm_install TEXT FOLDER LOCK-FOLDER
  local work
  there "$2" node_modules/openwhisk/package.json && return 0
  prune
  work=$(mktemp -d "$HORT_CACHE/node.XXXXXX")
  cp -- "$3/package.json" "$3/package-lock.json" "$work/"
  step "Installing $1" npm ci --prefix "$work" --ignore-scripts --no-audit --no-fund
  touch "$work/.complete"
  rm -rf -- "$2"
  mv -- "$work" "$2"
}
