#!/bin/bash
# M1, M6, N10: garbage, oversized and malformed datagrams: nothing answers, nothing crashes, traffic goes on,
# memory stays where it is.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping python3 tcpdump

make_pair swg-engine swg-engine
wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
worker=$(workers wga)
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$worker/status"; }
before=$(resident)

ip -n b addr add 192.0.2.66/24 dev vb
ip netns exec b tcpdump --immediate-mode -n -U -i vb -w answers.pcap 'src host 192.0.2.1 and dst host 192.0.2.66' 2>answers.log &
dump=$!
wait_until 5 grep -q listening answers.log
cat >flood.py <<'PY'
import os, random, socket, struct, sys, time
random.seed(int(sys.argv[1]))
def opened(family, source):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((source, 0)); s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return s
four, six = opened(socket.AF_INET, "192.0.2.66"), opened(socket.AF_INET6, "2001:db8::2")
sizes = [0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1452, 1500, 9000, 65000, 65507]
end = time.time() + 3
sent = 0
while time.time() < end:
    size = random.choice(sizes)
    data = bytearray(os.urandom(size))
    if size >= 4 and random.random() < 0.9:
        data[0:4] = bytes([random.randrange(6), 0, 0, 0 if random.random() < 0.9 else 1])
    try:
        if random.random() < 0.8: four.sendto(data, ("192.0.2.1", 1111))
        else: six.sendto(data, ("2001:db8::1", 1111))
        sent += 1
    except OSError: pass
    # Trains of equal datagrams, as UDP_GRO would join them.
    if random.random() < 0.02:
        for _ in range(30):
            try: four.sendto(bytes([4, 0, 0, 0]) + os.urandom(random.choice([28, 60])), ("192.0.2.1", 1111))
            except OSError: pass
print(sent)
PY
in_b python3 flood.py 1 >sent
in_b python3 flood.py 2 >>sent
end_tcpdump $dump answers.log
[ "$(tcpdump -n -r answers.pcap 'not arp' 2>/dev/null | wc -l)" = 0 ] || fail "M1: somebody answered garbage"
[ "$(workers wga)" = "$worker" ] || fail "the worker died: $(cat a.log)"
expect_ping a 10.0.0.2
after=$(resident)
# The receive buffers of the largest batch are touched now: 1 MiB, and the ring of handshakes.
[ $((after - before)) -lt 4096 ] || fail "grew by $((after - before)) KiB"
ok "M1, M6: $(paste -sd+ sent) datagrams of garbage: no answer, no crash, $((after - before)) KiB more memory"
