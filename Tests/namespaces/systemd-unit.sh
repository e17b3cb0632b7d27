#!/bin/bash
# examples/swg-ns@.service under a real systemd: a tunnel's whole life as a unit.
source "$(dirname "$0")/../lib/test.sh"
under_systemd
need curl jq
examples=$(realpath "$(dirname "$0")/../../examples")
make_gateway
mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
cp "$SWG_BIN/swg-ns" "$SWG_BIN/swg-engine" /usr/local/bin/
mkdir -p /etc/wireguard
cp "$test_folder/client1.conf" /etc/wireguard/egress.conf
chmod 600 /etc/wireguard/egress.conf
cp "$examples/swg-ns@.service" /etc/systemd/system/
# The unit asks for whatever the machine has; what only the engine can show is asked of the engine.
mkdir "/etc/systemd/system/swg-ns@.service.d"
printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=200ms\nExecStart=\nExecStart=%s --engine userspace\n' "$(sed -n 's/^ExecStart=//p' "$examples/swg-ns@.service")" \
    >"/etc/systemd/system/swg-ns@.service.d/engine.conf"
systemctl daemon-reload
inventory >"$test_folder/before"
unit=swg-ns@egress.service
state() { systemctl show -P "$1" $unit; }
main() { state MainPID; }
reaches() { ip netns exec egress curl -s -m 15 http://10.99.0.1/ | grep >/dev/null "behind the tunnel"; }
gone() {
    [ ! -e /run/netns/egress ] || fail "$1: the namespace is still there"
    wait_until 5 sh -c '! pgrep -x swg-engine' || fail "$1: an engine is left"
    inventory >"$test_folder/after"
    same_inventory "$test_folder/before" "$test_folder/after"
}

# As the README says it.
systemctl enable --now swg-ns@egress 2>"$test_folder/output" || fail "enable --now: $(cat "$test_folder/output")"
[ -L /etc/systemd/system/multi-user.target.wants/$unit ] || fail "not enabled for the next boot"
# Type=notify: the start job ends with READY=1, and by then everything is there.
reaches || fail "no answer after the start job has ended"
[ "$(state StatusText)" = "tunnel egress is up" ] || fail "status text: $(state StatusText)"
engine=$(swg-ns list --json | jq '.tunnels[0].enginePID')
grep -q "$unit" "/proc/$engine/cgroup" || fail "the engine is not in its unit: $(cat "/proc/$engine/cgroup")"
ok "ready means attached; systemctl status says which tunnel; the engine belongs to the unit"

systemctl restart $unit
reaches || fail "no answer after restart"
wait_until 5 sh -c "! test -d /proc/$engine" || fail "the old engine lives on"
systemctl stop $unit
[ "$(state Result)" = success ] || fail "stop: $(state Result)"
gone stop
ok "restart makes it anew; stop detaches and leaves nothing"

systemctl start $unit
before=$(main)
kill -KILL "$before"
wait_until 15 bash -c "systemctl is-active -q $unit && [ \$(systemctl show -P MainPID $unit) != $before ]" ||
    fail "not restarted: $(systemctl status --no-pager $unit)"
reaches || fail "no answer after swg-ns was killed"
[ "$(swg-ns list --json | jq '.tunnels | length')" = 1 ] || fail "$(swg-ns list)"
ok "swg-ns killed with SIGKILL: cleaned up and up again"

engine=$(swg-ns list --json | jq '.tunnels[0].enginePID')
before=$(main)
kill -KILL "$engine"
wait_until 15 bash -c "systemctl is-active -q $unit && [ \$(systemctl show -P MainPID $unit) != $before ]" ||
    fail "not restarted: $(systemctl status --no-pager $unit)"
reaches || fail "no answer after the engine was killed"
ok "an engine that dies fails the unit, and Restart= brings the tunnel back"

engine=$(swg-ns list --json | jq '.tunnels[0].enginePID')
before=$(main)
# A copy is another program: another file.
cp /usr/local/bin/swg-engine /usr/local/bin/new && mv /usr/local/bin/new /usr/local/bin/swg-engine
swg-ns repair egress >"$test_folder/output" || fail "repair: $(cat "$test_folder/output")"
expect_output '^egress: replaced'
[ "$(swg-ns list --json | jq '.tunnels[0].enginePID')" != "$engine" ] || fail "the engine is the same"
# It follows the new engine: no end of the unit now, and one when the new engine dies.
sleep 0.5
[ "$(main)" = "$before" ] && [ "$(state NRestarts)" = 2 ] || fail "repair ended the unit: $(systemctl status --no-pager $unit)"
reaches || fail "no answer after repair"
engine=$(swg-ns list --json | jq '.tunnels[0].enginePID')
kill -KILL "$engine"
wait_until 15 bash -c "systemctl is-active -q $unit && [ \$(systemctl show -P MainPID $unit) != $before ]" ||
    fail "the death of the new engine was not seen: $(systemctl status --no-pager $unit)"
systemctl stop $unit
gone "stop after repair"
ok "repair replaces the engine below a running unit, which watches the new one from then on"

sed -i 's/^Endpoint.*/Endpoint = nowhere.invalid:51820/' /etc/wireguard/egress.conf
status=0
systemctl start $unit 2>"$test_folder/output" || status=$?
[ $status != 0 ] || fail "start with a bad file succeeded"
# Each new start, five a second here, begins without a status.
says_why() { { systemctl status --no-pager $unit || true; } | grep >/dev/null 'Status: .*nowhere\.invalid'; }
wait_until 10 says_why || fail "no word of it: $(systemctl status --no-pager $unit)"
systemctl stop $unit
in_journal() { journalctl --no-pager -o cat -u $unit | grep >/dev/null 'swg-ns: .*nowhere\.invalid'; }
wait_until 5 in_journal || fail "not in the journal: $(journalctl --no-pager -o cat -u $unit)"
gone "failed start"
ok "an attach that fails fails the unit; systemctl status and the journal say why"
