#!/bin/bash
# limit: 400 s
# The same random operations on the driver and on our engine, side by side: after every few of them `wg showconf`
# and `wg show dump` say the same (allowed IPs sorted). SWG_SEED repeats a run.
source "$(dirname "$0")/../../lib/test.sh"
engine=${SWG_TEST_ENGINE:-swg-engine}
need wg "$engine"
seed=${SWG_SEED:-$((SRANDOM % 32768))}
rounds=${SWG_ROUNDS:-$([ -n "${SWG_FULL:-}" ] && echo 400 || echo 24)}
RANDOM=$seed
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND (seed $seed)"' ERR

ip netns add driver
ip netns add engine
ip -n driver link add k0 type wireguard
ip netns exec engine "$engine" e0 2>engine.log
wait_until 10 wg show e0 || fail "the engine does not start"

# The engine has a port from its start, the driver from the moment it goes up.
ip netns exec driver wg set k0 listen-port 19999
ip netns exec engine wg set e0 listen-port 19999

umask 077
for number in {0..3}; do wg genkey >"private.$number"; done
for number in {0..2}; do wg genpsk >"psk.$number"; done
peers=()
for number in {0..11}; do peers+=("$(wg genkey | wg pubkey)"); done
# A device's own public key as a peer is taken without a word, and has no effect.
peers+=("$(wg pubkey <private.0)" "$(wg pubkey <private.1)")

pick() { # pick WORD…: one of them, into $picked
    local index=$((RANDOM % $# + 1))
    picked=${!index}
}
random_prefixes() { # into $picked; overlapping, nested, with host bits set, of both families
    local list="" count=$((RANDOM % 5))
    while [ $count -gt 0 ]; do
        count=$((count - 1))
        case $((RANDOM % 6)) in
        0) list+=,0.0.0.0/0 ;;
        1) list+=,::/0 ;;
        2) list+=,10.$((RANDOM % 3)).$((RANDOM % 4)).$((RANDOM % 8))/$((RANDOM % 33)) ;;
        3) list+=,192.168.$((RANDOM % 4)).0/24 ;;
        4) list+=,fd00:$((RANDOM % 4))::$((RANDOM % 8))/$((RANDOM % 129)) ;;
        5) list+=,10.9.$((RANDOM % 4)).$((RANDOM % 4)) ;;
        esac
    done
    picked=${list#,}
}
random_endpoint() {
    pick "192.0.2.$((RANDOM % 255)):$((RANDOM % 65535 + 1))" "[2001:db8::$((RANDOM % 99))]:$((RANDOM % 65535 + 1))"
}

random_set() { # into the array operation: the arguments of `wg set DEVICE`
    local count=$((RANDOM % 14))
    operation=()
    [ $((RANDOM % 8)) != 0 ] || { pick private.{0..3} /dev/null && operation+=(private-key "$picked"); }
    [ $((RANDOM % 6)) != 0 ] || operation+=(listen-port $((20000 + RANDOM % 5000)))
    [ $((RANDOM % 6)) != 0 ] || { pick 0 1 0xca6c 4294967295 && operation+=(fwmark "$picked"); }
    while [ $count -gt 0 ]; do
        count=$((count - 1))
        pick "${peers[@]}"
        operation+=(peer "$picked")
        if [ $((RANDOM % 7)) = 0 ]; then
            operation+=(remove)
            continue
        fi
        [ $((RANDOM % 3)) != 0 ] || { pick psk.{0..2} /dev/null && operation+=(preshared-key "$picked"); }
        [ $((RANDOM % 3)) != 0 ] || { random_endpoint && operation+=(endpoint "$picked"); }
        [ $((RANDOM % 3)) != 0 ] || { pick 0 off 1 25 65535 && operation+=(persistent-keepalive "$picked"); }
        [ $((RANDOM % 2)) != 0 ] || { random_prefixes && operation+=(allowed-ips "$picked"); }
    done
}
random_file() { # a configuration for setconf, addconf and syncconf
    local count=$((RANDOM % 16))
    {
        echo "[Interface]"
        pick private.{0..3}
        [ $((RANDOM % 3)) = 0 ] || echo "PrivateKey = $(<$picked)"
        echo "ListenPort = $((20000 + RANDOM % 5000))"
        [ $((RANDOM % 2)) != 0 ] || echo "FwMark = $((RANDOM % 3))"
        while [ $count -gt 0 ]; do
            count=$((count - 1))
            pick "${peers[@]}"
            echo "[Peer]"
            echo "PublicKey = $picked"
            pick psk.{0..2}
            [ $((RANDOM % 3)) != 0 ] || echo "PresharedKey = $(<$picked)"
            random_endpoint
            [ $((RANDOM % 2)) != 0 ] || echo "Endpoint = $picked"
            [ $((RANDOM % 3)) != 0 ] || echo "PersistentKeepalive = $((RANDOM % 3 * 20))"
            random_prefixes
            [ -z "$picked" ] || echo "AllowedIPs = $picked"
        done
    } >random.conf
}

# One line per peer in the order told, then one per allowed IP, sorted: the two keep them in tries of different shape.
sorted_dump() { # sorted_dump DEVICE NAMESPACE
    ip netns exec "$2" wg show "$1" dump | awk -F '\t' '{
        # The public key tells of the private one.
        if (NR == 1) $1 = ""
        count = $4 ~ "/" ? split($4, prefixes, ",") : 0
        if (count) $4 = ""
        print NR, "peer", $0
        for (i = 1; i <= count; i++) print NR, "with", prefixes[i]
    }' | sort
}
sorted_conf() { # sorted_conf DEVICE NAMESPACE
    ip netns exec "$2" wg showconf "$1" | awk '{
        if (sub(/^AllowedIPs = /, "")) {
            count = split($0, prefixes, ", ")
            for (i = 1; i <= count; i++) print NR, "AllowedIPs", prefixes[i]
        } else print NR, $0
    }' | sort
}
compare() { # compare ROUND
    [ -z "${SWG_SORT_PEERS:-}" ] || return 0
    diff <(sorted_dump k0 driver) <(sorted_dump e0 engine) >difference ||
        { cat difference history; fail "wg show dump differs in round $1 (seed $seed): < driver, > engine"; }
    diff <(sorted_conf k0 driver) <(sorted_conf e0 engine) >difference ||
        { cat difference history; fail "wg showconf differs in round $1 (seed $seed): < driver, > engine"; }
}

operations=0
for ((round = 1; round <= rounds; round++)); do
    if [ $((RANDOM % 5)) = 0 ]; then
        random_file
        pick setconf addconf syncconf
        verb=$picked
        operations=$((operations + 1 + $(grep -c "^.Peer" random.conf || true)))
        {
            echo "$verb"
            sed 's/Key = .*/Key = …/' random.conf
        } >>history
        left=0 right=0
        ip netns exec driver wg $verb k0 random.conf 2>driver.error || left=$?
        ip netns exec engine wg $verb e0 random.conf 2>engine.error || right=$?
    else
        random_set
        operations=$((operations + ${#operation[@]} / 2))
        echo "set ${operation[*]}" >>history
        left=0 right=0
        [ ${#operation[@]} = 0 ] && continue
        ip netns exec driver wg set k0 "${operation[@]}" 2>driver.error || left=$?
        ip netns exec engine wg set e0 "${operation[@]}" 2>engine.error || right=$?
    fi
    [ $left = $right ] || {
        cat driver.error engine.error
        tail -n 1 history
        fail "the driver's answer is $left, the engine's $right (seed $seed)"
    }
    if [ $((round % 8)) = 0 ]; then
        compare $round
        : >history
    fi
done
compare $rounds
ok "$operations random operations, the same configuration and dump after each eight (seed $seed)"
