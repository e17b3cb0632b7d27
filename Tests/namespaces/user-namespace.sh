#!/bin/bash
# attach inside a user namespace whose uid 0 is an ordinary user outside (`unshare -r`, `podman unshare`): its state and
# its sockets are the user's, and it needs no option for it.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/run-modes.sh"
for_engine_only "a user namespace may not make the driver's device"
prepare_modes
cat >/srv/bin/inside <<'INSIDE'
#!/bin/bash
set -Eeuo pipefail
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND"' ERR
swg=/srv/bin/swg-ns
[ "$(id -u)" = 0 ] && ! touch /run/not-ours 2>/dev/null
ip link set lo up
unshare --net sleep 1000 &
sleeper=$!
for ((i = 0; i < 200; i++)); do
    [ "$(readlink /proc/$sleeper/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.05
done
$swg attach client2.conf --pid $sleeper --engine userspace --quiet
$swg list | grep >/dev/null 'client2 *attached'
$swg check client2
$swg show client2 | grep >/dev/null 'allowed ips: 0.0.0.0/0, ::/0'
[ "$($swg exec client2 -- ls /sys/class/net 2>/dev/null | wc -l)" -ge 1 ]
[ "$($swg exec client2 -- ip -o link | wc -l)" = 2 ]
$swg set client2 >/dev/null
find "${places}" -name 'client2*' | sort
$swg doctor | grep >/dev/null "$places.* can be written"
$swg detach client2 --quiet
$swg gc --quiet
kill $sleeper
INSIDE
chmod 755 /srv/bin/inside
cd /srv/tester
for places in /run/user/$tester/swg-ns /tmp/swg-ns-$tester; do
    without=()
    [ "$places" != /tmp/swg-ns-$tester ] || without=(-u XDG_RUNTIME_DIR)
    as_tester env "${without[@]}" places=$places unshare --user --map-root-user --net /srv/bin/inside >"$test_folder/output" 2>&1 || {
        cat "$test_folder/output"
        fail "attach in a user namespace"
    }
    expect_output "^$places/tunnels/client2$"
    expect_output "^$places/uapi/client2.sock$"
    ! grep FAIL "$test_folder/output" || fail "something in the user namespace"
    [ ! -e $places/tunnels ] && [ ! -e /run/swg-ns ] || fail "state is left: $(find $places /run/swg-ns)"
    ok "attach, check, show, exec, set, detach by uid 0 of a user namespace: state and socket in $places"
done
