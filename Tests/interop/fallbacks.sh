#!/bin/bash
# What a kernel or a path may lack, found out at run time: offloads of the TUN, UDP_GRO, large socket buffers, a path
# for full datagrams. Bulk traffic in both directions arrives all the same.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/pair.sh"
need wg ping python3 iperf3 ss
old_kernel=$(realpath "$(dirname "$0")/../lib/old-kernel")

make_pair swg-engine swg-engine
in_b iperf3 -s -D --logfile server.log
wait_until 5 sh -c 'ip netns exec b ss -Hltn | grep >/dev/null :5201' || fail "no iperf3 server"
# Between two tests the server opens its socket anew, and who has come too early is sent away.
traffic() { # traffic OPTIONS…: of iperf3
    for _ in 1 2 3 4 5; do
        in_a timeout 60 iperf3 "$@" >client.log 2>&1 && return
        grep -qE '(control message|connect to server): Connection reset|server is busy|Connection refused' client.log || return 1
        sleep 0.2
    done
    return 1
}
bulk() { # bulk WHAT [BYTES]
    local direction family
    for family in 10.0.0.2 fd00::2; do
        for direction in "" -R; do
            traffic -c $family -n "${2:-16M}" $direction --connect-timeout 5000 ||
                fail "$1: TCP to $family $direction: $(cat client.log)"
        done
    done
    # A UDP super-packet, where the kernel makes one.
    traffic -c 10.0.0.2 -u -b 8M -t 1 -l 1300 || fail "$1: UDP: $(cat client.log)"
}
with() { # with WHAT…: A's engine starts anew on a kernel that refuses them
    kill -TERM "$(monitor wga)"
    # Its link goes a moment before its socket.
    wait_until 3 sh -c '! ip -n a link show wga 2>/dev/null && ! ip netns exec a ss -Huln | grep :1111' ||
        fail "the old engine stays"
    printf '#!/bin/sh\nexec "%s" %s -- swg-engine "$@"\n' "$old_kernel" "$*" >engine
    chmod +x engine
    start_engine a "$PWD/engine"
    wg set wga private-key a.key listen-port 1111 peer "$b_public" allowed-ips 10.0.0.2/32,fd00::2/128 endpoint 192.0.2.2:2222
    expect_ping a 10.0.0.2
    [ "$(awk '/^Seccomp:/ { print $2 }' /proc/"$(monitor wga)"/status)" = 2 ] || fail "the kernel is not old"
}

wg set wga peer "$b_public" endpoint 192.0.2.2:2222
expect_ping a 10.0.0.2
bulk "nothing lacking"
for lacking in uso tso checksum gro "checksum gro"; do
    with $lacking
    bulk "without $lacking"
    ok "without $lacking: bulk traffic in both directions"
done
with force
[ "$(in_a ss -Huanm 'sport = :1111' | grep -c 'rb14680064')" = 0 ] || fail "the buffers are large"
bulk "small socket buffers"
ok "small socket buffers"

# A path that takes no full datagram: the train is refused (EMSGSIZE, EINVAL), each datagram goes alone, in fragments.
with force
worker=$(workers wga)
for side in a b; do ip -n $side link set v$side mtu 1300; done
bulk "a narrow path" 2M
[ "$(workers wga)" = "$worker" ] || fail "the worker died: $(cat a.log)"
ok "a path narrower than the datagrams"
for side in a b; do ip -n $side link set v$side mtu 1500; done
bulk "a path as before" 2M
ok "the path is wide again"
