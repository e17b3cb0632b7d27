#!/bin/bash
# repair with a newer engine installed: the live tunnel goes on by the new program, and TCP does not notice.
source "$(dirname "$0")/../lib/test.sh"
need python3 jq perl
make_gateway
mkdir "$test_folder/bin"
cp "$SWG_BIN/swg-ns" "$SWG_BIN/swg-engine" "$test_folder/bin/"
PATH=$test_folder/bin:$PATH
current=$(swg-engine --version | sed -n '1s/^swg-engine //p')
newer=9${current:1}
listed() { swg-ns list --json | jq -r ".tunnels[0].$1"; }

swg-ns attach "$test_folder/client1.conf" --netns blue --create --engine userspace --quiet --wait
[ "$(listed engineVersion)" = "$current" ] || fail "list says version $(listed engineVersion) of $current"
engine=$(listed enginePID)
index=$(ip -n blue -o link show wg0 | cut -d: -f1)

# One connection for the whole test: it echoes numbers, in order, until it is told to end.
ip netns exec gateway python3 - >"$test_folder/echo" <<'PYTHON' &
import socket
server = socket.create_server(("10.99.0.1", 7777))
print("ready", flush=True)
connection, _ = server.accept()
while data := connection.recv(65536):
    connection.sendall(data)
PYTHON
wait_until 5 grep -q ready "$test_folder/echo" || fail "the echo server does not start"
ip netns exec blue python3 - "$test_folder" >"$test_folder/sent" 2>&1 <<'PYTHON' &
import os, socket, sys, time
folder = sys.argv[1]
connection = socket.create_connection(("10.99.0.1", 7777), timeout=20)
number = 0
while not os.path.exists(folder + "/stop"):
    line = b"%d\n" % number
    connection.sendall(line)
    answer = b""
    while len(answer) < len(line):
        answer += connection.recv(100) or sys.exit("the connection ended")
    assert answer == line, (answer, line)
    number += 1
    open(folder + "/number", "w").write(str(number))
    time.sleep(0.01)
print("intact", number)
PYTHON
client=$!
goes_on() { local now; now=$(cat "$test_folder/number" 2>/dev/null || echo 0); wait_until 20 bash -c "[ \$(cat $test_folder/number) -gt ${now:-0} ]"; }
wait_until 10 test -s "$test_folder/number" || fail "no connection: $(cat "$test_folder/sent")"

[ "$(swg-ns repair client1)" = "client1: healthy" ] || fail "repair without a newer engine did something"
[ "$(listed enginePID)" = "$engine" ] || fail "repair without a newer engine replaced it"
ok "repair leaves a live engine alone that runs the installed program"

# A newer release, as a package manager brings it: another file under the same name.
perl -pe "s/\Q$current\E/$newer/g" "$test_folder/bin/swg-engine" >"$test_folder/bin/new"
chmod 755 "$test_folder/bin/new"
[ "$("$test_folder/bin/new" --version | sed -n '1s/^swg-engine //p')" = "$newer" ] || skip "the version in the program cannot be changed by hand"
mv "$test_folder/bin/new" "$test_folder/bin/swg-engine"
[ "$(listed engineVersion)" = "$current" ] || fail "list names what is installed, not what runs"
[ "$(swg-ns repair)" = "client1: replaced" ] || fail "repair did not replace the engine"
[ "$(listed engineVersion)" = "$newer" ] || fail "list says version $(listed engineVersion) after the repair"
[ "$(readlink "/proc/$(listed enginePID)/exe")" = "$test_folder/bin/swg-engine" ] || fail "another program runs"
wait_until 5 sh -c "! test -d /proc/$engine" || fail "the old engine lives on"
[ "$(ip -n blue -o link show wg0 | cut -d: -f1)" = "$index" ] || fail "the interface is another one"
ok "the newer engine has the tunnel, list shows its version, the interface is the same"

goes_on || fail "the TCP connection stands still after the repair: $(cat "$test_folder/sent")"
touch "$test_folder/stop"
wait "$client" || fail "the TCP connection did not survive: $(cat "$test_folder/sent")"
grep -q '^intact' "$test_folder/sent" || fail "$(cat "$test_folder/sent")"
swg-ns check client1 >"$test_folder/output" || fail "check after repair: $(cat "$test_folder/output")"
ok "a TCP connection goes on through the replacement, and check still proves everything"

# A newer engine that cannot run is seen before the old one is ended.
engine=$(listed enginePID)
echo "not a program" >"$test_folder/bin/new"
chmod 755 "$test_folder/bin/new"
mv "$test_folder/bin/new" "$test_folder/bin/swg-engine"
expect_status 1 swg-ns repair client1
[ "$(listed enginePID)" = "$engine" ] && [ -d "/proc/$engine" ] || fail "repair ended a good engine for a bad program"
swg-ns check client1 >"$test_folder/output" || fail "check after a failed repair: $(cat "$test_folder/output")"
ok "an installed engine that does not run is refused; the tunnel keeps the one it has"
