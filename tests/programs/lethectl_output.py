#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What lethectl status prints, and where: JSON as it is documented, colour and a line
of progress on a terminal alone, and no verdict that did not arrive. KTAP on stdout.

    lethectl_output.py LETHECTL
"""

import ctypes
import fcntl
import json
import mmap
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

LETHECTL = sys.argv[1]
SYS_MEMFD_SECRET = 447
PAGE = 4096
PLANNED = 39
ROOT = os.geteuid() == 0
VERDICTS = {'clean': 0, 'violation': 1, 'unknown': 2}
STATES = ('fine', 'note', 'unseen', 'lacks', 'violation')
MODULE = {'version', 'block_size', 'blocks', 'pages_used', 'pages_free', 'pages_small',
          'splits', 'regions', 'hibernate', 'wipes', 'wiped_bytes', 'max_blocks',
          'keep_blocks', 'features'}
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith('LETHE_') and name != 'NO_COLOR'}
ENVIRONMENT['TERM'] = 'xterm'
libc = ctypes.CDLL(None, use_errno=True)

DOCUMENT = Document()
ok, skip = DOCUMENT.ok, DOCUMENT.skip


def run(*args, **more):
    environment = {**ENVIRONMENT, **more.pop('env', {})}
    return subprocess.run([LETHECTL, *args], env=environment, timeout=100, check=False,
                          **{'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                             'stdin': subprocess.DEVNULL, **more})


def on_terminal(*args, width=80, env=None, stderr_too=True):
    """What comes on a terminal of that width, stdout and, or, stderr."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
    with subprocess.Popen([LETHECTL, *args], env={**ENVIRONMENT, **(env or {})},
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL if stderr_too == 'alone' else slave,
                          stderr=slave if stderr_too else subprocess.DEVNULL) as process:
        os.close(slave)
        text = b''
        while True:
            try:
                some = os.read(master, 65536)
            except OSError:
                break
            if not some:
                break
            text += some
        process.wait(100)
    os.close(master)
    return text


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def wrong_with(document):
    """What is not as lethectl(1) has it; None if all is."""
    base = ['schema', 'verb', 'verdict', 'notes', 'backend', 'level', 'module',
            'holders', 'holders_unseen', 'machine']
    if [name for name in document if name != 'error'] != base:
        return f'members {list(document)}'
    if document['schema'] != 1 or document['verb'] != 'status':
        return 'schema, verb'
    if document['verdict'] not in VERDICTS:
        return 'verdict'
    if not all(isinstance(note, str) for note in document['notes']):
        return 'notes'
    if document['backend'] not in ('kmod', 'memfd_secret', 'mlock', None) or \
            document['level'] not in ('unmapped', 'locked', 'none'):
        return 'backend, level'
    module = document['module']
    if module is not None and (not MODULE.issuperset(module) or not all(
            is_number(module[name]) for name in (
                'version', 'block_size', 'blocks', 'pages_used', 'pages_free',
                'pages_small', 'splits', 'regions'))):
        return 'module'
    for holder in document['holders']:
        if sorted(holder) != sorted((
                'pid', 'command', 'kmod_bytes', 'kmod_regions', 'memfd_secret_bytes',
                'memfd_secret_descriptors', 'locked_bytes')):
            return 'holders'
        if not all(is_number(value) for name, value in holder.items()
                   if name not in ('pid', 'command')):
            return 'holders'
    if not document['machine']:
        return 'machine'
    for check in document['machine']:
        if sorted(check) != ['check', 'mend', 'state', 'what'] or \
                check['state'] not in STATES or not check['what']:
            return f'check {check}'
        if check['state'] in ('lacks', 'violation') and not check['mend']:
            return f'nothing mends {check}'
    return None


def state_of(document, name):
    return next(check['state'] for check in document['machine']
                if check['check'] == name)


def test_json():
    result = run('status', '--json')
    document = json.loads(result.stdout)
    wrong = wrong_with(document)
    ok(wrong is None and not result.stderr,
       '--json prints one object with the members that are documented', wrong)
    ok(VERDICTS[document['verdict']] == result.returncode,
       'the exit status is that of the verdict', document['verdict'])
    text = run('status')
    ok(text.returncode == result.returncode and
       re.search(rf'^verdict +{document["verdict"]}', text.stdout.decode(), re.M),
       'and of text, which says the same verdict', text.stdout)
    for order in (('--nonsense', '--json'), ('--json', '--nonsense'), ('--json', 'more')):
        result = run('status', *order)
        document = json.loads(result.stdout)
        ok(result.returncode == 2 and document['verdict'] == 'unknown' and
           document['error'] and document['verb'] == 'status' and result.stderr,
           f'bad usage ({" ".join(order)}) is an object with an error, and 2',
           result.stdout)
    result = run('status', '--json', env={'LETHE_BACKEND': 'tape'})
    document = json.loads(result.stdout)
    ok(result.returncode == 2 and document['verdict'] == 'unknown' and
       document['error'] and wrong_with(document) is None,
       'what could not be told is an object with an error, and 2', result.stdout)
    result = run('status', '--json', '--help')
    ok(result.returncode == 0 and b'Usage' in result.stdout and
       b'schema' not in result.stdout, '--help is help, with --json too', result.stdout)


def test_verdicts():
    result = run('status', '--json', env={'LETHE_BACKEND': 'mlock'})
    document = json.loads(result.stdout)
    ok(result.returncode == 1 and document['level'] == 'locked' and
       state_of(document, 'backend') == 'violation',
       'pages that are only locked are a violation, and 1', result.stdout)
    result = run('status', '--json', env={'LETHE_BACKEND': 'mlock',
                                          'LETHE_REQUIRE': 'unmapped'})
    document = json.loads(result.stdout)
    ok(result.returncode == 1 and document['backend'] is None and
       document['level'] == 'none', 'so is no backend as it is asked for', result.stdout)
    plain = json.loads(run('status', '--json').stdout)
    lacks = any(check['state'] == 'lacks' for check in plain['machine'])
    strict = run('status', '--json', '--strict')
    expected = 1 if lacks else 2 if any(
        check['state'] == 'unseen' for check in plain['machine']) else 0
    if VERDICTS[plain['verdict']]:
        expected = VERDICTS[plain['verdict']]
    ok(strict.returncode == expected,
       '--strict: what is lacking is a violation, and what is unseen is not clean',
       strict.stdout)
    result = run('status', preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (4, 4)))
    ok(result.returncode == 2 and result.stderr,
       'without a descriptor left it cannot be told, and says so', result.stdout)


def test_arrival():
    for args in ((), ('--json',), ('--help',)):
        with open('/dev/full', 'wb') as full:
            result = run('status', *args, stdout=full)
        ok(result.returncode == 2 and b'No space left' in result.stderr,
           f'a full disk: a line, and 2 ({" ".join(args) or "text"})', result.stderr)
    result = run('status', stdout=None, preexec_fn=lambda: os.close(1))
    ok(result.returncode == 2 and result.stderr, 'no stdout at all: likewise', result.stderr)
    result = run('status', stdout=None, stderr=None,
                 preexec_fn=lambda: (os.close(1), os.close(2)))
    ok(result.returncode == 2, 'neither stdout nor stderr: 2 all the same')
    reader, writer = os.pipe()
    os.close(reader)
    result = run('status', stdout=writer)
    ok(result.returncode == -signal.SIGPIPE, 'a reader that went: SIGPIPE', result)
    result = run('status', stdout=writer, restore_signals=False)
    ok(result.returncode == 2 and b'Broken pipe' in result.stderr,
       'and where that is ignored, a line, and 2', result)
    os.close(writer)
    master, slave = pty.openpty()
    os.close(master)
    result = run('status', stdout=slave)
    os.close(slave)
    ok(result.returncode == 2 and result.stderr, 'a terminal that vanished: a line, and 2',
       result)


def test_terminal():
    colour = re.compile(rb'\033\[[0-9;]*m')
    ok(colour.search(on_terminal('status', stderr_too=False)), 'colour on a terminal')
    ok(b'\033' not in run('status').stdout, 'none elsewhere')
    ok(not colour.search(on_terminal('status', env={'NO_COLOR': '1'}, stderr_too=False)),
       'none with NO_COLOR')
    ok(not colour.search(on_terminal('status', env={'TERM': 'dumb'}, stderr_too=False)),
       'none on a dumb one')
    ok(b'\033' not in on_terminal('status', '--json', stderr_too=False),
       'none in JSON, on a terminal too')
    text = on_terminal('status', stderr_too='alone')
    ok(b'looking at process' in text and text.endswith(b'\r\033[K'),
       'progress on a terminal, and nothing of it is left', text)
    lines = re.findall(rb'\r([^\r\033]*)\033\[K', on_terminal(
        'status', width=12, stderr_too='alone'))
    ok(any(lines) and max(map(len, lines)) == 11, 'cut to its width', lines)
    ok(not on_terminal('status', env={'TERM': 'dumb'}, stderr_too='alone'),
       'none on a dumb one')
    ok(not run('status').stderr, 'none elsewhere')


def hold(pipe):
    """In a child: some of each kind, and a name to spoil a terminal with."""
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
    libc.prctl(15, b'x\033[2J\\\xff', 0, 0, 0)
    secret = libc.syscall(SYS_MEMFD_SECRET, 0)
    if secret >= 0:
        os.ftruncate(secret, 4 * PAGE)
        pages = mmap.mmap(secret, 4 * PAGE, mmap.MAP_SHARED)
        pages[0] = pages[PAGE] = 1
    locked = mmap.mmap(-1, 8 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    locked[:] = b'\1' * (8 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(locked))
    libc.mlock(ctypes.c_void_p(address), 3 * PAGE)
    libc.madvise(ctypes.c_void_p(address), 8 * PAGE, 16)
    os.write(pipe, b'1' if secret >= 0 else b'0')
    signal.pause()


def test_holders():
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        hold(writer)
        os._exit(0)
    has_secret = os.read(reader, 1) == b'1'
    document = json.loads(run('status', '--json').stdout)
    text = run('status').stdout
    test_manual(document)
    holder = next((one for one in document['holders'] if one['pid'] == pid), {})
    if has_secret:
        # Mapping it made one descriptor more.
        ok(holder.get('memfd_secret_bytes') == 2 * PAGE and
           holder['memfd_secret_descriptors'] >= 1,
           'who holds a memfd_secret: the pages that are there, and descriptors', holder)
        ok(any('hibernate' in note for note in document['notes']),
           'and that it keeps the machine from hibernating', document['notes'])
    else:
        skip('who holds a memfd_secret', 'memfd_secret')
        skip('and that it keeps the machine from hibernating', 'memfd_secret')
    ok(holder.get('locked_bytes') == 3 * PAGE, 'and what is locked and kept from dumps',
       holder)
    ok(holder.get('command') == 'x\\x1b[2J\\\\\\xff' and
       b'x\\x1b[2J\\\\\\xff' in text and b'\033' not in text,
       'a name does nothing to a terminal, and no harm to JSON', holder)
    if ROOT:
        other = run('status', '--json', preexec_fn=lambda: (
            os.setgroups([]), os.setgid(65534), os.setuid(65534)))
        document = json.loads(other.stdout)
        ok(document['holders_unseen'] > 0 and
           not any(one['pid'] == pid for one in document['holders']) and
           any('root can' in note for note in document['notes']) and
           VERDICTS[document['verdict']] == other.returncode,
           'another user is told what cannot be seen, and a verdict by the rest', other)
    else:
        skip('another user is told what cannot be seen, and a verdict by the rest', 'root')
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    document = json.loads(run('status', '--json').stdout)
    ok(not any(one['pid'] == pid for one in document['holders']),
       'who is gone is not a holder any more')
    with subprocess.Popen([LETHECTL, 'status', '--json'], env=ENVIRONMENT,
                          stdout=subprocess.PIPE) as process:
        document = json.load(process.stdout)
    ok(document['backend'] and
       not any(one['pid'] == process.pid for one in document['holders']),
       'nor is who looks', document['holders'])


def test_no_proc():
    sentence = 'without /proc: a line, an object with an error, and 2'
    script = 'mount -t tmpfs none /proc && exec "$@"'
    command = ['unshare', '-m', 'sh', '-c', script, 'sh', LETHECTL, 'status', '--json']
    if not ROOT or subprocess.run(command[:4] + ['mount -t tmpfs none /proc'],
                                  capture_output=True, check=False).returncode:
        skip(sentence, 'root that may mount')
        return
    # Its libraries are found beside it by way of /proc.
    libraries = os.path.join(os.path.dirname(LETHECTL), '../lib')
    result = subprocess.run(command, env={**ENVIRONMENT, 'LD_LIBRARY_PATH': libraries},
                            capture_output=True, check=False)
    document = json.loads(result.stdout)
    ok(result.returncode == 2 and document['verdict'] == 'unknown' and
       '/proc' in document['error'] and result.stderr, sentence, result)


def names_in(value):
    """Every member's name, and every check's."""
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(names_in, value.values()),
                            [value['check']] if 'check' in value else [])


def test_manual(document):
    with open(os.path.join(os.path.dirname(__file__), '../../user/man/lethectl.1'),
              encoding='ascii') as file:
        manual = file.read()
    names = names_in(document) | MODULE | {'error'}
    missing = [name for name in names if f'.It Cm {name}' not in manual]
    ok(len(names) > 45 and not missing,
       'each member and each check is in the manual', missing)
    options = re.findall(r'--([a-z-]+)', run('status', '--help').stdout.decode())
    missing = [name for name in options if name not in ('help', 'usage', 'version') and
               not re.search(rf'^\.It .*Fl Fl {name}', manual, re.M)]
    ok(len(options) >= 5 and not missing, 'and each option', missing)


def main():
    test_json()
    test_verdicts()
    test_arrival()
    test_terminal()
    test_holders()
    test_no_proc()
    return DOCUMENT.end(PLANNED)


if __name__ == '__main__':
    sys.exit(main())
