# shellcheck shell=bash
# shellcheck disable=SC2034  # scripts/bench uses MEASURED, CHECK, REBUILD and WORDS
# What scripts/bench starts: an issuer's key and tokens, a policy, a sidecar and an Envoy for each row.
# DEMO (see demo.sh) is the folder of this run.

BENCH_PEOPLE=100
BENCH_DEPARTMENTS=(営業部 人事部 システム部 経理部)
BENCH_TENANT=8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab
BENCH_ISSUER=https://login.bench.example/$BENCH_TENANT/v2.0
BENCH_AUDIENCE=api://sekisho
BENCH_PATH=/v1/chat/completions
# The rows that only check tokens send requests without a body, whose model stands in the path.
BENCH_TOKEN_PATH=/openai/deployments/whisper/audio/transcriptions
MEASURED=()
NEXT_PORT=

# take_option COMMAND NUMBERS ARGUMENT...: takes an option that COMMAND has in common with others: `--check` into CHECK,
# `--no-build` into REBUILD, a number into that one of the variables NUMBERS that it is called by. WORDS: how many arguments that were.
take_option() {
    local command=$1 numbers=$2 variable
    shift 2
    WORDS=1
    case $1 in
    --check) CHECK=(--check) && return ;;
    --no-build) REBUILD='' && return ;;
    esac
    for variable in $numbers; do
        [[ $1 == "--${variable,,}" ]] || continue
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a number"
        printf -v "$variable" %s "$2"
        WORDS=2
        return
    done
    die "unknown argument \`$1\`; see $command --help"
}

# Puts the rows without filters right before the first row that is compared with them, each row once.
add_bare_rows() {
    local row rows=()
    for row in "${ROWS[@]}"; do
        if checks_tokens "$row"; then
            rows+=(token-bare "$row")
        elif is_payload "$row"; then
            rows+=(bare gateway-relaxed "${row%-bare}-bare" "${row%-bare}")
        else
            rows+=(bare "$row")
        fi
    done
    mapfile -t ROWS < <(printf '%s\n' "${rows[@]}" | awk '!seen[$0]++')
}

take_port() {
    local port=$NEXT_PORT
    NEXT_PORT=$((NEXT_PORT + 1))
    port_is_free "$port" || die "port $port is taken by another program; stop that, or move ours with SEKISHO_BENCH_PORT=<first of 40 free ports>"
    TAKEN=$port
}

take_row_ports() {
    take_port
    ROW_PORT=$TAKEN
    take_port
    ADMIN_PORT=$TAKEN
}

prepare_bench() {
    NEXT_PORT=$BENCH_PORT
    BENCH_ENVOY=$(envoy_bin) || die "Envoy is not set up; run scripts/setup --only envoy"
    make_issuer
    make_people
    make_body
    take_port
    UPSTREAM_PORT=$TAKEN
    launch upstream "$BUILT/sekisho-demo-providers" --bench "$UPSTREAM_PORT"
    wait_until upstream 20 port_answers "$UPSTREAM_PORT"
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

make_issuer() {
    have openssl || die "openssl is needed for the tokens' key; install it (on Debian: apt-get install openssl)"
    local modulus
    # By way of PEM, because what genpkey itself writes as DER depends on its version.
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null |
        openssl pkcs8 -topk8 -nocrypt -outform DER -out "$DEMO/issuer.der"
    modulus=$(openssl rsa -inform DER -in "$DEMO/issuer.der" -noout -modulus)
    modulus=$(printf '%s' "${modulus#Modulus=}" | basenc --decode --base16 | base64url)
    printf '{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"bench","n":"%s","e":"AQAB"}]}' "$modulus" >"$DEMO/jwks.json"
}

# People evenly over the departments, with a token each.
make_people() {
    local number
    echo user_id,name,email,department,job_title,phone,start_date,end_date,object_id,status >"$DEMO/people.csv"
    for ((number = 0; number < BENCH_PEOPLE; number++)); do
        printf '%04d,Person %d,person%d@bench.example,%s,,,2023/04/01,,5e6c7d80-91ab-4f00-8a00-%012d,active\n' \
            "$number" "$number" "$number" "${BENCH_DEPARTMENTS[number % ${#BENCH_DEPARTMENTS[@]}]}" "$number"
    done >>"$DEMO/people.csv"
    sign_tokens "$BENCH_PEOPLE" >"$DEMO/tokens"
}

# sign_tokens COUNT -> so many distinct tokens
sign_tokens() {
    "$BUILT/sekisho-bench" tokens --key "$DEMO/issuer.der" --people "$DEMO/people.csv" --issuer "$BENCH_ISSUER" \
        --audience "$BENCH_AUDIENCE" --tenant "$BENCH_TENANT" --scope text_apis --issued-at "$(date +%s)" --count "$1"
}

# A chat completion of about 1 kB; as the SDKs send it, the model stands behind the messages.
make_body() {
    printf '{"messages":[{"role":"system","content":"%s"},{"role":"user","content":"%s"}],"model":"gpt-4o","max_tokens":256,"temperature":0.2,"stream":false}' \
        "You are an assistant of a sales department. Answer briefly, politely, and in the language of the question; say so when you do not know. Never name customers, prices that are not public, or people who did not agree to it." \
        "Please write a short note to a customer who asks why the delivery of order 1047 is late. The parts come from two factories; one of them had to stop for three days because of a typhoon, and the carrier needs one day more than planned since a bridge is closed. The order now arrives on Thursday instead of Monday. Offer to send the half that is ready at once, at our cost, and ask which of the two they prefer. The customer has been with us for eleven years and has always paid in time, so please be warm, but do not promise a discount. Close with the name of the department and the telephone number of the front desk, and mention that questions are answered on weekdays from nine to five." \
        >"$DEMO/body.json"
}

# bench_policy relaxed|strict [BUDGETS]: so many of each department, of five; three if nothing is said
bench_policy() {
    local mode=$1 budgets=${2:-3} department
    policy_head
    cat <<END
upstreams:
  - {name: llm, provider: openai, url: "http://127.0.0.1:$UPSTREAM_PORT"}
apis:
  - name: openai
    provider: openai
    operations: [chat_completions]
    scope: text_apis
    models: [{name: gpt-4o, scope: gpt_api, upstream: llm}]
END
    ((budgets == 0)) || echo budgets:
    for department in sales hr systems accounting; do
        head -n "$budgets" <<END
  - {id: $department-requests, department: $department, meter: requests, window: minute, limit: 100000000}
  - {id: $department-tokens, department: $department, meter: tokens, window: day, limit: 1000000000000}
  - {id: $department-cost, department: $department, meter: cost, window: month, limit: 1000000000}
  - {id: $department-output, department: $department, meter: output_tokens, window: hour, limit: 1000000000000}
  - {id: $department-model, department: $department, model: gpt-4o, meter: requests, window: day, limit: 1000000000000}
END
    done
    cat <<END
prices:
  - {model: gpt-4o, from: 2024-10-01, input_per_million: 375, output_per_million: 1500}
audit: {mode: $mode}
limits: {request_body_bytes: 33554432, ack_timeout_millis: 5000}
END
}

# The same issuer, scopes and departments for a filter without a sidecar: tokens alone decide.
token_policy() {
    policy_head
    cat <<END
directory: none
upstreams:
  - {name: llm, provider: azure_openai, url: "http://127.0.0.1:$UPSTREAM_PORT"}
apis:
  - name: speech
    provider: azure_openai
    operations: [audio_transcriptions]
    scope: text_apis
    models: [{name: whisper, scope: gpt_api, upstream: llm}]
prices:
  - {model: whisper, from: 2024-10-01, input_per_million: 0, output_per_million: 0, per_request: 1}
END
}

policy_head() {
    cat <<END
version: 1
organisation: Bench K.K.
time_zone: Asia/Tokyo
currency: JPY
scopes: {all_apis: , text_apis: all_apis, gpt_api: text_apis}
issuers:
  - issuer: $BENCH_ISSUER
    tenant: $BENCH_TENANT
    audiences: ["$BENCH_AUDIENCE"]
    department_claim: department
    jwks: $(cat "$DEMO/jwks.json")
departments:
  - {id: sales, name: 営業部, entitlements: [text_apis]}
  - {id: hr, name: 人事部, entitlements: [text_apis]}
  - {id: systems, name: システム部}
  - {id: accounting, name: 経理部, entitlements: [text_apis]}
END
}

# start_row NAME: its sidecar if it has one, its Envoy; adds it to MEASURED
start_row() {
    # shellcheck disable=SC2153  # paths.sh sets it
    local row=$1 filters=$FILTERS mode=relaxed modules=gateway budgets=3
    case $row in
    json-*-bare | sse-*-bare | upload-*-bare) measure_again "$row" bare && return ;;
    json-* | sse-* | upload-*) measure_again "$row" gateway-relaxed && return ;;
    bare | floor | native | token-* | native-*) start_baseline "$row" && return ;;
    gateway-relaxed) ;;
    gateway-no-budgets) budgets=0 ;;
    gateway-five-budgets) budgets=5 ;;
    gateway-strict) mode=strict ;;
    gateway-relaxed-before) filters=$AGAINST ;;
    gateway-strict-before) mode=strict filters=$AGAINST ;;
    modules) modules=separate ;;
    *) die "there is no row \`$row\`; see scripts/bench --help" ;;
    esac
    local dir=$DEMO/$row link
    take_row_ports
    mkdir -p "$dir"
    bench_policy "$mode" "$budgets" >"$dir/sekisho.yaml"
    "$BUILT/sekisho" users import "$DEMO/people.csv" --policy "$dir/sekisho.yaml" --db "sqlite:$dir/sekisho.db" \
        >"$dir/import.log" || die "the bench's people could not be imported: $(tail -n 3 "$dir/import.log")"
    # As where sidecar and Envoy are on one machine. Its path has 107 bytes at most, whatever this clone is called.
    link=unix:$SOCKETS/$row
    take_port
    launch "$row-sidecar" "$BUILT/sekisho" serve --policy "$dir/sekisho.yaml" --db "sqlite:$dir/sekisho.db" \
        --state "$dir" --api "127.0.0.1:$TAKEN" --link "$link"
    wait_until "$row-sidecar" 20 url_answers "http://127.0.0.1:$TAKEN/v1/system/health"
    render_row "$dir/sekisho.yaml" "$link" none --filters "$filters" --modules "$modules" >"$dir/envoy.yaml"
    start_row_envoy "$row" "$dir/envoy.yaml" "$row-sidecar"
}

# measure_again NAME ROW: what ROW has started, under another name
measure_again() {
    local measured
    for measured in "${MEASURED[@]}"; do
        [[ $measured != "$2="* ]] || MEASURED+=(--row "$1=${measured#*=}")
    done
}

# Made from the same policy as the others, with all or most of our filters taken out of it.
start_baseline() {
    local row=$1 dir=$DEMO/$1 log=none filters
    local native=(--issuer "$BENCH_ISSUER" --audience "$BENCH_AUDIENCE" --jwks "$DEMO/jwks.json")
    take_row_ports
    mkdir -p "$dir"
    case $row in
    bare | token-bare) filters=(none) ;;
    native)
        log=$dir/access.log
        filters=(native "${native[@]}" --scope text_apis)
        ;;
    native-cached) filters=(jwt-cached "${native[@]}") ;;
    native-first-seen) filters=(jwt "${native[@]}") ;;
    token-cached | token-first-seen) filters=(scope --policy "$dir/sekisho.yaml") ;;
    floor) filters=(module --module "$FILTERS/floor-chain.wasm") ;;
    token-floor) filters=(module --module "$FILTERS/floor-token.wasm") ;;
    *) die "there is no row \`$row\`; see scripts/bench --help" ;;
    esac
    case $row in
    bare | native | floor) bench_policy relaxed ;;
    *) token_policy ;;
    esac >"$dir/sekisho.yaml"
    render_row "$dir/sekisho.yaml" 127.0.0.1:1 "$log" --filters "$FILTERS" --modules separate >"$dir/rendered.yaml"
    "$BUILT/sekisho-bench" baseline --rendered "$dir/rendered.yaml" --cluster llm --filters "${filters[@]}" >"$dir/envoy.yaml"
    start_row_envoy "$row" "$dir/envoy.yaml"
}

# render_row POLICY LINK ACCESS-LOG OPTIONS...
render_row() {
    local policy=$1 link=$2 log=$3
    shift 3
    "$BUILT/sekisho" render envoy --policy "$policy" --listen "127.0.0.1:$ROW_PORT" --admin "127.0.0.1:$ADMIN_PORT" \
        --link "$link" --secrets "$DEMO" --access-log "$log" "$@"
}

# start_row_envoy ROW CONFIGURATION [SIDECAR]
start_row_envoy() {
    local row=$1 config=$2 sidecar=${3:-} process
    launch "$row" "$BENCH_ENVOY" -c "$config" --concurrency 1 --log-level warning --disable-hot-restart
    wait_until "$row" 120 row_answers "$row" "$ROW_PORT"
    process=$(cat "$DEMO/pid/$row")
    [[ -z $sidecar ]] || process+=:$(cat "$DEMO/pid/$sidecar")
    MEASURED+=(--row "$row=$ROW_PORT:$process")
}

# row_answers ROW PORT
row_answers() {
    local request=(-H 'Content-Type: application/json' --data-binary "@$DEMO/body.json" "http://127.0.0.1:$2$BENCH_PATH")
    ! checks_tokens "$1" || request=(-X POST -H 'Content-Length: 0' "http://127.0.0.1:$2$BENCH_TOKEN_PATH")
    curl -fsS -o /dev/null --max-time 5 -H "Authorization: Bearer $(head -n 1 "$DEMO/tokens")" "${request[@]}"
}

# Whether the row does nothing but that.
checks_tokens() { [[ $1 == token-* || $1 == native-* ]]; }

# Whether the row is another's gateway under other requests.
is_payload() { [[ $1 == json-* || $1 == sse-* || $1 == upload-* ]]; }

# Everything that was started here, and what it wrote but the logs.
stop_bench() {
    local file pid
    for file in "$DEMO"/pid/*; do
        pid=$(cat "$file" 2>/dev/null) || continue
        kill -KILL -- "-$pid" 2>/dev/null || true
        # So that the shell does not report each as killed.
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$OUT/last" "${SOCKETS:-$OUT/last}"
    mv "$DEMO" "$OUT/last" 2>/dev/null || true
    find "$OUT/last" -name '*.db*' -delete 2>/dev/null || true
}
