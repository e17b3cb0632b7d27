#!/bin/bash
# Instructions per packet of each stage of the data path stay below a limit, and none allocates: the same count of
# allocations for a thousand packets and for three thousand. valgrind counts exactly, however busy the machine is; it
# knows no AVX-512, so of our own cipher this is the AVX2 path.
# limit: 600 s
source "$(dirname "$0")/../lib/test.sh"
need swift valgrind
cd "$(dirname "$0")/../.."
source Tests/lib/stages.sh
build_stages >"$test_folder/build" 2>&1 || {
    tail -n 20 "$test_folder/build"
    fail "the benchmark of the stages does not build"
}
export SWIFT_BACKTRACE=enable=no

# Stage and greatest number of instructions per unit, a tenth above what was measured.
limits="
seal-avx2-44x1420 9660
open-avx2-44x1420 12980
seal-avx2-1x1420 12940
open-avx2-1x1420 13190
seal-avx2-44x96 1820
open-avx2-44x96 1870
seal-composed-44x1420 14810
open-composed-44x1420 18380
seal-composed-1x1420 15190
open-composed-1x1420 15690
udp-send-and-receive-44x1452 28
udp-send-and-receive-1x96 1080
split-44x1420 1290
coalesce-44x1420 330
lookup-10 39
lookup-100000 510
replay-window 57
mac1-of-an-initiation 5090
"
few=1408 many=4224

counted() { # counted NAME UNITS: instructions
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$stages" count "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
allocated() { # allocated NAME UNITS: allocations
    valgrind --tool=memcheck --leak-check=no "$stages" count "$1" "$2" 2>&1 |
        sed -n 's/.*total heap usage: \([0-9,]*\) allocs.*/\1/p'
}

measure() { # measure NAME LIMIT: one line of result
    local one three instructions first second
    one=$(counted "$1" $few) three=$(counted "$1" $many)
    [ -n "$one" ] && [ -n "$three" ] || { echo "missing $1"; return; }
    instructions=$(((three - one) / (many - few)))
    first=$(allocated "$1" $few) second=$(allocated "$1" $many)
    [ "$first" = "$second" ] || echo "allocates $1: $first allocations for $few units, $second for $many"
    if [ "$instructions" -gt "$2" ]; then echo "slow $1: $instructions instructions, at most $2"; else echo "good $1: $instructions"; fi
}
export -f measure counted allocated
export few many stages

grep -qw avx2 /proc/cpuinfo || limits=$(grep -v avx2 <<<"$limits")
xargs -P 2 -n 2 bash -c 'measure "$0" "$1"' <<<"$limits" >"$test_folder/results"
sort "$test_folder/results"
! grep -qv '^good' "$test_folder/results" || fail "a stage costs more than it did"
ok "$(grep -c '^good' "$test_folder/results") stages within their instructions, without an allocation"
