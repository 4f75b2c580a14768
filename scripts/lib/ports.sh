# shellcheck shell=bash
# Where the demo listens, all on 127.0.0.1. Each can be moved by its environment variable.

export SEKISHO_GATEWAY_PORT=${SEKISHO_GATEWAY_PORT:-10000}
export SEKISHO_GATEWAY_TLS_PORT=${SEKISHO_GATEWAY_TLS_PORT:-10443}
export SEKISHO_API_PORT=${SEKISHO_API_PORT:-8080}
export SEKISHO_LINK_PORT=${SEKISHO_LINK_PORT:-9902}
export SEKISHO_ENVOY_ADMIN_PORT=${SEKISHO_ENVOY_ADMIN_PORT:-9901}
export SEKISHO_IDENTITY_PORT=${SEKISHO_IDENTITY_PORT:-8090}
export SEKISHO_PROVIDERS_PORT=${SEKISHO_PROVIDERS_PORT:-8091}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# require_free_port NAME-OF-VARIABLE
require_free_port() {
    port_is_free "${!1}" || die "port ${!1} is taken by another program; stop that, or move ours with $1=<port>"
}
