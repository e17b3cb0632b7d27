# Sourced after test.sh by the tests of the plugins: direct calls as libcni makes them, and the pool they use.

# make_pool NUMBER…: a folder of WireGuard files out of make_gateway's clients, in $pool.
make_pool() {
    local number
    pool=$test_folder/pool
    mkdir -p "$pool"
    chmod 700 "$pool"
    for number in "$@"; do install -m 600 "$test_folder/client$number.conf" "$pool/key$number.conf"; done
}

# container_namespace NAME: with lo up, as a runtime's loopback plugin leaves it. (Once up, lo keeps its address
# for ever, so only then two inventories can be equal.)
container_namespace() {
    ip netns add "$1"
    ip -n "$1" link set lo up
}

# forget_state: takes away what stays by design when no tunnel is left: when each key was released, and the floor of
# its handshake times. Anything else of ours that is left keeps the folder, and shows in the inventory.
forget_state() {
    rm -rf /run/swg-ns/leases /run/swg-ns/tai64n /run/swg-ns/log
    rmdir /run/swg-ns 2>/dev/null || true
}

# network [JQ-FILTER]: a network configuration with the pool, changed by the filter, in $test_folder/network.json.
network() {
    jq -n --arg pool "$pool" --arg backend "${SWG_BACKEND:-}" '{cniVersion: "1.0.0", name: "egress", type: "swg-cni",
        configDir: $pool} + if $backend == "" then {} else {engine: $backend} end' |
        jq "${1:-.}" >"$test_folder/network.json"
}

# cni VERB CONTAINER NAMESPACE [NAME=VALUE…]: one call with $test_folder/network.json on standard input. Its answer
# is $test_folder/answer, its log $test_folder/stderr, its status the function's.
cni() {
    local verb=$1 container=$2 namespace=$3
    shift 3
    # Through pipes, as a runtime does it: a daemon that kept one of them would make this wait for ever.
    (
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin CNI_COMMAND="$verb" CNI_CONTAINERID="$container" \
            CNI_NETNS="$namespace" CNI_IFNAME=eth0 CNI_PATH="$SWG_BIN:/usr/lib/cni" "$@" \
            timeout 120 "$SWG_BIN/swg-cni" <"$test_folder/network.json" 2> >(cat >"$test_folder/stderr") | cat >"$test_folder/answer"
        exit "${PIPESTATUS[0]}"
    )
}

# must COMMAND…: a call that has to succeed.
must() {
    "$@" || {
        cat "$test_folder/answer" "$test_folder/stderr"
        fail "$*"
    }
}

# refused CODE PATTERN COMMAND…: a call that has to fail with an error object of this code, whose text matches.
refused() {
    local code=$1 pattern=$2
    shift 2
    if "$@"; then fail "should have been refused: $*"; fi
    jq -e --argjson code "$code" '.code == $code and (.msg | length > 0) and (.cniVersion | type == "string")' \
        "$test_folder/answer" >/dev/null || {
        cat "$test_folder/answer" "$test_folder/stderr"
        fail "no error object with code $code: $*"
    }
    jq -r '.msg + " " + (.details // "")' "$test_folder/answer" | grep >/dev/null -Ei -- "$pattern" || {
        cat "$test_folder/answer"
        fail "the error does not say $pattern"
    }
}

# with_result: puts the last answer into network.json as prevResult.
with_result() {
    jq --slurpfile result "$test_folder/answer" '.prevResult = $result[0]' "$test_folder/network.json" >"$test_folder/network.new"
    mv "$test_folder/network.new" "$test_folder/network.json"
}

# behind_tunnel NAMESPACE [INTERFACE]: it pings and fetches through the tunnel, and has lo and the tunnel only.
behind_tunnel() {
    local namespace=$1 interface=${2:-eth0} links
    # More than one try: on a busy machine the first packet may come before the engine has heard that it is up.
    wait_until 12 ip netns exec "$namespace" ping -q -c 1 -W 3 10.99.0.1 || fail "no ping out of $namespace"
    wait_until 12 ip netns exec "$namespace" ping -q -c 1 -W 3 fd99::1 || fail "no IPv6 ping out of $namespace"
    ip netns exec "$namespace" curl -s -m 20 http://10.99.0.1/ | grep >/dev/null "behind the tunnel" ||
        fail "no fetch out of $namespace"
    links=$(ip -n "$namespace" -o link | awk -F': ' '{print $2}' | sort | tr '\n' ' ')
    [ "$links" = "$(printf '%s\nlo\n' "$interface" | sort | tr '\n' ' ')" ] || fail "$namespace holds $links"
}

# no_keys FILE…: no private key of the test stands in the files.
no_keys() {
    local number
    for number in 1 2 3; do
        ! grep -rqF -- "$(cat "$test_folder/client$number.key")" "$@" || fail "a private key stands in $*"
    done
}
