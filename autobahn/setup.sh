#!/bin/sh
# setup.sh DIR: puts a working `wstest` (Autobahn testsuite 25.10.1) in DIR.
#
# For Debian 12 on amd64. The testsuite is Python 2 only, so a PyPy 2.7 is unpacked, not installed,
# from the previous Debian release. What the machine itself lacks (python3 with venv, a C compiler)
# is installed, which needs root; nothing else does.
#
# A finished install is left alone, an unfinished or outdated one is made anew.
# DIR cannot be moved afterwards.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
recipe=$(cksum < "$0")
mkdir -p "$1"
cd "$1"
dir=$PWD

[ "$(cat installed 2>/dev/null)" != "$recipe" ] || exit 0
rm -rf installed apt debs pypy boot env wstest wstest.py

# 1. What the recipe itself needs.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null || ! echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1
then
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends python3-venv gcc libc6-dev
fi

# 2. PyPy 2.7 from bullseye, by way of the mirror this machine already uses for bookworm,
# with apt state of our own so that the machine's is untouched.
mkdir -p apt/lists/partial apt/cache/archives/partial apt/sources debs pypy
for file in /etc/apt/sources.list.d/*.sources; do
  [ -e "$file" ] || continue
  awk 'BEGIN { RS = "" } /(^|\n)Suites:[^\n]* ?bookworm( |\n|$)/ { print $0 "\n" }' "$file" |
    sed 's/^Suites:.*/Suites: bullseye/'
done > apt/sources/bullseye.sources
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$file" ] || continue
  sed -n 's/^\(deb .*\) bookworm \(.*\)/\1 bullseye \2/p' "$file"
done > apt/sources/bullseye.list
if ! cat apt/sources/* | grep -q bullseye; then
  echo "$0: no package source for bookworm found on this machine" >&2
  exit 1
fi
cat > apt/apt.conf <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/apt/sources";
Dir::State::lists "$dir/apt/lists";
Dir::Cache "$dir/apt/cache";
APT::Sandbox::User "root";
CONF
apt-get -q -c apt/apt.conf update
(cd debs && apt-get -q -c ../apt/apt.conf download \
  pypy=7.3.3+dfsg-2 pypy-lib=7.3.3+dfsg-2 pypy-dev=7.3.3+dfsg-2 libffi7=3.3-6 libssl1.1)
for deb in debs/*.deb; do dpkg -x "$deb" pypy; done

# 3. The testsuite and what it imports. virtualenv 20.21 is the last that makes 2.7 environments;
# incremental goes first because Twisted's build would otherwise fetch one for Python 3;
# PyPy names its bytecode files differently in Debian, which pip's own compiling trips over.
python3 -m venv boot
boot/bin/pip --disable-pip-version-check install -q 'virtualenv==20.21.1' 'platformdirs<4'
export LD_LIBRARY_PATH="$dir/pypy/usr/lib/x86_64-linux-gnu:$dir/pypy/usr/lib"
boot/bin/virtualenv -q -p "$dir/pypy/usr/bin/pypy" env
pip() { env/bin/pip --disable-pip-version-check --no-python-version-warning install -q --no-compile --no-deps "$@"; }
pip incremental==16.10.1
pip --no-build-isolation Twisted==19.10.0 zope.interface==4.6.0 constantly==15.1.0 Automat==20.2.0 \
  attrs==21.4.0 hyperlink==19.0.0 idna==2.10 PyHamcrest==1.10.1 six==1.16.0 txaio==2.1.0 \
  autobahn==0.10.9 jinja2==2.11.3 markupsafe==1.1.1 autobahntestsuite==25.10.1

# 4. The launcher. Stubbing Twisted's ssl spares a build of pyOpenSSL; the price is ws:// only.
cat > wstest.py <<'PY'
import functools, sys, types, unittest
import twisted.internet
ssl = types.ModuleType("ssl")
ssl.ClientContextFactory = object  # built for every server, used for wss:// only
twisted.internet.ssl = sys.modules["twisted.internet.ssl"] = ssl
sys.modules["unittest2"] = unittest
from autobahntestsuite import fuzzing
from autobahntestsuite.wstest import run
# The stock fuzzingserver listens on every interface.
fuzzing.listenWS = functools.partial(fuzzing.listenWS, interface="127.0.0.1")
run()
PY
cat > wstest <<SH
#!/bin/sh
export LD_LIBRARY_PATH="$LD_LIBRARY_PATH"
exec "$dir/env/bin/pypy" "$dir/wstest.py" "\$@"
SH
chmod +x wstest
./wstest -a
rm -rf apt debs boot
echo "$recipe" > installed
