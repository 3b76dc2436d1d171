# OpenALPR on this machine, for scripts/plates-native and the tests: compiled once into the cache by the script that the image uses.
# Sourced after common.sh and install.sh.

HORT_PLATES_VENV=$HORT_CACHE/venv-plates-$(digest "$HORT_ROOT/requirements/plates.txt")
HORT_OPENALPR=${HORT_OPENALPR:-$HORT_CACHE/openalpr-${OPENALPR_SOURCE:-npm}-$(find "$HORT_ROOT/docker/openalpr" -type f \
  \( -name '*.sh' -o -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.cmake' \) -print0 | sort -z | xargs -0 cat | digest)}
export HORT_OPENALPR

OPENCV_MODULES="core imgproc imgcodecs objdetect calib3d features2d flann"

# Whether it is built, and still finds the OpenCV and Tesseract it was linked with: a newer Debian has others.
openalpr_there() {
  there "$HORT_OPENALPR" lib/libplates.so &&
    python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$HORT_OPENALPR/lib/libplates.so" 2>/dev/null
}

install_openalpr() { openalpr_there || locked openalpr build_openalpr; }
build_openalpr() {
  local work module missing=()
  openalpr_there && return 0
  APT_MISSING=()
  need_package 'have g++' g++
  need_package 'have make' make
  need_package 'have cmake' cmake
  need_package 'have npm' npm
  need_package '[ -e /usr/include/tesseract/baseapi.h ]' libtesseract-dev
  need_package '[ -e /usr/include/leptonica/allheaders.h ]' libleptonica-dev
  for module in $OPENCV_MODULES; do need_package "[ -e /usr/include/opencv4/opencv2/$module.hpp ]" "libopencv-$module-dev"; done
  missing=("${APT_MISSING[@]}")
  if [ "${#missing[@]}" -gt 0 ]; then
    have apt-get || die "these are missing and there is no apt-get to install them: ${missing[*]}"
    say "Missing on this machine: ${missing[*]}"
    step "Reading the package lists" as_root apt-get update -q
    step "Installing what OpenALPR is compiled with" apt_install "${missing[@]}"
  fi
  prune
  mkdir -p "$HORT_CACHE/sources"
  step "Downloading the source of OpenALPR (43 MB)" "$HORT_ROOT/docker/openalpr/fetch.sh" "$HORT_CACHE/sources"
  work=$(mktemp -d "$HORT_CACHE/openalpr.XXXXXX")
  step "Compiling OpenALPR (minutes, once)" "$HORT_ROOT/docker/openalpr/build.sh" "$HORT_CACHE/sources/openalpr.tgz" "$work" "$HORT_OPENALPR"
  chmod 755 "$work"
  touch "$work/.complete"
  rm -rf -- "$HORT_OPENALPR"
  mv -- "$work" "$HORT_OPENALPR"
  openalpr_there || die "the compiled OpenALPR in $HORT_OPENALPR cannot be loaded"
}

install_plates() {
  missing_packages python
  [ "${#APT_MISSING[@]}" -eq 0 ] || install_packages python
  install_venv plates
  install_openalpr
}
