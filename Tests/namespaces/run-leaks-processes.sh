#!/bin/bash
# `run`: no way through other processes, namespaces, privileges. Leak rows 11, 12, 13, and promise P3.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
prepare_modes

# Two processes outside, of either user, each with an open socket as descriptor 9.
/srv/bin/leak-probe with udp 9 sleep 1000 &
victim_of_root=$!
(
    trap - ERR
    as_tester /srv/bin/leak-probe with udp 9 sleep 1000
) &
wait_until 5 pgrep -u $tester -x sleep || fail "no process of the user"
wait_until 5 grep -qx sleep "/proc/$victim_of_root/comm" || fail "no process of root"
victim_of_tester=$(pgrep -u $tester -x sleep)

for mode in $modes; do
    victim=$victim_of_tester
    [[ $mode == root* ]] && victim=$victim_of_root
    case $mode in
    *-strict)
        expect_closed 11 "$mode" "EPERM|ESRCH" ptrace "$victim"
        expect_closed 11 "$mode" "EPERM|ESRCH|EINVAL" getfd "$victim" 9
        expect_closed 11 "$mode" "EPERM|ESRCH|ENOENT" read-memory "$victim"
        expect_closed 11 "$mode" ENOENT open "/proc/$victim/root/run"
        ok "leak row 11 ($mode): other processes are not visible and cannot be touched"
        ;;
    rootless)
        expect_closed 11 "$mode" EPERM ptrace "$victim"
        expect_closed 11 "$mode" EPERM getfd "$victim" 9
        expect_closed 11 "$mode" EACCES open "/proc/$victim/root/run"
        ok "leak row 11 ($mode): the user namespace keeps the user's other processes away"
        ;;
    *) ok "leak row 11 ($mode): stays open to a hostile program of the same user; --strict and rootless close it" ;;
    esac
    expect_closed 12 "$mode" "EPERM|EACCES|ENOENT" setns "/proc/$victim/ns/net"
    expect_closed 12 "$mode" "EPERM|EACCES" setns /proc/1/ns/net
    behind "$mode" grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | grep >/dev/null -v '0000000000000000$' &&
        fail "leak row 12 ($mode): capabilities are left"
    bounding=$(behind "$mode" awk '/^CapBnd/ { print $2 }' /proc/self/status)
    # CAP_NET_RAW, which Debian's ping asks for.
    [ "$bounding" = 0000000000002000 ] || fail "leak row 12 ($mode): an exec could gain $bounding"
    if is_strict "$mode"; then
        expect_closed 12 "$mode" EPERM userns
        expect_closed 12 "$mode" "EPERM" inject
    fi
    ok "leak row 12 ($mode): no capability, no way back into the host's namespace"
done

cp /usr/bin/id /srv/bin/setuid-id
chmod 4755 /srv/bin/setuid-id
for mode in rootless rootless-strict sudo sudo-strict; do
    [ "$(behind $mode /srv/bin/setuid-id -u)" = $tester ] || fail "leak row 13 ($mode): a setuid program works"
    behind $mode grep -q '^NoNewPrivs:.1$' /proc/self/status || fail "leak row 13 ($mode): new privileges are possible"
    ok "leak row 13 ($mode): setuid programs run as the user"
done
behind root grep -q '^NoNewPrivs:.1$' /proc/self/status || fail "leak row 13 (root)"
ok "leak row 13 (root): no new privileges"
kill "$victim_of_root" "$victim_of_tester"

# P3: the key is in the file, in swg-ns and in the engine; none is to be had inside.
for mode in $modes; do
    key=$(sed -n 's/^PrivateKey = //p' "$(configuration_of "$mode")")
    found=$(behind "$mode" /srv/bin/leak-probe search "$(rev <<<"$key")" "$(configuration_of "$mode")" </dev/null)
    [ -z "$found" ] || fail "P3 ($mode): $found"
    ok "P3 ($mode): neither file, socket, state nor process inside gives the key"
done
