#!/bin/bash
# The two real loops, on real TUN devices and UDP sockets, allocate nothing, retain and release nothing and check no
# exclusive access per packet: the calls of N and of 2N packets are the same. Their instructions per packet stay below
# a limit. callgrind counts; it knows no AVX-512, so the cipher is the AVX2 one.
# limit: 600 s
source "$(dirname "$0")/../lib/test.sh"
need swift valgrind python3
cd "$(dirname "$0")/../.."
source Tests/lib/stages.sh
build_benchmark loops >"$test_folder/build" 2>&1 || {
    tail -n 20 "$test_folder/build"
    fail "the benchmark of the loops does not build"
}
grep -qw avx2 /proc/cpuinfo || skip "a CPU without AVX2: the limits are the AVX2 cipher's"
export SWIFT_BACKTRACE=enable=no

# Kind, datagrams of a burst in both directions, rounds (and then twice as many); greatest numbers of instructions per
# datagram in tx and in rx without the cipher's, which stage-costs watches: a quarter above what was measured,
# since a busy machine makes smaller batches.
limits="
small4 64 25 1400 1000
tcp4 88 10 2300 3100
tcp6 88 10 2300 3100
udp4 88 10 2300 3100
"

run() { # run KIND ROUNDS: callgrind's files are KIND-ROUNDS-NN
    unshare --net sh -c 'ip link set lo up && exec "$@"' sh bash -o pipefail -c \
        'valgrind -q --tool=callgrind --separate-threads=yes --callgrind-out-file="$1-$2" "$3" "$2" "$1" | "$4"' \
        sh "$1" "$2" "$loops" "$inject" >"$1-$2.log" 2>&1 || {
        echo "broken $1: $(tail -n 3 "$1-$2.log")"
        return 1
    }
}
measure() { # measure KIND DATAGRAMS ROUNDS TX RX: lines of result, all good or none
    run "$1" "$3" && run "$1" $((2 * $3)) || return 0
    local what name count own
    python3 "$counts" "$1-$3" "$1-$((2 * $3))" $(($2 * $3)) | while read -r what name count own; do
        case $what:$name in
        instructions:tx) judge "$1 tx" "$count" "$own" "$4" ;;
        instructions:rx) judge "$1 rx" "$count" "$own" "$5" ;;
        *) echo "calls $1: $name $count times more for $(($2 * $3)) packets more" ;;
        esac
    done
}
judge() { # judge WHAT ALL OWN LIMIT
    if [ "$3" -le "$4" ]; then echo "good $1: $3 instructions, $2 with the cipher"; else echo "slow $1: $3 instructions, at most $4"; fi
}
export -f measure run judge
loops=$(realpath "$benchmarks")/loops inject=$PWD/Tests/lib/inject counts=$PWD/Tests/lib/loop-counts
export loops inject counts
cd "$test_folder"
xargs -P 2 -n 5 bash -c 'measure "$@"' sh <<<"$limits" >results
sort results
! grep -qv '^good' results || fail "a packet costs more than it did"
[ "$(grep -c '^good' results)" = 8 ] || fail "not all kinds were measured"
ok "no allocation, retain, release or access check per packet in either loop, and their instructions"
