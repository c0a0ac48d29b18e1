"""Programs that try to pass without solving anything, to harm, or to stay: what the sandbox is held against.

Each defines `double(n)`, wrongly or not at all, and attacks on its way; none may pass `double(3) == 6` and
`double(-5) == -10`. `CANARY` and `VICTIM` are replaced by a file of the host's and the number of one of its processes.
"""

from __future__ import annotations

WRONG = "def double(n):\n    return 0\n"

PROGRAMS: dict[str, str] = {
    # --- using up the machine
    "fork bomb": "import os\ndef double(n):\n    while True:\n        os.fork()\n",
    "fork bomb while loading": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError: pass\n",
    "thread bomb": """
import threading, time
def double(n):
    while True:
        threading.Thread(target=time.sleep, args=(99,)).start()
""",
    "memory bomb": "def double(n):\n    hoard = []\n    while True:\n        hoard.append(bytearray(1 << 24))\n",
    "memory at once": "def double(n):\n    return len(bytearray(1 << 40))\n",
    "huge number": "def double(n):\n    return 9 ** 9 ** 9\n",
    "endless output": "def double(n):\n    while True:\n        print('x' * 100000)\n",
    "endless output to descriptors": """
import os
def double(n):
    while True:
        for fd in range(3, 20):
            try:
                os.write(fd, b'x' * 65536)
            except OSError:
                pass
""",
    "endless reply": "def double(n):\n    return 'x' * (1 << 28)\n",
    "endless iterator": "def double(n):\n    while True:\n        yield n\n",
    "infinite loop": "def double(n):\n    while True:\n        pass\n",
    "infinite loop while loading": "while True:\n    pass\n",
    "loop that catches everything": """
def double(n):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    "ignores signals": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def double(n):
    while True:
        pass
""",
    "sleeps": "import time\ndef double(n):\n    time.sleep(10 ** 6)\n",
    "catastrophic pattern": "import re\ndef double(n):\n    return re.match('(a+)+$', 'a' * 60 + 'b') or 0\n",
    "deep recursion": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef double(n):\n    return double(n)\n",
    "stack overflow in C": "def double(n):\n    x = []\n    for _ in range(10 ** 6):\n        x = [x]\n    return repr(x)\n",
    "crash": "import ctypes\ndef double(n):\n    ctypes.string_at(0)\n",
    "fills the disk": """
import os
def double(n):
    for i in range(10 ** 6):
        with open(f'/tmp/{i}', 'wb') as file:
            file.write(b'x' * (1 << 24))
""",
    "sparse file": "def double(n):\n    with open('/tmp/x', 'wb') as f:\n        f.truncate(1 << 40)\n    return 0\n",
    "many descriptors": "import os\ndef double(n):\n    return [os.pipe() for _ in range(10 ** 5)] and 0\n",
    "anonymous files": """
import os
def double(n):
    return [os.write(os.memfd_create('x'), b'x' * (1 << 24)) for _ in range(10 ** 4)] and 0
""",
    "deep value": "def double(n):\n    x = []\n    for _ in range(150000):\n        x = [x]\n    return x\n",
    "wide value": "def double(n):\n    return [[i] for i in range(10 ** 6)]\n",
    "number with a million digits": "def double(n):\n    return 1 << 10 ** 8\n",
    # --- reaching out
    "socket": """
import socket
def double(n):
    s = socket.create_connection(('127.0.0.1', PORT), timeout=2)
    s.sendall(b'escaped')
    return int(s.recv(16))
""",
    "socket by number": """
import ctypes
def double(n):
    return ctypes.CDLL(None).syscall(41, 2, 1, 0)
""",
    "name lookup": "import socket\ndef double(n):\n    return len(socket.getaddrinfo('example.org', 80))\n",
    "reads the home folder": "import os\ndef double(n):\n    return len(open('CANARY').read())\n",
    "reads the environment": "import os\ndef double(n):\n    return int(os.environ['DOCENDO_TEST_SECRET'])\n",
    "reads passwords": "def double(n):\n    return len(open('/etc/passwd').read())\n",
    "writes outside": "def double(n):\n    open('CANARY', 'w').write('gone')\n    return 0\n",
    "writes into Python": """
import os, shutil
def double(n):
    with open(shutil.__file__, 'a') as file:
        file.write('raise SystemExit')
    return 0
""",
    "removes everything": """
import os, shutil
def double(n):
    for name in os.listdir('/'):
        shutil.rmtree('/' + name, ignore_errors=True)
    return 0
""",
    "symlink to the outside": """
import os
def double(n):
    os.symlink('CANARY', '/tmp/link')
    open('/tmp/link', 'w').write('gone')
    return 0
""",
    "hard link and rename": """
import os
def double(n):
    os.link('CANARY', '/tmp/link')
    os.rename('/tmp/link', 'CANARY')
    return 0
""",
    "walks out of its root": """
import os
def double(n):
    os.mkdir('/tmp/jail')
    fd = os.open('/', os.O_RDONLY)
    os.chroot('/tmp/jail')
    os.fchdir(fd)
    os.chroot('../../../../..')
    return len(open('CANARY').read())
""",
    "new namespaces": """
import ctypes
def double(n):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x00020000):
        raise OSError(ctypes.get_errno(), 'unshare')
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
    return 0
""",
    "becomes root": "import os\ndef double(n):\n    os.setuid(0)\n    os.setgid(0)\n    return 0\n",
    "raises its limits": """
import resource
def double(n):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 0
""",
    "starts a shell": "import subprocess\ndef double(n):\n    return subprocess.call(['/bin/sh', '-c', 'echo > CANARY'])\n",
    # --- at the throats of others
    "kills its parent": "import os, signal\ndef double(n):\n    os.kill(os.getppid(), signal.SIGKILL)\n    return 0\n",
    "kills everybody": "import os, signal\ndef double(n):\n    os.kill(-1, signal.SIGKILL)\n    return 0\n",
    "kills a host process": "import os, signal\ndef double(n):\n    os.kill(VICTIM, signal.SIGKILL)\n    return 0\n",
    "traces its parent": """
import ctypes, os
def double(n):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), 0, 0):
        raise OSError(ctypes.get_errno(), 'ptrace')
    return 0
""",
    "writes its parent's memory": """
import os
def double(n):
    with open(f'/proc/{os.getppid()}/mem', 'r+b') as memory:
        memory.write(b'passed')
    return 0
""",
    "daemon": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.01)
    os._exit(0)
def double(n):
    return 0
""",
    "daemon in a busy loop": """
import os
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
def double(n):
    return 0
""",
    # --- forging the result
    "prints a verdict": "print('passed')\nprint({'list': 'visible', 'outcome': 'passed', 'detail': ''})\n"
    + WRONG,
    "exits with success": "import sys\nsys.exit(0)\n",
    "exits in a test": "import sys\ndef double(n):\n    sys.exit(0)\n",
    "exits at once": "import os\ndef double(n):\n    os._exit(0)\n",
    "exits at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef double(n):\n    raise SystemExit(0)\n",
    "raises what passes": "def double(n):\n    raise AssertionError\n",
    "floods the channel with replies": """
import os, sys
wire = sys.modules['docendo.grading.sandbox.inside.wire']
said = wire.pack({'list': 'visible', 'outcome': 'passed', 'detail': '', 'value': 0, 'done': True, 'key': 'c:x'})
for fd in range(3, 64):
    for _ in range(4):
        try:
            os.write(fd, len(said).to_bytes(4, 'big') + said)
        except OSError:
            pass
"""
    + WRONG,
    "replaces the codec": """
import sys
wire = sys.modules['docendo.grading.sandbox.inside.wire']
real = wire.pack
def pack(value, *rest):
    return real({'list': 'visible', 'outcome': 'passed', 'detail': ''})
wire.pack = pack
"""
    + WRONG,
    "garbage on the channel": "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'\\xff' * 4096)\n    except OSError:\n        pass\n"
    + WRONG,
    "reads its caller's frames": """
import sys
def double(n):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if isinstance(value, dict) and 'expected' in value:
                return value['expected']
        frame = frame.f_back
    return 0
""",
    "searches the heap": """
import gc
def double(n):
    for thing in gc.get_objects():
        if isinstance(thing, dict) and 'expected' in thing:
            return thing['expected']
    return 0
""",
    "patches builtins": """
import builtins
builtins.isinstance = lambda *_: True
builtins.all = builtins.any = builtins.bool = lambda *_: True
builtins.AssertionError = Exception
"""
    + WRONG,
    "patches unittest": """
import unittest
unittest.TestCase.assertEqual = lambda *a: None
unittest.TestCase.failureException = ZeroDivisionError
"""
    + WRONG,
    "turns assertions off": "__debug__ if True else None\nimport sys\nsys.flags = None\n" + WRONG,
    "equal to everything": """
class Any(int):
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __hash__(self):
        return 0
    def __bool__(self):
        return True
    def __len__(self):
        return 1
def double(n):
    return Any()
""",
    "equal to everything, no number": """
class Any:
    def __eq__(self, other):
        return True
    __radd__ = __add__ = __sub__ = __rsub__ = __abs__ = __getitem__ = lambda self, *_: self
    def __lt__(self, other):
        return True
    __le__ = __gt__ = __ge__ = __lt__
def double(n):
    return Any()
""",
    "its class says it is another": """
class Six(float):
    __class__ = int
    def __repr__(self):
        return '6'
    def __index__(self):
        return 0
    __int__ = __float__ = __index__
def double(n):
    return Six()
""",
    "pickle": """
import os
class Bomb:
    def __reduce__(self):
        return os.system, ('echo > CANARY',)
def double(n):
    return Bomb()
""",
    "pickled text": """
def double(n):
    return b"cos\\nsystem\\n(S'echo > CANARY'\\ntR."
""",
    "text that would evaluate to the answer": 'def double(n):\n    return \'__import__("os").system("echo > CANARY") or 6\'\n',
    "ctypes on its own memory": """
import ctypes, sys
def double(n):
    ctypes.memset(id(0) , 255, 64)
    return 0
""",
    "changes small numbers": """
import ctypes
def double(n):
    ctypes.memmove(id(0) + 24, id(n * 1) + 24, 4)
    return 0
""",
    "not a number": "def double(n):\n    return float('nan')\n",
}
"""Name to program."""
