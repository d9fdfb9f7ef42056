#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# lethectl verify is nothing to the program, however that makes threads, forks, executes, is
# stopped and ends; and nothing of it is left. KTAP on stdout.
#
#	verify_program.py LETHECTL BUILD
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from verifying import (BUILD, SECTION, SUBJECT, SWAP, Said, command, end, note, result,
                       secret_file)

PLANNED = 34


def threads():
    said = Said('threads', '200', options=('--every', '1'))
    said.is_(said.status == 0 and said.json['searched_sections'] == 1600,
             '8 threads that end 200 sections each at one moment: none lost, none stuck')
    said = Said('spawning', '100', options=('--every', '1'))
    said.is_(said.status == 0 and said.json['searched_sections'] == 500,
             'and threads that come and go')
    for backend in ('memfd_secret', 'mlock'):
        said = Said('midst', env={**os.environ, 'LETHE_BACKEND': backend})
        used = [finding for stop in said.json['stops'] for finding in stop['in_use']]
        said.is_(said.status == 0 and used and not said.found('section end') and
                 any(finding['place'].endswith('mm5') for finding in used) and
                 said.noted('they were in use'),
                 'what a thread has in the midst of its section is in use, and not left (%s)'
                 % backend)
    said = Said('leader')
    said.is_(said.status == 1 and said.found('exit') and said.json['sections'] == 1,
             'one whose first thread has ended is searched all the same')
    for way in ('threads_exec', 'threads_exit'):
        good = [Said(way) for _ in range(10)]
        worst = max(good, key=lambda said: said.status)
        worst.is_(all(said.status == 0 for said in good) and
                  (way == 'threads_exit' or worst.noted('executed another program')),
                  'threads end sections while another %s, ten times' %
                  ('executes a program' if 'exec' in way else 'ends all of them'))
    said = Said('clean', '3000')
    searched = said.json['searched_sections']
    slowest = max(stop['stopped_ns'] for stop in said.json['stops']) / 1e9 + 0.05
    # On a machine that is busy there may be time for all.
    said.is_(said.status == 0 and said.json['sections'] == 3000 and searched >= 100 and
             (said.noted('searched at {:,} of 3,000 section ends'.format(searched)) or
              searched == 3000) and
             # The first hundred may take what they like; then one more, and that at the exit.
             (searched == 100 or
              said.json['searching_ns'] / 1e9 < said.json['seconds'] / 2 + 2 * slowest),
             'of 3,000 sections so many are searched as take half of the time, and that is said')
    note('%d of 3000 in %.1f s, %.1f of them searching' %
         (searched, said.json['seconds'], said.json['searching_ns'] / 1e9))
    said = Said('clean', '100', options=('--every', '10'))
    said.is_(said.json['searched_sections'] == 10 and
             said.noted('searched at 10 of 100 section ends (--every)'), 'or each tenth')


def processes():
    said = Said('forks', '10')
    pids = {process['pid'] for process in said.json['processes']}
    said.is_(said.status == 1 and said.json['sections'] == 11 and len(pids) == 11 and
             len(said.found('exit')) == 1 and
             all(process['parent'] in pids for process in said.json['processes'][1:]),
             'children of fork() have the marks too, and each is searched as it ends')
    said = Said('execs', '3')
    said.is_(said.status == 1 and said.json['sections'] == 6 and
             len(said.found('section end')) == 1 and said.noted('executed another program'),
             'a program executed, and one executed after vfork()')
    said = Said('shares')
    said.is_(said.status == 0 and said.json['sections'] == 1 and
             len(said.json['processes']) == 2 and
             len([stop for stop in said.json['stops'] if stop['why'] == 'exit']) == 1,
             'a process that shares memory with another: searched once, when both are done')
    said = Said('vforks', '1')
    said.is_(said.status == 2 and said.checks[SECTION] == 'unknown' and
             any(stop['threads_not_stopped'] == 1 and not stop['complete']
                 for stop in said.json['stops']),
             'where a thread waits for its child of vfork(), its registers are unknown, and it all')
    said = Said('vforks', '0')
    said.is_(said.status == 0 and len(said.json['processes']) == 2, 'and not when it is back')
    said = Said('killed')
    said.is_(said.status == 1 and said.found('exit') and said.json['exit']['signal'] == 9,
             'one that dies of SIGKILL is searched before it is gone')
    said = Said('stopped')
    said.is_(said.status == 0 and said.json['sections'] == 20,
             'one that is stopped and continued: no signal lost, and none too many')
    said = Said('traces')
    said.is_(said.status == 0 and said.noted('calls ptrace()'),
             'one that traces cannot here, which is said')
    said = Said('fails')
    said.is_(said.status == 2 and said.json['exit'] == {'status': 3} and
             said.checks[SECTION] == 'passed',
             'one that fails proves nothing')
    said = Said('clean', '2', subject=SUBJECT + '_static')
    said.is_(said.status == 0 and said.json['sections'] == 2,
             'a static program has the marks inside')
    said = Said('global', subject=SUBJECT + '_static')
    said.is_(said.status == 1 and len(said.found('section end')) == 1, 'likewise what it leaves')
    loaded = ('import ctypes\n'
              'lethe = ctypes.CDLL("%s/lib/liblethe.so.0")\n'
              'body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.CDLL(None).tzset)\n'
              'assert not lethe.lethe_do(lethe.lethe_enabled, None)\n' % BUILD)
    said = Said(program=lambda path: ['/usr/bin/python3', '-c', loaded])
    said.is_(said.status == 0 and said.json['sections'] == 1,
             'a library that is loaded later, by dlopen(), has its marks seen')


def other_linker():
    """One of another libc, that does not tell debuggers what it maps."""
    name = b'/lib64/ld-linux-x86-64.so.2'
    with tempfile.TemporaryDirectory(dir='/tmp') as directory:
        linker = os.path.join(directory, 'l' * (len(name) - len(directory) - 1)).encode()
        subject = os.path.join(directory, 'subject')
        with open(name, 'rb') as file:
            changed = file.read().replace(b'_dl_debug_state\0', b'_dl_tells_nobody'[:15] + b'\0')
        with open(linker, 'wb') as file:
            file.write(changed)
        with open(SUBJECT, 'rb') as file:
            changed = file.read().replace(name + b'\0', linker + b'\0')
        with open(subject, 'wb') as file:
            file.write(changed)
        os.chmod(linker, 0o755)
        os.chmod(subject, 0o755)
        said = Said('global', subject=subject,
                    env={**os.environ, 'LD_LIBRARY_PATH': os.path.join(BUILD, 'lib')})
        said.is_(len(linker) == len(name) and said.status == 1 and said.json['sections'] == 2 and
                 said.noted('does not tell what it maps'),
                 'where the dynamic linker tells nothing, sections are seen from main() on')


def unprivileged():
    missing = None if not os.geteuid() else 'not root'
    with tempfile.TemporaryDirectory(dir='/tmp') as directory, secret_file() as path:
        os.chmod(path, 0o644)
        os.chmod(directory, 0o755)
        # Where it is may not be open to everybody.
        subprocess.run(['cp', '-r', '--parents', 'lib', 'bin', 'tests/programs/verify_subject',
                        directory], cwd=BUILD, check=True)
        subprocess.run(['chmod', '-R', 'a+rX', directory], check=True)
        fd = os.open(path, os.O_RDONLY)
        answer = subprocess.run(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
             os.path.join(directory, 'bin/lethectl'), 'verify', '--json', '--secret-fd', str(fd),
             '--', os.path.join(directory, 'tests/programs/verify_subject'), 'global', path],
            pass_fds=[fd], capture_output=True, check=False)
        os.close(fd)
        said = json.loads(answer.stdout or '{"checks": []}')
        checks = {check['name']: check['status'] for check in said['checks']}
        if not result(answer.returncode == 1 and checks.get(SECTION) == 'failed' and
                      checks.get(SWAP) == 'not asked' and 'CAP_BPF' in str(said['checks']),
                      'who is not root has all but the probes', missing=missing):
            note(answer.stderr.decode())
        answer = subprocess.run(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
             os.path.join(directory, 'bin/lethectl'), 'verify', '--', 'su', '--version'],
            capture_output=True, check=False)
        result(answer.returncode == 0 and b'su is set-user-ID' in answer.stderr,
               'and a set-user-ID program, without that: it is said', missing=missing)
        answer = subprocess.run(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
             os.path.join(directory, 'bin/lethectl'), 'verify', '--probes', '--', 'true'],
            capture_output=True, check=False)
        result(answer.returncode == 2, 'who demands the probes has no verdict without',
               missing=missing)


def outlived():
    with secret_file() as path:
        start = time.monotonic()
        fd = os.open(path, os.O_RDONLY)
        # Who outlives it has our stderr, and would keep a pipe open.
        answer = subprocess.run(command(fd, '--json', '--no-probes', '--wait', '0.3',
                                        program=[SUBJECT, 'outlived', path, '2']),
                                pass_fds=[fd], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=False)
        os.close(fd)
        took = time.monotonic() - start
        said = json.loads(answer.stdout)
        left = [stop for stop in said['stops'] if stop['why'] == 'still running']
        pid = next(process['pid'] for process in said['processes'] if process['outlived'])
        result(answer.returncode == 1 and len(left) == 1 and left[0]['found'] == 1 and took < 1.9,
               'what outlives the program is searched as it is')
        time.sleep(0.1)
        alive = os.path.exists('/proc/%d' % pid)
        state = open('/proc/%d/status' % pid).read() if alive else ''
        until = time.monotonic() + 5
        while time.monotonic() < until and os.path.exists('/proc/%d' % pid) and \
                'Z' not in open('/proc/%d/status' % pid).read().split('State:')[1][:4]:
            time.sleep(0.05)
        done = path + '.done'
        result(alive and 'TracerPid:\t0' in state and os.path.exists(done),
               'and goes on untraced, to its own end, with a section on the way')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(done)


def waiting(path, *options, way='waits'):
    """Verify and its program, in a session of their own; both run."""
    fd = os.open(path, os.O_RDONLY)
    process = subprocess.Popen(command(fd, '--json', '--no-probes', *options,
                                       program=[SUBJECT, way, path]),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[fd],
                               start_new_session=True)
    os.close(fd)
    # Its stdout is our stderr, where the other is for JSON.
    line = process.stderr.readline()
    with open('/proc/%d/task/%d/children' % (process.pid, process.pid)) as file:
        return process, int(file.read().split()[0]), line


def gone(pid, patience=5):
    until = time.monotonic() + patience
    while True:
        try:
            with open('/proc/%d/stat' % pid) as file:
                if file.read().rsplit(')', 1)[1].split()[0] in 'ZX':
                    return True
        except OSError:
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)


def ended():
    with secret_file() as path:
        process, pid, line = waiting(path)
        result(line == b'ready\n', 'with --json the program\'s stdout is stderr')
        process.kill()
        process.wait()
        result(gone(pid), 'of SIGKILL verify dies, and so does the program')
        for number, name in ((signal.SIGTERM, 'SIGTERM'), (signal.SIGINT, 'SIGINT')):
            process, pid, _ = waiting(path)
            process.send_signal(number)
            said = json.loads(process.communicate(timeout=60)[0])
            result(process.returncode == 2 and said['exit'] == {'signal': number, 'core': False}
                   and any(stop['why'] == 'exit' for stop in said['stops']) and gone(pid),
                   '%s is handed on to the program, which is searched as it ends' % name)
        process, pid, _ = waiting(path, way='stubborn')
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        alive = not gone(pid, 0)
        process.send_signal(signal.SIGTERM)
        said = json.loads(process.communicate(timeout=60)[0])
        result(alive and said['exit']['signal'] == 9,
               'what does not heed it is ended when it is sent again')
        process, pid, _ = waiting(path)
        os.killpg(process.pid, signal.SIGINT)
        said = json.loads(process.communicate(timeout=60)[0])
        result(process.returncode == 2 and said['exit']['signal'] == signal.SIGINT and gone(pid),
               'and so is what a terminal sends to both')
        process, pid, _ = waiting(path)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        said = json.loads(process.communicate(timeout=60)[0])
        result(said['exit']['signal'] == 9 and
               any(stop['why'] == 'exit' and stop['complete'] for stop in said['stops']),
               'the program, stopped, continued and killed by another')


sys.exit(end(PLANNED, threads, processes, other_linker, unprivileged,
             outlived, ended))
