#!/bin/sh
# Builds the tests of native/crates/simd for AArch64 and runs them under an emulator, on a CPU with
# the dot-product extension and on one without.
#
# Needs a Debian machine (or container). Missing packages are installed, which takes root. Debian's
# rustc-web is called by its path because it has a standard library for arm64; a toolchain installed
# by rustup stays the default.
set -eu

target=aarch64-unknown-linux-gnu
rustc=/usr/bin/rustc
linker=aarch64-linux-gnu-gcc
packages="rustc-web libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

crate=$(cd "$(dirname "$0")/../native/crates/simd" && pwd)

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  case $status in
    ii*) ;;
    *) missing="$missing $package" ;;
  esac
done

if [ -n "$missing" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "test-neon: needs Debian packages:$missing" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "test-neon: missing packages; as root, run:" >&2
    echo "  dpkg --add-architecture arm64 && apt-get update && apt-get install$missing" >&2
    exit 1
  fi
  dpkg --add-architecture arm64
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# Linked statically: the emulator would otherwise load the cross compiler's dynamic linker with the
# multiarch C library, and where the two differ in version threads hang.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

echo "test-neon: $("$rustc" --version), $target"
"$rustc" --test --edition 2024 --crate-name simd \
  --target "$target" -C linker="$linker" -C target-feature=+crt-static \
  -C opt-level=2 -C debug-assertions=on -D warnings \
  -o "$build/simd-tests" "$crate/src/lib.rs"

for cpu in max cortex-a72; do
  echo "test-neon: -cpu $cpu"
  qemu-aarch64 -cpu "$cpu" "$build/simd-tests" --quiet
done
