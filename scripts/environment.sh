# Sourced by the other scripts: where things are, and what must not leak in from outside.
# Sets root, tools, target; puts the project's tools first on PATH; goes to the root.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

# Tools that cargo builds: Trunk, wasm-bindgen, cargo-deny.
tools="${TICKCAST_TOOLS:-$root/.tools}"
mkdir -p "$tools"
tools="$(cd "$tools" && pwd)"
export TICKCAST_TOOLS="$tools"
target="${CARGO_TARGET_DIR:-$root/target}"

# A shell that was open when rustup was installed does not have it on PATH yet.
export PATH="$tools/bin:$root/node_modules/.bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

# Leptos reads these when it is compiled and again when it runs; the project sets everything itself.
unset LEPTOS_OUTPUT_NAME LEPTOS_SITE_ROOT LEPTOS_SITE_PKG_DIR LEPTOS_SITE_ADDR LEPTOS_ENV \
    LEPTOS_HASH_FILES LEPTOS_WATCH
# It would send cargo's output elsewhere than the scripts look.
unset CARGO_BUILD_TARGET
# Trunk takes only true and false for it.
[ -z "${NO_COLOR:-}" ] || export NO_COLOR=true

trunk_version=0.21.14
wasm_bindgen_version=0.2.130
cargo_deny_version=0.20.2

# Prints what is going on, apart from what the programs print.
say() {
    if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi
}

# install_debian WHAT PACKAGE...: as root, or by a sudo that does not ask; fails where neither may.
install_debian() {
    local what="$1" as_root=()
    shift
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "$what, from the distribution"
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get install -y -qq --no-install-recommends "$@")
    "${install[@]}" >&2 || { "${as_root[@]}" apt-get update -qq >&2 && "${install[@]}" >&2; }
}

# Ends with one line: what is missing or wrong, and what to do.
die() {
    printf '%s\n' "$*" >&2
    exit 2
}
