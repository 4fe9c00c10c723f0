# Git's clean and smudge filters for files that Git LFS keeps (git-lfs's spec.md). Runs inside a sandbox, under plain sh.
# Arguments: clean or smudge, a directory of objects that is read, one that new objects are kept in. A pointer whose
# object is not there stays a pointer.
set -eu
verb=$1 there=$2 own=$3
given=$(mktemp)
trap 'rm -f "$given"' EXIT
cat >"$given"
oid=
if [ "$(wc -c <"$given")" -le 1024 ] && head -n 1 "$given" | grep -qx 'version https://git-lfs.github.com/spec/v1'; then
  oid=$(sed -n 's/^oid sha256:\([0-9a-f]*\)$/\1/p' "$given")
fi
place() { printf '%s/%s/%s/%s' "$1" "$(printf %s "$2" | cut -c1-2)" "$(printf %s "$2" | cut -c3-4)" "$2"; }
case $verb in
  smudge)
    if [ -n "$oid" ]; then
      for kept in "$(place "$there" "$oid")" "$(place "$own" "$oid")"; do
        if [ -f "$kept" ]; then
          cat "$kept"
          exit 0
        fi
      done
    fi
    cat "$given"
    ;;
  clean)
    if [ -n "$oid" ] || [ ! -s "$given" ]; then
      cat "$given"
      exit 0
    fi
    oid=$(sha256sum <"$given" | cut -c1-64)
    size=$(wc -c <"$given")
    if [ ! -f "$(place "$there" "$oid")" ]; then
      kept=$(place "$own" "$oid")
      mkdir -p "${kept%/*}"
      mv "$given" "$kept"
    fi
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "$oid" "$size"
    ;;
esac
