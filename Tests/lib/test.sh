# Sourced by every scripted test. A test ends with 0 (passed), 1 (failed) or 77 (skipped, the reason is its
# last line). It runs inside a box (see `box`), so it may make and break whatever it wants.
set -Eeuo pipefail

PATH=$SWG_BIN:$PATH
export PATH
test_folder=/run/test
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR

# The backend under test, for `--engine`: our engine, and in Tests/vm the kernel's driver as well, by name and as what
# `auto` takes there.
backend=${SWG_BACKEND:-userspace}
on_kernel() { [ "$backend" != userspace ]; }

# for_engine_only REASON: skip where the kernel's driver is under test.
for_engine_only() { ! on_kernel || skip "for the engine only: $*"; }

# wg_of TUNNEL NAMESPACE INTERFACE WORDS…: `wg show INTERFACE WORDS`, as the backend's devices are reached (P7).
wg_of() {
    local tunnel=$1 namespace=$2 interface=$3
    shift 3
    if on_kernel; then ip netns exec "$namespace" wg show "$interface" "$@"; else wg show "$tunnel" "$@"; fi
}

ok() { echo "ok $*"; }
fail() {
    echo "FAIL: $*"
    exit 1
}
skip() {
    echo "SKIP: $*"
    exit 77
}

# need COMMAND…: skip unless every one is there.
need() {
    local name
    for name in "$@"; do command -v "$name" >/dev/null || skip "$name is not installed"; done
}

# under_systemd: from here on the script runs as a service of a booted systemd (see `systemd-box`). Comes first: what
# the script did before, it does twice.
under_systemd() {
    [ -n "${SWG_SYSTEMD_BOX:-}" ] || exec "$(dirname "${BASH_SOURCE[0]}")/systemd-box" "$0"
}

# with_own_control_groups: from here on the script sees a branch of cgroup v2 of its own as the whole of it: tests that
# run side by side would look at each other's groups. Comes first, as `under_systemd`.
with_own_control_groups() {
    local branch status=0
    if [ -n "${SWG_OWN_GROUPS:-}" ]; then
        # Seen from the new namespace; twice on one place is refused.
        umount /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        return
    fi
    mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || skip "no cgroup v2"
    branch=$(mktemp -d "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/swg-test-XXXXXX") &&
        [ -e "$branch/cgroup.kill" ] || skip "no control group of our own"
    (
        echo 0 >"$branch/cgroup.procs"
        SWG_OWN_GROUPS=1 exec unshare --cgroup --mount "$0"
    ) || status=$?
    echo 1 >"$branch/cgroup.kill"
    wait_until 5 find "$branch" -depth -type d -exec rmdir {} + || fail "control groups are left below $branch"
    exit "$status"
}

# wait_until SECONDS COMMAND…: true as soon as the command succeeds; false when the time is over: four times what is
# given, which is what a quiet machine may take, because timing decides no test. SWG_SLOWNESS stretches it further, where
# an emulated processor is the reason.
wait_until() {
    local end=$((SECONDS + $1 * 4 * ${SWG_SLOWNESS:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# sampled NUMBER: true for every NUMBER-th call, from a random start, where the processor is emulated; elsewhere and with
# --full for all of them.
sampled() {
    [ "${SWG_SLOWNESS:-1}" -gt 1 ] && [ -z "${SWG_FULL:-}" ] || return 0
    : "${sampled_calls:=$RANDOM}"
    sampled_calls=$((sampled_calls + 1))
    [ $((sampled_calls % $1)) = 0 ]
}

# expect_status STATUS COMMAND…: runs it with output in $test_folder/output and compares the exit status.
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" >"$test_folder/output" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || {
        cat "$test_folder/output"
        fail "exit status $status instead of $wanted: $*"
    }
}

# expect_output PATTERN: an extended regular expression in the output of the last expect_status.
expect_output() {
    grep -Eq -- "$1" "$test_folder/output" || {
        cat "$test_folder/output"
        fail "nothing matches: $1"
    }
}

# inventory: all that a tunnel could leave behind, in a form that two moments can be compared in: links,
# addresses, routes, rules of every namespace, mounts, processes, sockets, files.
inventory() {
    local name
    deletions_have_ended
    echo "== here"
    inventory_of_network
    for name in $(ls /run/netns 2>/dev/null); do
        echo "== $name"
        ip netns exec "$name" "$BASH" -c "$(declare -f inventory_of_network); inventory_of_network" 2>&1
    done
    echo "== mounts"
    # The identifiers change with every mount; what is mounted where must not.
    awk '{ print $3, $4, $5, $NF, $(NF-1) }' /proc/self/mountinfo | sed 's/net:\[[0-9]*\]/net:[]/' | sort
    echo "== processes"
    ps -e -o args= | grep -vE '^(ps |grep |sort|awk|/bin/bash|bash|\[|sleep |busybox httpd)' | sort || true
    echo "== files"
    # A log is meant to outlive what it tells of.
    find /run /etc/netns /etc/wireguard -path /run/test -prune -o -print 2>/dev/null |
        grep -vE '^/run/(swg-ns(/log.*)?|state/log.*)$' | sort || true
}

inventory_of_network() {
    # Indices and carrier come and go by themselves; a queue that was started stays.
    ip -o link show | sed -E 's/^[0-9]+: //; s/ (qlen|state) .*//; s/ qdisc [a-z_0-9]+//; s/@if[0-9]+//; s/NO-CARRIER,|,LOWER_UP//g'
    ip -o addr show | sed -E 's/^[0-9]+: //; s/valid_lft.*//; s/ (tentative|dadfailed)//g'
    ip -4 route show table all
    ip -6 route show table all
    ip rule show
    ip -6 rule show
    ss -Huanp 2>/dev/null | awk '{ print $4, $5 }' | sort
}

# deletions_have_ended: waits for what outlives a detach on purpose, the child that waits for the kernel's answer to the
# deletion of an interface.
deletions_have_ended() {
    wait_until 10 sh -c '! pgrep -x swg-dellink' || fail "the deletion of an interface does not end"
}

# same_inventory BEFORE AFTER: the two are equal, or the test fails with the difference.
same_inventory() {
    diff "$1" "$2" >"$test_folder/difference" || {
        cat "$test_folder/difference"
        fail "something was left behind or is missing"
    }
}

# make_gateway: what every tunnel of a test ends at. A namespace `gateway`, joined to the box by a veth pair
# (here 192.0.2.1 and 2001:db8::1, there 192.0.2.2 and 2001:db8::2), in it an engine that is not ours
# (wireguard-go; GATEWAY_ENGINE names another, `kernel` the driver) with the interface gateway0: 10.99.0.1/24,
# fd99::1/64, port 51820, and a web server behind it. Writes client configurations $test_folder/client{1,2,3}.conf:
# 10.99.0.{2,3,4}/32 and fd99::{2,3,4}/128, AllowedIPs = 0.0.0.0/0, ::/0.
make_gateway() {
    local engine=${GATEWAY_ENGINE:-wireguard-go} number
    need wg busybox
    [ "$engine" = kernel ] || need "$engine"
    ip netns add gateway
    ip link add uplink type veth peer name eth0 netns gateway
    # Link-local addresses would appear a second later, and make two inventories differ.
    ip link set uplink addrgenmode none
    ip -n gateway link set eth0 addrgenmode none
    ip addr add 192.0.2.1/24 dev uplink
    ip addr add 2001:db8::1/64 dev uplink nodad
    ip link set uplink up
    ip -n gateway addr add 192.0.2.2/24 dev eth0
    ip -n gateway addr add 2001:db8::2/64 dev eth0 nodad
    ip -n gateway link set eth0 up
    ip -n gateway link set lo up
    # The UAPI socket is named after the interface, for the whole mount namespace: leave wg0 to the tests.
    case $engine in
    kernel) ip -n gateway link add gateway0 type wireguard ;;
    *) ip netns exec gateway env LOG_LEVEL=error "$engine" gateway0 2>"$test_folder/gateway.log" ;;
    esac
    umask 077
    wg genkey >"$test_folder/gateway.key"
    wg pubkey <"$test_folder/gateway.key" >"$test_folder/gateway.pub"
    ip netns exec gateway wg set gateway0 listen-port 51820 private-key "$test_folder/gateway.key"
    for number in 1 2 3; do
        wg genkey >"$test_folder/client$number.key"
        wg pubkey <"$test_folder/client$number.key" >"$test_folder/client$number.pub"
        ip netns exec gateway wg set gateway0 peer "$(cat "$test_folder/client$number.pub")" \
            allowed-ips "10.99.0.$((number + 1))/32,fd99::$((number + 1))/128"
        cat >"$test_folder/client$number.conf" <<CONF
[Interface]
PrivateKey = $(cat "$test_folder/client$number.key")
Address = 10.99.0.$((number + 1))/32, fd99::$((number + 1))/128
DNS = 10.99.0.1

[Peer]
PublicKey = $(cat "$test_folder/gateway.pub")
Endpoint = 192.0.2.2:51820
AllowedIPs = 0.0.0.0/0, ::/0
CONF
    done
    umask 022
    ip -n gateway link set gateway0 addrgenmode none
    ip -n gateway addr add 10.99.0.1/24 dev gateway0
    ip -n gateway addr add fd99::1/64 dev gateway0 nodad
    ip -n gateway link set gateway0 mtu 1420 up
    mkdir -p "$test_folder/www"
    echo "hello from behind the tunnel" >"$test_folder/www/index.html"
    ip netns exec gateway busybox httpd -p 10.99.0.1:80 -h "$test_folder/www"
    ip netns exec gateway busybox httpd -p '[fd99::1]:80' -h "$test_folder/www"
}

# capture FILE INTERFACE [FILTER…]: records until stop_capture. Ready when it returns.
capture() {
    local file=$1 interface=$2
    shift 2
    capture_file=$file
    tcpdump --immediate-mode -U -n -i "$interface" -w "$file" "$@" 2>"$file.log" &
    capture_pid=$!
    wait_until 5 grep -q listening "$file.log" || fail "tcpdump does not start: $(cat "$file.log")"
}

stop_capture() { end_tcpdump "$capture_pid" "$capture_file.log"; }

# end_tcpdump PID LOG: ends a tcpdump as soon as it has written all that it was given: a signal lets go what still waits
# in its queue. LOG is its standard error.
end_tcpdump() {
    wait_until 5 tcpdump_has_written "$1" "$2" || fail "tcpdump falls behind: $(cat "$2")"
    kill -INT "$1"
    wait "$1" || true
}
tcpdump_has_written() { # asked with SIGUSR1 it says: N packets captured, N packets received by filter, N packets dropped
    local before
    before=$(grep -c 'packets\? captured' "$2" || true)
    kill -USR1 "$1"
    wait_until 5 sh -c "[ \"\$(grep -c 'packets\? captured' '$2')\" -gt ${before:-0} ]" || return 1
    grep 'packets\? captured' "$2" | tail -n 1 |
        sed -E 's/.* ([0-9]+) packets? captured, ([0-9]+) packets? received by filter, ([0-9]+) packets? dropped by kernel.*/\1 \2 \3/' |
        { read -r captured received dropped && [ $((captured + dropped)) -ge "$received" ]; }
}
