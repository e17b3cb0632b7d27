#!/bin/bash
# early
# PrivateKeyCommand and its like: right, failing, silent, stuck half-way; each ends, with an error that says so.
# Tunnels whose configuration came from a pipe: what repair and set can do for them.
source "$(dirname "$0")/../lib/test.sh"
make_gateway
conf=$test_folder/client1.conf
with_command() { # with_command COMMAND: the file with the key from it
    sed "s|^PrivateKey = .*|PrivateKeyCommand = $1|" "$conf" >"$test_folder/command.conf"
    chmod 600 "$test_folder/command.conf"
}
ip netns add blue
inventory >"$test_folder/before"
with_command "cat $test_folder/client1.key"
swg-ns attach "$test_folder/command.conf" --netns blue --engine userspace --quiet --wait
swg-ns detach command --quiet
ok "a key from a command"

refused() { # refused PATTERN COMMAND
    with_command "$2"
    expect_status 1 swg-ns attach "$test_folder/command.conf" --netns blue --engine userspace
    expect_output "$1"
}
refused 'PrivateKeyCommand.*status 3.*try it by hand' 'exit 3'
refused 'PrivateKeyCommand.*status 127' 'no-such-password-manager'
refused 'PrivateKey: ' 'echo not-a-key'
refused 'has no PrivateKey' 'true'
half=$(head -c 20 "$test_folder/client1.key")
for words in "printf $half; sleep 60" "printf $half \| cat; sleep 61" "cat $test_folder/client1.key; (sleep 62) \& exec sleep 63" "sleep 64"; do
    with_command "$words"
    (
        status=0
        swg-ns attach "$test_folder/command.conf" --netns blue --engine userspace --id "h${#words}" >"$test_folder/half${#words}" 2>&1 || status=$?
        echo "status $status" >>"$test_folder/half${#words}"
    ) &
    # Each has read its file by the time the next one is written.
    wait_until 5 pgrep -f "sleep ${words: -2}" || true
    sleep 0.3
done
begin=$SECONDS
wait
[ $((SECONDS - begin)) -lt 40 ] || fail "a stuck key command was waited for $((SECONDS - begin)) s"
for file in "$test_folder"/half*; do
    grep -q 'status 1' "$file" || fail "$(cat "$file")"
    grep -q 'PrivateKeyCommand.*ETIMEDOUT.*within 10 s: try it by hand' "$file" || fail "$(cat "$file")"
    if grep -qF "$half" "$file"; then fail "P3: half a key is in the error"; fi
done
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
wait_until 5 sh -c '! pgrep -f "sleep 6[[:digit:]]"' || fail "a stuck command's children live on"
ok "P3, P6: commands that fail, say nothing, or hang with half a key end in time, with the cure, and leave nothing"

cat "$conf" | swg-ns attach - --netns blue --engine userspace --quiet --wait
kill -KILL "$(pgrep -f 'swg-engine -f stdin$')"
wait_until 5 sh -c "swg-ns list | grep broken"
expect_status 1 swg-ns repair stdin
expect_output 'made from a pipe, and its engine, which alone had the key, has ended; .*swg-ns repair stdin CONFIG'
sed 's/^PrivateKey.*/PrivateKey = '"$(wg genkey | tr / -| sed 's/-/\\\//g')"'/' "$conf" >"$test_folder/other.conf"
chmod 600 "$test_folder/other.conf"
expect_status 1 swg-ns repair stdin "$test_folder/other.conf"
expect_output 'another private key'
sed '/^AllowedIPs/{s/= /&+/;s/, */, +/g}' "$conf" >"$test_folder/changes.conf"
expect_status 0 swg-ns repair stdin - <"$test_folder/changes.conf"
expect_output '^stdin: remade$'
expect_output 'warning: AllowedIPs with . and - are changes .* begins without any'
ip netns exec blue ping -q -c 2 -i 0.2 -W 5 10.99.0.1 >/dev/null || fail "no answer after repair"
expect_status 1 swg-ns set stdin
expect_output 'swg-ns set stdin CONFIG'
[ "$(swg-ns set stdin "$conf" 2>/dev/null)" = "nothing to change" ] || fail "set from a file"
# Alive, it gives its configuration away itself.
[ "$(swg-ns repair stdin --replace)" = "stdin: replaced" ] || fail "a live engine is not replaced without a file"
ip netns exec blue ping -q -c 2 -i 0.2 -W 5 10.99.0.1 >/dev/null || fail "no answer after the engine was replaced"
swg-ns detach stdin --quiet
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "a tunnel from a pipe: a live engine is replaced, a dead one needs the configuration again, and repair says how"
