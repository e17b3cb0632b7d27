#!/bin/bash
# slow
# limit: 1500 s
# P4: SIGKILL at every system call of `repair` that changes something (a few of them, all with SWG_FULL), when the
# device is gone and when a live engine is replaced: the next repair makes the tunnel whole, detach leaves nothing.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
make_sweep
share=24
engine_of() { swg-ns list --json | sed -n 's/.*"enginePID": \([0-9]*\).*/\1/p'; }
has_device() { ip -n standing link show wg0 >/dev/null 2>&1; }
lose_device() {
    if on_kernel; then ip -n standing link delete wg0; else kill -KILL "$(engine_of)"; fi
    wait_until 5 sh -c '! ip -n standing link show wg0 2>/dev/null' || fail "the device outlives its engine"
}
no_engine() { ! pgrep -x swg-engine; }

sweep_repair() { # sweep_repair WORD OPTIONS…
    local word=$1 count=0 tried=0
    shift
    "${attach[@]}" --netns standing
    [ "$word" = replaced ] || lose_device
    points_of swg-ns repair t "$@" >"$test_folder/points"
    ready() { if [ "$word" = remade ] && has_device; then lose_device; fi; }
    mended() {
        local point=$1
        if [ $((tried % 3)) = 0 ]; then
            swg-ns detach t --quiet >"$test_folder/mended" 2>&1 || fail "P4: detach after a kill at $point: $(cat "$test_folder/mended")"
            wait_until 10 no_engine || fail "P4: an engine lives on after detach, after a kill at $point"
            compare "$point"
            "${attach[@]}" --netns standing
        else
            swg-ns repair t --quiet >"$test_folder/mended" 2>&1 || fail "P4: repair after a kill at $point: $(cat "$test_folder/mended")"
            # The kill may have been behind the end of a cleaning up.
            [ -e /run/swg-ns/tunnels/t ] || "${attach[@]}" --netns standing
        fi
        swg-ns check t >"$test_folder/mended" || fail "check after a kill at $point: $(cat "$test_folder/mended")"
        [ "$(on_kernel && echo 1 || pgrep -cf '^(swg-engine|.*/swg-engine) -f t$')" = 1 ] || fail "P4: two engines after a kill at $point"
    }
    sweep "repair ($word)" swg-ns repair t "$@"
    [ "$count" -gt 1 ] || fail "only $count calls were killed at"
    swg-ns detach t --quiet
    compare "detach"
    ok "P4 ($backend): killed at $count of $tried chosen system calls of repair ($word): the next verb makes it whole, or takes it down"
}
sweep_repair remade
on_kernel || sweep_repair replaced --replace
