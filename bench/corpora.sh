#!/usr/bin/env bash
# Makes the trees that the benchmarks store, of real data: bench/corpora.sh FOLDER [NAME...]
#   rootfs-a      a minimal Debian (debootstrap), about 5,200 files
#   rootfs-b      the same with git, perl, python and what they need unpacked into it
#   node_modules  a large npm tree, some 90,000 files
#   bigfile       one file of 2 GiB: /usr, archived again and again
# What is there is kept. Needs root, and for the first two debootstrap and apt-get.
set -euo pipefail
folder=$(realpath -m "${1:?usage: corpora.sh FOLDER [NAME...]}")
shift
names=("$@")
((${#names[@]})) || names=(rootfs-a rootfs-b node_modules bigfile)
mkdir -p "$folder"

make_rootfs-a() {
  debootstrap --variant=minbase bookworm "$1" >&2
  rm -f "$1"/var/cache/apt/archives/*.deb
}

make_rootfs-b() {
  [ -d "$folder/rootfs-a" ] || make rootfs-a
  cp -a "$folder/rootfs-a" "$1"
  local debs="$folder/debs.part"
  mkdir -p "$debs/partial"
  apt-get -qq -y --download-only --no-install-recommends \
    -o Dir::State::status="$1/var/lib/dpkg/status" -o Dir::Cache::archives="$debs" \
    install git perl python3 curl openssh-client less >&2
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$1"; done
  rm -r "$debs"
}

make_node_modules() {
  local project="$folder/project.part"
  mkdir "$project"
  echo '{"name":"corpus","version":"1.0.0","private":true}' >"$project/package.json"
  npm --prefix "$project" install --silent --ignore-scripts --no-audit --no-fund \
    @aws-sdk/client-{dynamodb,ec2,iam,lambda,s3} @babel/{core,preset-env} \
    @emotion/{react,styled} @mui/{icons-material,material} core-js date-fns eslint jest \
    lodash lodash-es next prettier react react-dom rollup rxjs typescript vite webpack >&2
  mv "$project/node_modules" "$1"
  rm -r "$project"
}

make_bigfile() {
  mkdir "$1"
  local file="$1/big.bin" turn=0
  : >"$file"
  while (($(stat -c %s "$file") < 2147483648)); do
    echo "turn $((++turn))" >>"$file"
    # tar is told to stop when head has enough.
    tar -C / -cf - usr/bin usr/lib usr/share 2>/dev/null | head -c 700000000 >>"$file" || true
  done
  truncate -s 2147483648 "$file"
}

make() {
  [ ! -e "$folder/$1" ] || return 0
  rm -rf "$folder/$1.part"
  "make_$1" "$folder/$1.part"
  mv "$folder/$1.part" "$folder/$1"
}

for name in "${names[@]}"; do
  declare -F "make_$name" >/dev/null || { echo "no such tree: $name" >&2; exit 2; }
  make "$name"
done
