#!/bin/bash
# limit: 400 s
# What is wrong is refused by the driver (netlink) and by our engine (UAPI) with the same error; where the two differ by
# nature, `Tests/lib/vm/refusals` says why. And wg(8) says the same of both. SWG_SEED repeats a run.
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg python3 "$engine"
seed=${SWG_SEED:-$RANDOM}
count=${SWG_REFUSALS:-$([ -n "${SWG_FULL:-}" ] && echo 3000 || echo 200)}
taken=19998

# Another socket has the port in both namespaces, and the devices are up: the driver binds only then.
ip netns add driver
ip netns add engine
for name in driver engine; do
    ip -n $name link add taker type wireguard
    ip netns exec $name wg set taker listen-port $taken
    ip -n $name link set taker up
done
ip -n driver link add k0 type wireguard
ip -n driver link set k0 up
ip netns exec engine "$engine" e0 2>engine.log
wait_until 10 wg show e0 || fail "the engine does not start"
ip -n engine link set e0 up
umask 077
for _ in 1 2 3; do
    key=$(wg genkey)
    echo "$key $(wg pubkey <<<"$key")"
done >keys
ip netns exec driver "$(dirname "$0")/../../lib/vm/refusals" "$seed" "$count" k0 /var/run/wireguard/e0.sock keys $taken \
    >said 2>&1 || fail "$(cat said)"
ok "$(head -n 1 said)"
# Which of them, and how; the README has the table.
ok "with another error: $(sed -n '2,$s/, because.*//p' said | paste -sd ';')"

# The same words of wg(8), exit status and message, but for the interface's name.
peer=$(cut -d ' ' -f 2 keys | tail -n 1)
echo rubbish >rubbish
both() { # both WORDS…: `wg` with @ for the device
    local left=0 right=0
    ip netns exec driver wg "${@//@/k0}" >driver.said 2>&1 || left=$?
    ip netns exec engine wg "${@//@/e0}" >engine.said 2>&1 || right=$?
    [ $left = $right ] && [ $left != 0 ] && diff <(sed 's/k0/@/g' driver.said) <(sed 's/e0/@/g' engine.said) >difference || {
        cat driver.said engine.said
        fail "wg $*: the driver's status is $left, the engine's $right"
    }
    grep -q . driver.said || fail "wg $* says nothing"
}
both set @ listen-port $taken
grep -q 'Address already in use' driver.said || fail "not the port: $(cat driver.said)"
both set @0 listen-port 1
both show @0
grep -q 'No such device' driver.said || fail "not the device: $(cat driver.said)"
both set @ peer "$peer" allowed-ips 10.0.0.0/33
both set @ peer "$peer" endpoint 192.0.2.1
both set @ private-key rubbish
ok "wg says the same of both: a port that is taken, a device that is not there, what it refuses itself"
