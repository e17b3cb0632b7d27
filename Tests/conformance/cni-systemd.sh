#!/bin/bash
# Under systemd a tunnel's engine lives in a transient scope, asked for over D-Bus: the death of the runtime's service
# does not touch it, DEL ends it, and a bus that hangs or talks rubbish delays ADD up to a deadline only.
source "$(dirname "$0")/../lib/test.sh"
under_systemd
source "$(dirname "$0")/../lib/cni.sh"
need jq curl busybox systemd-run python3
make_gateway
make_pool 1 2
container_namespace c1
container_namespace c2
network
inventory >"$test_folder/before"

cat >"$test_folder/runtime" <<'SCRIPT'
#!/bin/bash
cd /run/test
CNI_COMMAND=ADD CNI_CONTAINERID=a CNI_NETNS=/run/netns/c1 CNI_IFNAME=eth0 CNI_PATH=$SWG_BIN \
    "$SWG_BIN/swg-cni" <network.json >answer 2>stderr || touch failed
touch added
exec sleep 600
SCRIPT
chmod +x "$test_folder/runtime"
systemd-run -q --unit=runtime --setenv=SWG_BIN="$SWG_BIN" --setenv=PATH="$PATH" "$test_folder/runtime"
wait_until 30 test -e "$test_folder/added" || fail "ADD does not come to an end"
[ ! -e "$test_folder/failed" ] || { cat "$test_folder/answer"; fail "ADD"; }
id=$(ls /run/swg-ns/tunnels)
scope=swg-ns-$id.scope
systemctl is-active -q "$scope" || fail "there is no scope $scope: $(systemctl list-units --no-legend 'swg-*')"
engines=$(pgrep -x swg-engine | sort)
[ "$(wc -w <<<"$engines")" = 2 ] || fail "there should be two engine processes: $engines"
for pid in $engines; do
    grep -q "/$scope\$" "/proc/$pid/cgroup" || fail "process $pid lives in $(cat "/proc/$pid/cgroup")"
done
swg-ns log | grep >/dev/null "engine in the systemd scope $scope" || { swg-ns log; fail "the log does not say where the engine was put"; }
ok "both processes of the engine live in a scope of the tunnel, and the log says so"

echo 1 >/sys/fs/cgroup/system.slice/runtime.service/cgroup.kill
wait_until 10 sh -c '! systemctl is-active -q runtime' || fail "the runtime lives on"
behind_tunnel c1
[ "$(pgrep -x swg-engine | sort)" = "$engines" ] || fail "the engine was started anew"
systemctl is-active -q "$scope" || fail "the scope went with the runtime"
ok "the runtime's service was killed with all that is in it, and the tunnel carries on"

must cni DEL a ""
wait_until 10 sh -c "! systemctl is-active -q '$scope'" || fail "the scope outlives the tunnel"
[ -z "$(systemctl list-units --all --no-legend 'swg-ns-*')" ] || wait_until 5 sh -c '[ -z "$(systemctl list-units --all --no-legend "swg-ns-*")" ]' ||
    fail "a unit is left: $(systemctl list-units --all --no-legend 'swg-ns-*')"
ok "DEL ends the scope"

# In another process namespace (a pod without hostPID) our numbers are those of strangers to the host's systemd.
unshare --pid --fork --mount-proc "$BASH" -c 'CNI_COMMAND=ADD CNI_CONTAINERID=d CNI_NETNS=/run/netns/c2 CNI_IFNAME=eth0 CNI_PATH=$SWG_BIN \
    "$SWG_BIN/swg-cni" </run/test/network.json >/run/test/answer 2>/run/test/stderr && ip -n c2 link show eth0' >/dev/null ||
    { cat "$test_folder/answer"; fail "ADD in another process namespace"; }
[ -z "$(systemctl list-units --all --no-legend 'swg-ns-*')" ] || fail "systemd was given another namespace's process numbers"
swg-ns log | tail -n 5 | grep >/dev/null 'systemd gave no scope.*another process namespace' || { swg-ns log; fail "the log does not say why there is no scope"; }
must cni DEL d /run/netns/c2
ok "P5: a bus in another process namespace is told of no process"

# A bus that takes connections and never answers, one that talks rubbish, and none at all.
bus=/run/dbus/system_bus_socket
mv "$bus" "$bus.real"
false_bus() { # false_bus ANSWER: in the background
    python3 - "$bus" "$1" <<'PYTHON' &
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(5)
kept = []
while True:
    client, _ = listener.accept()
    client.sendall(sys.argv[2].encode("latin-1").decode("unicode_escape").encode("latin-1"))
    kept.append(client)
PYTHON
    bus_pid=$!
    wait_until 10 test -S "$bus"
}
for answer in '' 'OK 0123\r\n' 'OK 0123\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' 'ERROR\r\n'; do
    false_bus "$answer"
    start=${EPOCHREALTIME/./}
    must cni ADD b /run/netns/c2
    took=$(((${EPOCHREALTIME/./} - start) / 1000))
    [ $took -lt 18000 ] || fail "ADD took $took ms with a bus that answers '$answer'"
    behind_tunnel c2
    swg-ns log | tail -n 5 | grep >/dev/null 'systemd gave no scope' || { swg-ns log; fail "the log does not say that there is no scope"; }
    kill $bus_pid
    wait $bus_pid 2>/dev/null || true
    rm "$bus"
    must cni DEL b ""
done
must cni ADD b /run/netns/c2
behind_tunnel c2
must cni DEL b ""
mv "$bus.real" "$bus"
ok "a bus that hangs, talks rubbish, refuses or is absent: ADD works within the deadline, and the log says why there is no scope"

wait_until 5 sh -c '! pgrep -x swg-engine' || fail "an engine is left"
wait_until 5 sh -c '! [ -e /sys/fs/cgroup/swg-ns ]' || fail "a control group is left"
forget_state
# Of our own service, and of the folder for such.
systemctl reset-failed runtime
wait_until 5 sh -c '! [ -e /run/systemd/transient/runtime.service ]' || true
rmdir /run/systemd/transient 2>/dev/null || true
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
