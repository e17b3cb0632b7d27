#!/bin/bash
# What a worker cannot do to the monitor: by what it says (somebody else speaks over its channel here), by what it does
# not read, by dying at a bad moment, or because this machine has nothing to spare for the next one.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg wireguard-go ping python3 prlimit ss

# A parent that does not care for its children hands that on: bash cannot ignore SIGCHLD, perl and python can.
cat >careless.py <<'PY'
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])
PY
mkdir bin
cat >bin/careless-engine <<SH
#!/bin/bash
exec python3 $PWD/careless.py swg-engine "\$@"
SH
chmod +x bin/careless-engine
PATH=$PWD/bin:$PATH
export SWG_STATE_DIR=$test_folder/state
make_pair careless-engine wireguard-go
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
before=$(monitor wga)
is_replaced() { # is_replaced WORKER: another lives
    local now
    now=$(workers wga)
    [ -n "$now" ] && [ "$now" != "$1" ]
}
still_works() { # still_works WHAT
    [ "$(monitor wga)" = "$before" ] || fail "the monitor went: $1: $(cat a.log)"
    expect_ping a 10.0.0.2 1
}
worker=$(workers wga)
kill -KILL "$worker"
wait_until 3 is_replaced "$worker" || fail "no new worker where SIGCHLD is ignored: $(cat a.log)"
sleep 0.1
still_works "SIGCHLD was ignored by whoever started it"
ok "a parent that ignores SIGCHLD costs no worker"

# Records as the worker's: kind, serial, three words, a hash. Descriptor 5 of the worker is its end of the channel.
cat >speak.py <<'PY'
import ctypes, os, select, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
worker, what = int(sys.argv[1]), sys.argv[2]
number = libc.syscall(438, os.pidfd_open(worker), 5, 0)
if number < 0: sys.exit(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
channel = socket.socket(fileno=number)
# Not blocking, as it is: the worker has the same open file.
def say(data, descriptors=[]):
    while True:
        try: return socket.send_fds(channel, [data], descriptors)
        except BlockingIOError: select.select([], [channel], [])
def record(kind, first=0, second=0, third=0, serial=0, name=bytes(32)):
    return struct.pack("<IIQQQ32s", kind, serial, first, second, third, name)
if what == "empty": say(b"")
elif what == "odd":
    for size in (1, 63, 65, 900): say(bytes(size))
    for kind in (0, 11, 33, 2**32 - 1): say(record(kind))
elif what == "numbers":
    top = 2**64 - 1
    for kind in (2, 6, 7, 8): say(record(kind, top, top, top, 2**32 - 1, b"\xff" * 32))
    say(record(7))
elif what == "descriptors":
    for _ in range(200): say(record(7), [0, 1, 2, 0])
elif what == "refused": say(record(5, 22))
elif what == "names":
    for index in range(3000): say(record(8, 2**62, 0, 0, 0, struct.pack("<IQ20x", index, 1)))
elif what == "questions":
    for _ in range(1000): say(record(10))
elif what == "flood":
    # For sockets on any port: asked for faster than they can be made.
    while True: say(record(1))
PY
worker=$(workers wga)
python3 speak.py "$worker" odd || skip "pidfd_getfd is refused here"
python3 speak.py "$worker" numbers
files=$(ls "/proc/$before/fd" | wc -l)
python3 speak.py "$worker" descriptors
sleep 0.2
[ "$(ls "/proc/$before/fd" | wc -l)" -le "$files" ] || fail "descriptors of a worker stay open"
[ "$worker" = "$(workers wga)" ] || fail "an honest worker was replaced"
still_works "odd records"
ok "records of odd sizes, kinds and numbers, and descriptors with them, change nothing"

python3 speak.py "$worker" refused
python3 speak.py "$worker" names
sleep 0.3
still_works "a refusal after the configuration was accepted"
count=$(ls state/tai64n | wc -l)
[ "$count" -ge 500 ] && [ "$count" -le 1100 ] || fail "$count files for names of keys that there are not"
ok "a refusal that comes late is none; 3000 invented keys are $count files"

python3 speak.py "$worker" empty
wait_until 3 is_replaced "$worker" || fail "a worker that has closed its channel stays"
sleep 0.1
still_works "an empty record"
ok "a worker that says it has nothing more to say is replaced"

# No descriptor for the channel or the process of another: it comes when there is one.
worker=$(workers wga)
prlimit --pid "$before" --nofile=6:4096
kill -KILL "$worker"
sleep 1.3
[ -z "$(workers wga)" ] || fail "the test proves nothing: there is a worker"
[ "$(monitor wga)" = "$before" ] || fail "the monitor went, since there was no descriptor: $(cat a.log)"
prlimit --pid "$before" --nofile=1024:4096
wait_until 5 is_replaced "$worker" || fail "no new worker when there are descriptors again"
sleep 0.1
still_works "no descriptor for another worker"
[ "$(stat -c %u "/proc/$(workers wga)")" != 0 ] || fail "the new worker has no user of its own"
ok "a machine without descriptors delays a worker, and ends nothing"

# A worker that is stopped, its queue full of answers that it does not read, while routes change and the interface goes
# down: it hears of that in the end.
worker=$(workers wga)
kill -STOP "$worker"
python3 speak.py "$worker" questions
ip -n a route add 198.18.0.1/32 dev va
ip -n a link set wga down
sleep 0.3
kill -CONT "$worker"
wait_until 3 sh -c '! ip netns exec a ss -Hlun | grep >/dev/null :1111' || fail "D12: the news of the interface got lost"
[ "$worker" = "$(workers wga)" ] || fail "the test proves nothing: the worker was replaced"
ok "D12: news that did not fit into a stopped worker's queue are told later"

# Down, its port is taken by somebody else, and the worker dies: the next one serves, and takes another port.
in_a python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 1111)); time.sleep(60)' &
thief=$!
wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep >/dev/null :1111' || fail "nobody takes the port"
kill -KILL "$worker"
wait_until 3 is_replaced "$worker" || fail "no new worker without its port"
wait_until 3 wg show wga >/dev/null || fail "the new worker does not serve"
[ "$(monitor wga)" = "$before" ] || fail "the monitor went, since a port was taken: $(cat a.log)"
ip -n a link set wga up
wg set wga listen-port 1112
wait_until 5 sh -c 'ip netns exec a ss -Hlun | grep >/dev/null :1112' || fail "it does not listen on the new port"
expect_ping a 10.0.0.2 1
kill $thief
ok "a port lost while the interface was down costs neither the engine nor the interface"

# The directory of the socket files is a busy one, and no more signals may wait: only our own file is of concern.
prlimit --pid "$before" --sigpending=0:0
for round in 1 2 3; do
    touch /var/run/wireguard/other$round
    rm /var/run/wireguard/other$round
done
sleep 0.2
still_works "signals that did not fit"
rm /var/run/wireguard/wga.sock
wait_until 2 sh -c "! kill -0 $before" || fail "the file's end is not noticed without room for signals"
ok "RLIMIT_SIGPENDING: the end of the socket's file, and only that, ends the engine"

# One that talks without end: signals are heard.
ip -n a link show wga 2>/dev/null && fail "the interface outlives its engine"
swg-engine talker
python3 speak.py "$(workers talker)" flood 2>/dev/null &
python3 speak.py "$(workers talker)" flood 2>/dev/null &
sleep 0.5
before=$(monitor talker)
kill -TERM "$before"
wait_until 2 sh -c "! kill -0 $before" || fail "a monitor that is talked to does not hear SIGTERM"
wait
ok "a worker that talks without end does not keep the monitor from anything else"
