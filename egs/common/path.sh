# The environment of every recipe, sourced: tools/venv, or the Python that SERTK_PYTHON names.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ -n "${SERTK_PYTHON:-}" ]; then
  python_bin=$(command -v "$SERTK_PYTHON") ||
    { echo "path.sh: SERTK_PYTHON=$SERTK_PYTHON is no command" >&2; return 1; }
  python_bin=$(cd "$(dirname "$python_bin")" && pwd)
elif [ -x "$root/tools/venv/bin/python3" ]; then
  python_bin=$root/tools/venv/bin
else
  echo "path.sh: no environment yet: run 'make -C $root/tools env', or name a Python with SERTK_PYTHON" >&2
  return 1
fi
export PATH=$PWD/utils:$python_bin:$PATH
export LC_ALL=C PYTHONUTF8=1
