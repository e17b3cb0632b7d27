#!/bin/bash
# No branch and no address of our own cipher depends on a secret: a checker that holds keys and texts for uninitialised
# memory finds nothing. MemorySanitizer looks at the AVX-512 path as it runs, valgrind (which knows no AVX-512) at
# the very instructions of the AVX2 path; the AVX-512 instructions are read for what could let a vector decide.
source "$(dirname "$0")/../lib/test.sh"
need swift valgrind
cd "$(dirname "$0")/../.."
tools=$(dirname "$(readlink -f "$(command -v swift)")")
[ -x "$tools/clang" ] || skip "no clang beside swift"

sources=(Sources/CTrainCipher/*.c)
compile() { "$tools/clang" -O2 -Wall -Wextra -Werror -ISources/CTrainCipher/include "$@"; }
driver=Tests/lib/cipher-secrets.c
compile "${sources[@]}" "$driver" -o "$test_folder/plain"
compile -g -fsanitize=memory "${sources[@]}" "$driver" -o "$test_folder/checked"

# bites COMMAND…: it must find the planted leak, and the same command without it nothing.
bites() {
    ! "$@" leak >"$test_folder/leak" 2>&1 || fail "the planted leak was not found: $*"
    grep -Eq 'uninitiali[sz]ed' "$test_folder/leak" || fail "the planted leak ended otherwise: $(head -n 3 "$test_folder/leak")"
}
finds_nothing() {
    "$@" >"$test_folder/found" 2>&1 || {
        head -n 30 "$test_folder/found"
        fail "$*"
    }
}

checked=(valgrind -q --error-exitcode=9 "$test_folder/plain" avx2)
if grep -qw avx2 /proc/cpuinfo; then
    bites "${checked[@]}"
    finds_nothing "${checked[@]}"
    ok "AVX2: valgrind followed the secrets and found no branch or address"
else
    skip "this CPU has no AVX2"
fi

# leaves_nothing WIDTH: after a call its stack is the same whatever the key was; half an opening shows that this finds.
leaves_nothing() {
    "$test_folder/plain" "$1" stack unwiped || fail "$1: the comparison of stacks finds nothing where there is something"
    finds_nothing "$test_folder/plain" "$1" stack
    ok "$1: nothing on the stack depends on the key after sealing or opening"
}
leaves_nothing avx2

compile -c Sources/CTrainCipher/train_avx512.c -o "$test_folder/avx512.o"
"$tools/llvm-objdump" -d --no-show-raw-insn "$test_folder/avx512.o" >"$test_folder/listing"
grep -q vpmadd52huq "$test_folder/listing" || fail "the listing is not that of the cipher"
! grep -E 'gather|scatter|kortest|ktest|v?u?comis|vpconflict|vpmovmskb|vmovmsk' "$test_folder/listing" ||
    fail "a vector decides over a branch or an address"
# The verdict over a tag is a vector compared with zero, kept as a byte: `sete`, never a jump.
awk '/vptest[ \t]/ { getline; if ($2 != "sete") { print; bad = 1 } } END { exit bad }' "$test_folder/listing" ||
    fail "a branch on the comparison of tags"
ok "AVX-512: no instruction turns a vector into a jump or an address"

grep -qw avx512ifma /proc/cpuinfo || skip "this CPU has no AVX-512 IFMA: its path was only read, not run"
bites "$test_folder/checked" avx512
finds_nothing "$test_folder/checked" avx512
ok "AVX-512: MemorySanitizer followed the secrets and found no branch or address"
leaves_nothing avx512
