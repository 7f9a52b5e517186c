#!/bin/sh
# Is this a Python that can make an environment? If not, say what to install, and fail.
# Rule: plain POSIX sh, for it runs where nothing else is known to work.
python=${1:-python3}

how() {
  echo "Install it, then run the same command again:" >&2
  if [ "$(uname -s)" = Darwin ]; then
    echo "  macOS:          brew install python@3.13      then: make PYTHON=python3.13 ..." >&2
  else
    echo "  Debian, Ubuntu: sudo apt install $1" >&2
    echo "  Fedora:         sudo dnf install $2" >&2
    echo "  Arch:           sudo pacman -S python" >&2
    echo "  Windows:        winget install Python.Python.3.13, then make PYTHON=python in Git Bash" >&2
  fi
  echo "Another Python that you have: make PYTHON=/path/to/python3.12 ..." >&2
  exit 1
}

if ! command -v "$python" >/dev/null 2>&1; then
  echo "There is no $python here; Ticketstub needs Python 3.11 or newer." >&2
  how "python3 python3-venv" python3
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "$python is not Python 3.11 or newer, which Ticketstub needs." >&2
  how "python3.11 python3.11-venv   (or any newer one)" python3.13
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "$python cannot make environments: its venv or ensurepip module is missing." >&2
  how python3-venv python3-pip
fi
