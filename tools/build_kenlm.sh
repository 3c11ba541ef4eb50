#!/usr/bin/env bash
# Builds KenLM's lmplz and count_ngrams from kenlm's source package into a virtual environment's bin/.
#
# Usage: tools/build_kenlm.sh [VENV]        (default: .venv, made by `make setup`)
#
# Needs g++ and the package index, no root. cmake, ninja and Boost come as Python packages into a temporary
# directory that goes away afterwards; the Boost libraries that the programs load are kept in VENV/lib/kenlm, where
# the programs find them relative to themselves, so VENV may be moved with them.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(cd "${1:-.venv}" && pwd)
python=$venv/bin/python
version=$(sed -n 's/^kenlm==\([^ ;]*\).*/\1/p' requirements.lock)
log=$venv/log/kenlm.log
mkdir -p "$venv/log"

work=$(mktemp -d "$venv/build_kenlm.XXXXXX")
trap 'rm -rf "$work"' EXIT

build() {
    "$python" -m pip install --no-deps --target "$work/tools" -r tools/kenlm-build-requirements.txt
    "$python" -m pip download --no-deps --no-binary kenlm --dest "$work" "kenlm==$version"
    tar -xzf "$work/kenlm-$version.tar.gz" -C "$work"

    # Debian's own Boost, Eigen or a conda environment's must not be mixed in.
    env -u CMAKE_PREFIX_PATH -u BOOST_ROOT -u Boost_ROOT PYTHONPATH="$work/tools" "$work/tools/bin/cmake" \
        -S "$work/kenlm-$version" -B "$work/build" -G Ninja \
        -DCMAKE_MAKE_PROGRAM="$work/tools/bin/ninja" \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
        -DCMAKE_PREFIX_PATH="$work/tools/cmeel.prefix" \
        -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON \
        -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN/../lib/kenlm"
    PYTHONPATH="$work/tools" "$work/tools/bin/ninja" -C "$work/build" lmplz count_ngrams

    mkdir -p "$venv/lib/kenlm"
    for library in program_options system thread chrono atomic; do
        cp -L "$work/tools/cmeel.prefix/lib/libboost_$library.so."* "$venv/lib/kenlm/"
    done
    for program in count_ngrams lmplz; do
        # Under another name first, so that an interrupted build leaves none that is half-written.
        install -m 755 "$work/build/bin/$program" "$venv/bin/.$program.new"
        mv "$venv/bin/.$program.new" "$venv/bin/$program"
    done

    echo "a b c a b c a b" | "$venv/bin/lmplz" --order 2 --discount_fallback --memory 64M --temp_prefix "$work/" \
        >"$work/model.arpa"
    grep -q "ngram 2=" "$work/model.arpa"
    echo "a b c" | "$venv/bin/count_ngrams" --order 1 --memory 512M --temp_prefix "$work/" \
        --write_vocab_list "$work/vocab" >"$work/counts"
}

# A function called in a condition would lose `set -e`; a subshell of its own keeps it.
set +e
(set -e; build) >"$log" 2>&1
status=$?
set -e
if [ "$status" -ne 0 ]; then
    rm -f "$venv/bin/lmplz" "$venv/bin/count_ngrams"
    tail -n 25 "$log" >&2
    echo "error: building KenLM's lmplz and count_ngrams failed; the whole log is $log" >&2
    exit 1
fi
