#!/bin/bash
# Every key of the network configuration with every kind of value: taken, or an error object with the specification's
# code that names the key and the value. Asked with STATUS, which reads as strictly as ADD and makes nothing.
source "$(dirname "$0")/../lib/test.sh"
source "$(dirname "$0")/../lib/cni.sh"
mkdir -p "$test_folder/pool"
chmod 700 "$test_folder/pool"
wg_key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
printf '[Interface]\nPrivateKey = %s\nAddress = 10.99.0.2/32\n' "$wg_key" >"$test_folder/pool/key1.conf"
chmod 600 "$test_folder/pool/key1.conf"
values=(null true false 0 -1 1420 1e30 1.5 '""' '"x"' '"x/../y"' '"\u0000"' '[]' '["x"]' '[1]' '{}' '{"a":1}')
inventory >"$test_folder/before"
count=0

# status KEY VALUE: STATUS of a network with this member; its answer in $answer. Three hundred of them: no process but
# the plugin's own.
declare -A base=([cniVersion]='"1.1.0"' [name]='"egress"' [type]='"swg-cni"' [configDir]='"/run/test/pool"' [engine]='"userspace"')
status() {
    local key text="\"$1\": $2" result=0
    for key in "${!base[@]}"; do [ "$key" = "$1" ] || text+=", \"$key\": ${base[$key]}"; done
    CNI_COMMAND=STATUS CNI_PATH=$SWG_BIN "$SWG_BIN/swg-cni" <<<"{$text}" >"$test_folder/answer" 2>"$test_folder/stderr" || result=$?
    answer=$(<"$test_folder/answer")
    return $result
}

# key | values that are taken (numbers of the list above) | code of the others
while IFS='|' read -r key good code; do
    for index in "${!values[@]}"; do
        value=${values[$index]}
        count=$((count + 1))
        if [[ " $good " = *" $index "* ]]; then
            status "$key" "$value" || fail "$key: $value is refused: $answer"
            [ -z "$answer" ] || fail "STATUS prints something: $answer"
            continue
        fi
        wanted=$code
        # Without a version it is 0.1.0, which has no STATUS; one that nobody speaks is incompatible too.
        [ "$key" = cniVersion ] && case $value in null | \"*) wanted=1 ;; esac
        ! status "$key" "$value" || fail "$key: $value is taken"
        [[ $answer = *"\"code\":$wanted,"* && $answer = *"$key"* ]] || fail "$key: $value gives no error with code $wanted: $answer"
        case $key:$value in
        # Told in other words, or in another spelling of the number.
        config:* | byName:true | *:null | *:1e30 | *'\u0000'* | cniVersion:\"\" | ipam:*) ;;
        *) [[ $answer = *"${value//\"/\\\"}"* ]] || fail "the error does not show the value of $key: $value: $answer" ;;
        esac
    done
done <<'TABLE'
cniVersion||7
name|9|7
config|0|7
configDir||7
engine|0|7
mtu|0 5|7
soleInterface|0 1 2|7
exhaustedIsReady|0 1 2|7
byName|0 2|7
waitForHandshake|0 1 2 7|7
stateDir|0|7
allowChoice|0 12 13|7
ipam|0 15|7
dns|0 15 16|7
args|0 15 16|7
runtimeConfig|0 15 16|7
prevResult|0 15 16|7
TABLE
ok "$count pairs of key and value"

# In another case, or one letter off: told what was meant. Far off: another plugin's business.
for key in config configDir engine mtu soleInterface waitForHandshake stateDir exhaustedIsReady allowChoice byName; do
    for slip in "${key^^}" "${key}x" "_$key"; do
        ! status "$slip" '"x"' || fail "$slip is taken"
        [[ $answer = *'"code":7,'* && $answer = *"$slip"*"did you mean"* ]] || fail "$slip: $answer"
    done
done
status bridge '"x"' || fail "a foreign key is refused: $answer"
ok "mis-spelt and mis-cased keys, foreign ones"

# A key in any field is refused, or passed over, but never printed.
for key in config configDir engine name stateDir mtu allowChoice privateKey foreign; do
    status "$key" "\"$wg_key\"" || true
    ! grep -qF "$wg_key" "$test_folder/answer" "$test_folder/stderr" || fail "a key in $key is printed"
done
ok "a key in the wrong field is not printed"
inventory >"$test_folder/after"
same_inventory "$test_folder/before" "$test_folder/after"
ok "nothing is left behind"
