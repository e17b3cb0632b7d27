#!/bin/bash
# What a killed worker must not make possible: a nonce used twice, a recorded initiation accepted again, timestamps that
# go back; and what it must not cost: large socket buffers, a machine busy with a worker that cannot live.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping python3 tcpdump ss

export SWG_STATE_DIR=$test_folder/state
make_pair swg-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
replace_worker() {
    local before
    before=$(workers wga)
    kill -KILL "$before"
    wait_until 3 sh -c "p=\$(pgrep -f 'swg-engine --worker wga\$') && [ \"\$p\" != '$before' ]" || fail "no new worker"
}

# Nonces: every data message of A is seen, with and without a worker's death in between.
ip netns exec a tcpdump --immediate-mode -U -n -i va -w wire.pcap 'udp and src port 1111' 2>wire.log &
dump=$!
wait_until 5 grep -q listening wire.log || fail "tcpdump does not start: $(cat wire.log)"
in_a ping -q -i 0.005 -s 300 -c 800 -W 1 10.0.0.2 >flood.log 2>&1 &
flood=$!
for _ in 1 2 3 4 5 6; do
    sleep 0.6
    replace_worker
done
wait $flood || true
expect_ping a 10.0.0.2
end_tcpdump $dump wire.log
cat >nonces.py <<'PY'
import collections, struct, sys
data = open(sys.argv[1], "rb").read()
offset, used, sessions = 24, set(), collections.OrderedDict()
while offset < len(data):
    size = struct.unpack_from("<I", data, offset + 8)[0]
    frame = data[offset + 16:offset + 16 + size]
    offset += 16 + size
    message = frame[42:]
    if len(message) < 32 or message[:4] != b"\x04\0\0\0": continue
    receiver, counter = struct.unpack_from("<IQ", message, 4)
    if (receiver, counter) in used: sys.exit(f"nonce {counter} of session {receiver:08x} is used twice")
    used.add((receiver, counter)); sessions[receiver] = sessions.get(receiver, 0) + 1
print(len(used), len(sessions))
PY
counted=$(python3 nonces.py wire.pcap) || fail "$counted"
read -r messages sessions <<<"$counted"
[ "$sessions" -ge 7 ] || fail "the test wants a session per worker: $counted"
[ "$messages" -ge 300 ] || fail "too few messages: $counted"
ok "S1: $messages data messages in $sessions sessions over six deaths, no nonce twice"

[ "$(in_a ss -Huanm 'sport = :1111' | grep -c 'rb14680064.*tb14680064')" = 2 ] || fail "buffers: $(in_a ss -Huanm 'sport = :1111')"
ok "7 MiB socket buffers, although the worker has no capability"

# A worker that dies between its question and the monitor's answer: the question is for sockets on another port.
before=$(monitor wga)
for port in 3333 3334; do
    asker=$(workers wga)
    kill -STOP "$before"
    wg set wga listen-port $port 2>refused.log &
    setting=$!
    # It has sent the question when it waits for the answer, and for nothing else.
    wait_until 10 grep -q poll_schedule_timeout "/proc/$asker/wchan" || true
    kill -KILL "$asker"
    kill -CONT "$before"
    wait $setting || true
    wait_until 3 sh -c "p=\$(pgrep -f 'swg-engine --worker wga\$') && [ \"\$p\" != '$asker' ]" || fail "no new worker"
    [ "$before" = "$(monitor wga)" ] || fail "the monitor went with its worker"
    expect_ping a 10.0.0.2
    [ "$(wg show wga listen-port)" = 1111 ] || fail "a change that was never answered: port $(wg show wga listen-port)"
done
ok "a worker that dies between its question and the answer is replaced, too"

# A recorded initiation. B sends it to us; we pass it on to A, whose answer proves that it was good.
cat >replay.py <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("192.0.2.1", 7777))
def answer(initiation):
    s.settimeout(1.5); s.sendto(initiation, ("192.0.2.1", 1111))
    end = time.time() + 1.5
    while time.time() < end:
        try: data, source = s.recvfrom(2000)
        except socket.timeout: return False
        if source[1] == 1111 and data[0] == 2: return True
    return False
if sys.argv[1] == "record":
    s.settimeout(20)
    while True:
        data, source = s.recvfrom(2000)
        if data[0] == 1 and len(data) == 148: break
    open("initiation", "wb").write(data)
print("answered" if answer(open("initiation", "rb").read()) else "ignored")
PY
in_a python3 replay.py record >first.answer &
recorder=$!
wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep >/dev/null :7777' || fail "no recorder"
wg set wgb peer "$a_public" remove
wg set wgb peer "$a_public" allowed-ips 10.0.0.1/32,fd00::1/128 endpoint 192.0.2.1:7777
pings b 10.0.0.1 1 || true
wait $recorder
[ "$(cat first.answer)" = answered ] || fail "the initiation was not good: $(cat first.answer)"
wg set wgb peer "$a_public" endpoint 192.0.2.1:1111
# B has not seen the answer, and tries again after five seconds.
wait_until 15 pings b 10.0.0.1 1 || fail "B and A do not find each other again"
[ "$(in_a python3 replay.py again)" = ignored ] || fail "T2: a replayed initiation is answered by the same worker"
for _ in 1 2; do
    replace_worker
    [ "$(in_a python3 replay.py again)" = ignored ] || fail "T2: a replayed initiation is answered by a new worker"
done
[ "$(wg show wga endpoints | cut -f 2)" = 192.0.2.2:2222 ] || fail "the replay moved the endpoint"
expect_ping a 10.0.0.2
ok "T2: a recorded initiation is refused by a new worker, too"

# Timestamps. The floor of A's key is set an hour ahead; B accepts nothing below what it has seen.
floor=$(echo state/tai64n/*)
[ -f "$floor" ] || fail "no floor for the key: $floor"
start_again() { # as after a crash of everything
    kill -KILL "$(monitor wga)"
    wait_until 3 sh -c '! ip -n a link show wga' || fail "the interface outlives its engine"
    start_engine a swg-engine
    wg set wga private-key a.key listen-port 1111 peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128 endpoint 192.0.2.2:2222
}
python3 - "$floor" <<'PY'
import struct, sys, time
open(sys.argv[1], "wb").write(struct.pack(">QI", (1 << 62) + 10 + int(time.time()) + 3600, 0))
PY
cp "$floor" ahead
start_again
expect_ping a 10.0.0.2
cmp -s "$floor" ahead && fail "T3: the floor was not raised"
replace_worker
expect_ping a 10.0.0.2
ok "T3: a new worker goes on above the last timestamp sent"
start_again
expect_ping a 10.0.0.2
ok "T3: a new engine goes on above the last timestamp sent"
cp "$floor" kept
rm "$floor"
start_again
! pings a 10.0.0.2 1 || fail "the test proves nothing: B accepts old timestamps"
cp kept "$floor"
start_again
expect_ping a 10.0.0.2
ok "T3: without the floor B refuses us, as it should"

# Deaths without a packet from a peer: ten times at once, then a second, then two; then a peer, and at once again.
swg-engine alone
no_worker() { [ -z "$(workers alone)" ]; }
has_worker() { [ -n "$(workers alone)" ]; }
die() {
    local before
    before=$(workers alone)
    kill -KILL "$before"
    wait_until 2 sh -c "! pgrep -f 'swg-engine --worker alone\$' | grep >/dev/null -x '$before'"
}
for _ in 1 2 3 4 5 6 7 8 9 10; do
    die
    wait_until 1 has_worker || fail "a worker is not replaced at once"
done
waited() { # waited LEAST: milliseconds until there is a worker again
    local start took
    start=$(date +%s%N)
    die
    wait_until 3 has_worker || fail "no worker after more than $1 ms"
    took=$((($(date +%s%N) - start) / 1000000))
    [ $took -ge "$1" ] || fail "replaced after $took ms, too early"
}
waited 900
waited 1900
kill -KILL "$(workers alone)"
wait_until 2 no_worker
kill -TERM "$(monitor alone)"
wait_until 1 sh -c '! pgrep -f "[s]wg-engine alone"' || fail "a monitor that waits does not hear SIGTERM"
ok "ten deaths in vain: the eleventh worker comes after a second, the twelfth after two"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    # A peer takes one initiation in 20 ms (T2); a second one sooner would cost five seconds.
    sleep 0.1
    replace_worker
    expect_ping a 10.0.0.2 1
done
ok "twelve deaths with packets in between: each is replaced at once"
