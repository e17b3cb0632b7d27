#!/bin/bash
# slow
# `run`: SIGKILL of swg-ns at any of its system calls leaves nothing behind (promise P4). Every STEP-th call after
# the loader's own; --full takes each.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes
need strace
step=12
[ -z "${SWG_FULL:-}" ] || step=1
# An emulated processor takes seconds for each.
[ "${SWG_SLOWNESS:-1}" = 1 ] || step=$((step * 5))

is_as_before() {
    inventory >"$test_folder/after"
    cmp -s "$test_folder/before" "$test_folder/after"
}

for mode in root rootless; do
    expect_status 0 behind $mode true
    inventory >"$test_folder/before"
    trace="$test_folder/trace-$mode"
    case $mode in
    rootless) traced() { as_tester strace "$@" /srv/bin/swg-ns run --quiet "$(configuration_of rootless)" -- sleep 0.1; } ;;
    *) traced() { strace "$@" /srv/bin/swg-ns run --quiet "$(configuration_of root)" -- sleep 0.1; } ;;
    esac
    : >"$trace" && chmod 666 "$trace"
    traced -o "$trace" || fail "($mode) run under strace"
    # The counter of `when` is one per system call: so each line becomes a call and its how-manieth.
    points=$(sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$trace" | awk -v step=$step '
        { count[$1]++ } $1 == "getuid" { started = 1 }
        started && NR % step == 0 { print $1 ":signal=KILL:when=" count[$1] }')
    [ "$(wc -l <<<"$points")" -gt $((100 / step)) ] || fail "($mode) too few points: $points"
    for point in $points; do
        traced -o /dev/null -e "inject=$point" 2>/dev/null || true
        # The command of the default level may live on, without a way out, until it ends.
        wait_until 6 is_as_before || {
            echo "killed at $point"
            same_inventory "$test_folder/before" "$test_folder/after"
        }
    done
    ok "P4 ($mode): nothing is left after SIGKILL at $(wc -l <<<"$points") points"
done
