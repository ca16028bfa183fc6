#!/bin/sh
# Runs fuzz targets under libFuzzer and the address sanitizer:
#
#   sh native/fuzz/run.sh                            every target, ten minutes each
#   sh native/fuzz/run.sh index_open_search 3600     one target, so many seconds
#   sh native/fuzz/run.sh index_open_search FILE     one input again
#
# What was found to reach new code stays in native/fuzz/corpus and is where the next run begins; an input that fails is
# written to native/fuzz/artifacts. The stable compiler is told to accept the unstable flags that sanitizers need.
set -eu

version=0.13.2
target=${1:-all}
seconds=${2:-600}

if [ -f "$seconds" ]; then
  input=$(cd "$(dirname "$seconds")" && pwd)/$(basename "$seconds")
fi
cd "$(dirname "$0")"
home=$PWD/../target/tools/cargo-fuzz-$version
if [ ! -x "$home/bin/cargo-fuzz" ]; then
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
    cargo install --quiet --locked --version "$version" --root "$home" cargo-fuzz
fi
export PATH="$home/bin:$PATH" RUSTC_BOOTSTRAP=1

if [ -n "${input:-}" ]; then
  exec cargo fuzz run --fuzz-dir . "$target" "$input"
fi
if [ "$target" = all ]; then
  target=$(cargo fuzz list --fuzz-dir .)
fi
for name in $target; do
  echo "fuzz: $name, $seconds seconds"
  # No input justifies an allocation of 256 MiB, or a minute.
  cargo fuzz run --fuzz-dir . "$name" -- -max_total_time="$seconds" -max_len=250 -len_control=0 \
    -malloc_limit_mb=256 -rss_limit_mb=2048 -timeout=60 -verbosity=0 -print_final_stats=1
done
