#!/bin/bash
# slow
# limit: 7200 s
# P4: `run` leaves nothing behind when SIGKILL comes to one of its processes at any system call: to swg-ns itself, to the
# child that becomes the command, with --strict to the command's process 1, to the undertaker. A sample, all with --full.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
source "$(dirname "$0")/../lib/kill-sweep.sh"
prepare_modes
prepare_kills
share=24
# Emulated, all of them would take half a day.
if [ $slower != 1 ] && [ -n "$full" ]; then full="" share=6; fi
counted=(-b swg-ns)

# The kernel says a moment later that a new cable is plugged in.
for end in "-n gateway link show eth0" "link show uplink"; do
    wait_until 10 sh -c "ip $end | grep -q 'state UP'" || fail "no carrier: $end"
done

is_as_before() {
    snapshot after
    # shellcheck disable=SC2154 # set by snapshot
    [ "$before" = "$after" ]
}
mended() {
    local process
    # The command of the default level may live on, without a way out, until it ends.
    wait_until 6 is_as_before || compare "$1"
    ! read -r _ _ process _ <"$test_folder/call" || processes[$process]=1
}

for mode in root rootless root-strict rootless-strict; do
    [[ " $modes " == *" $mode "* ]] || continue
    level=()
    ! is_strict $mode || level=(--strict)
    command=(/srv/bin/swg-ns run --quiet --engine "$backend" "${level[@]}" "$(configuration_of $mode)" -- sleep 0.1)
    [[ $mode != rootless* ]] || command=("${to_tester[@]}" "${command[@]}")
    expect_status 0 "${command[@]}"
    snapshot before
    points_of "${command[@]}" >"$test_folder/points"
    count=0 tried=0
    declare -A processes=()
    sweep "run ($mode)" "${command[@]}"
    [ "${#processes[@]}" -gt 1 ] || fail "($mode) killed was only ${!processes[*]}"
    [ $count -gt $((15 / slower)) ] || fail "($mode) only $count calls were killed at"
    ok "P4 ($mode): nothing is left after SIGKILL at $count of $tried chosen system calls, of: ${!processes[*]}"
done
