#!/bin/bash
# Our own cipher under the address and undefined-behaviour sanitizers, against libsodium: every packet in an allocation of
# its own, so that a byte read or written beside it is found. (Swift has no undefined-behaviour sanitizer; C has.)
source "$(dirname "$0")/../lib/test.sh"
need swift pkg-config
cd "$(dirname "$0")/../.."
tools=$(dirname "$(readlink -f "$(command -v swift)")")
[ -x "$tools/clang" ] || skip "no clang beside swift"

# Nothing that is found may be survived.
read -ra sodium < <(pkg-config --cflags --libs libsodium)
"$tools/clang" -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined,integer -fno-sanitize-recover=all \
    -fno-sanitize=unsigned-integer-overflow,unsigned-shift-base -ISources/CTrainCipher/include Sources/CTrainCipher/*.c \
    Tests/lib/cipher-sanitized.c "${sodium[@]}" -o "$test_folder/sanitized" >"$test_folder/build" 2>&1 || {
    tail -n 20 "$test_folder/build"
    fail "the cipher does not build with sanitizers"
}

trains=50000
for width in avx2 avx512; do
    status=0
    "$test_folder/sanitized" $width $trains >"$test_folder/found" 2>&1 || status=$?
    if [ $status = 77 ]; then
        [ $width = avx512 ] || skip "this CPU has no AVX2"
        skip "this CPU has no AVX-512 IFMA: only the AVX2 path was run"
    fi
    [ $status = 0 ] || {
        head -n 30 "$test_folder/found"
        fail "$width: a sanitizer or libsodium disagrees"
    }
    ok "$width: $trains trains, nothing found"
done
