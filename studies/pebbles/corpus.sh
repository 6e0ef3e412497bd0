#!/bin/sh
# The corpora of Pebbles, from packages of Debian 12 (main) that are unpacked, not installed:
#
#   studies/pebbles/corpus.sh FOLDER       # FOLDER/{text,all,prose,code,dictionary}; again after an interruption
#
# `all` is trained on. `prose`, `code` and `dictionary` are the same documents by kind, with the tokenizer of `all`:
# documents are held out by the hash of their text, so what is held out of each of them is held out of `all` too.
# GEMSTONES is the command, `gemstones` if it is not set; WORKERS the processes, 1.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
gemstones=${GEMSTONES:-gemstones} workers=${WORKERS:-1}
mkdir -p "$1/debs" "$1/text" && cd "$1"

packages="python3.11-doc postgresql-doc-15 perl-doc anarchism debian-handbook
  libpython3.11-stdlib perl-modules-5.36 python3-numpy python3-scipy python3-matplotlib python3-django dict-gcide"
for package in $packages; do
  set -- debs/"${package}"_*.deb
  [ -e "$1" ] || (cd debs && apt-get download "$package")
  [ -d "text/$package" ] || { dpkg -x debs/"${package}"_*.deb "text/.$package" && mv "text/.$package" "text/$package"; }
done
(cd debs && sha256sum -- *.deb) > packages.sha256

# GCIDE in pieces of about 8 KB, cut between entries.
[ -s text/gcide.jsonl.gz ] ||
  python3 "$here/entries.py" text/dict-gcide/usr/share/dictd/gcide.dict.dz text/gcide.jsonl.gz
# The pages of Python's documentation without their sources, which are the same text again; of the code the sources.
[ -d text/code ] || {
  mkdir -p text/.code
  for package in libpython3.11-stdlib perl-modules-5.36 python3-numpy python3-scipy python3-matplotlib python3-django; do
    (cd "text/$package" && find usr -type f \( -name '*.py' -o -name '*.pm' \) -print0 |
      tar --null --files-from - --create) | (mkdir -p "text/.code/$package" && tar -x -C "text/.code/$package")
  done
  mv text/.code text/code
}
rm -rf text/python3.11-doc/usr/share/doc/python3.11/html/_sources

prose="text/python3.11-doc/usr/share/doc/python3.11/html text/postgresql-doc-15/usr/share/doc/postgresql-doc-15/html
  text/perl-doc/usr/share/perl/5.36.0/pod text/anarchism/usr/share/doc/anarchism/html
  text/debian-handbook/usr/share/doc/debian-handbook/html/en-US"
code=text/code dictionary=text/gcide.jsonl.gz
build() { # NAME TOKENIZER TEXT...
  name=$1 tokenizer=$2
  shift 2
  # Two words, on purpose.
  # shellcheck disable=SC2086
  $gemstones corpus build "$@" --output "$name" $tokenizer --validation 0.01 --workers "$workers"
}
# shellcheck disable=SC2086
{
  build all "--vocabulary 512" $prose $code $dictionary
  build prose "--tokenizer all/tokenizer.json" $prose
  build code "--tokenizer all/tokenizer.json" $code
  build dictionary "--tokenizer all/tokenizer.json" $dictionary
}
