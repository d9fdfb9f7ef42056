#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""lethectl check on this machine: what it says of secret pages, of ordinary ones, and
where it cannot tell; and that it leaves nothing behind, whoever is killed and when.
KTAP on stdout.

    check_test.py LETHECTL

Where something is to be missing, it is hidden in a mount namespace; a limit is set for
the one program. Swap that is added is a zram device of this test's own.
"""

import contextlib
import fnmatch
import glob
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from points import Document  # noqa: E402

LETHECTL = os.path.abspath(sys.argv[1])
PLANNED = 48
KILLS = 8
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith('LETHE_')}
# More than swap has room for on any machine that this runs on: 8 GiB are wanted.
LARGE = ['--size', '4096']
ZSWAP = '/sys/module/zswap/parameters/enabled'
ZRAM = '/sys/class/zram-control/'

DOCUMENT = Document()
ok, skip = DOCUMENT.ok, DOCUMENT.skip


def command(args, before=()):
    return [*before, LETHECTL, 'check', *args]


def run(*args, before=(), **more):
    """A check that runs to its end; before: what it is run under."""
    return subprocess.run(command(args, before), env=ENVIRONMENT, timeout=200, text=True,
                          check=False, stdin=subprocess.DEVNULL,
                          **{'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **more})


def hidden(script):
    """To be run with something hidden: in a mount namespace, after a line of shell."""
    return ['unshare', '-m', 'sh', '-c', f'{script} && exec "$@"', 'sh']


def swaps():
    with open('/proc/swaps', encoding='ascii') as file:
        return file.read()


def alone():
    """Is there no swap but what is added here? Another test's is waited for."""
    for _ in range(300):
        if swaps().count('\n') == 1:
            return True
        time.sleep(0.1)
    return False


def programs():
    """The BPF programs that there are."""
    listed = subprocess.run(['bpftool', 'prog', 'show', '-j'], capture_output=True,
                            check=True, text=True)
    return {program['id'] for program in json.loads(listed.stdout)}


def held():
    """Those of them that a process holds which is none of lethectl check's: others'."""
    found = set()
    for path in glob.glob('/proc/[0-9]*/fdinfo/*'):
        with contextlib.suppress(OSError):
            with open(path, encoding='ascii') as file:
                info = re.search(r'^prog_id:\s*(\d+)', file.read(), re.M)
            if info:
                with open(path.split('/fdinfo')[0] + '/cmdline', encoding='utf8') as file:
                    words = file.read().split('\0')
                if words[:2] != [LETHECTL, 'check']:
                    found.add(int(info.group(1)))
    return found


def processes():
    """What there is of lethectl check's, but for what has ended and nobody waited for."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            with open(path, encoding='utf8') as file:
                if file.read().split('\0')[:2] == [LETHECTL, 'check']:
                    found.append(path)
    return found


def cgroups(pid):
    return glob.glob(f'/sys/fs/cgroup/**/lethe-check.{pid}', recursive=True)


def files(pid):
    return [path for place in ('/var/tmp', '/var/lib', '/tmp', '', tempfile.gettempdir())
            for path in glob.glob(f'{place}/lethe-check.{pid}.swap')]


def mounts():
    with open('/proc/self/mounts', encoding='ascii') as file:
        return {line for line in file if 'cgroup' in line or 'lethe' in line}


class Left:
    """What a check leaves: to be asked of before and after."""

    def __init__(self):
        self.programs, self.mounts = programs(), mounts()

    def now(self, pid):
        """What is left of it, now that it has ended; it is given 10 s for that."""
        for _ in range(200):
            left = [processes(), cgroups(pid), files(pid),
                    fnmatch.filter(swaps().split('\n'), f'*lethe-check.{pid}.*'),
                    sorted(programs() - self.programs - held()),
                    sorted(mounts() - self.mounts)]
            if not any(left):
                return None
            time.sleep(0.05)
        return left


def subject_of(pid):
    """The process that has the secret, of a check that runs; None if there is none yet."""
    with contextlib.suppress(OSError):
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
            for child in file.read().split():
                with open(f'/proc/{child}/comm', encoding='ascii') as comm:
                    if comm.read() == 'lethectl-check\n':
                        return int(child)
    return None


@contextlib.contextmanager
def zram(mib):
    """Swap to a device in memory, before any other."""
    with open(ZRAM + 'hot_add', encoding='ascii') as file:
        number = file.read().strip()
    device = f'/dev/zram{number}'
    try:
        with open(f'/sys/block/zram{number}/disksize', 'w', encoding='ascii') as file:
            file.write(f'{mib}M')
        subprocess.run(['mkswap', device], check=True, capture_output=True)
        subprocess.run(['swapon', '-p', '32000', device], check=True)
        yield device
    finally:
        subprocess.run(['swapoff', device], check=False, stderr=subprocess.DEVNULL)
        with open(f'/sys/block/zram{number}/reset', 'w', encoding='ascii') as file:
            file.write('1')
        with open(ZRAM + 'hot_remove', 'w', encoding='ascii') as file:
            file.write(number)


@contextlib.contextmanager
def zswap():
    with open(ZSWAP, encoding='ascii') as file:
        was = file.read().strip()
    try:
        with open(ZSWAP, 'w', encoding='ascii') as file:
            file.write('Y')
        yield
    finally:
        with open(ZSWAP, 'w', encoding='ascii') as file:
            file.write(was)


@contextlib.contextmanager
def small_files():
    """Somebody who writes new files to the disk, one after the other: from frames that
    are free by then. Gone afterwards, and they with them."""
    def write(place):
        for number in itertools.count():
            with open(f'{place}/{number % 1000}', 'wb') as file:
                file.write(os.urandom((1, 4, 16)[number % 3] << 12))
                file.flush()
                os.fsync(file.fileno())

    with tempfile.TemporaryDirectory(dir='/var/tmp') as place:
        writers = [multiprocessing.Process(target=write, args=(place,)) for _ in range(3)]
        for writer in writers:
            writer.start()
        try:
            yield
        finally:
            for writer in writers:
                writer.kill()
                writer.join()


def is_clean(document):
    """Every decoy seen, none of the secret, all of it back."""
    return (document['verdict'] == 'clean' and
            document['decoys']['pages'] == document['decoys']['seen'] ==
            document['decoys']['left'] == document['decoys']['intact'] > 1000 and
            document['secret']['pages'] == document['secret']['watched'] > 300 and
            document['secret']['seen'] == 0 and document['secret']['intact'] and
            document['pages_seen'] > document['decoys']['pages'] and not document['lost'])


def test_verdicts():
    left = Left()
    for backend in ('memfd_secret', 'mlock'):
        result = run('--backend', backend, '--json')
        document = json.loads(result.stdout)
        ok(result.returncode == 0 and is_clean(document) and
           document['secret']['backend'] == backend,
           f'{backend}: all decoys were seen leaving, and no page of the secret', result)
    document = json.loads(run('--json').stdout)
    answer = document['direct_map']
    ok(answer and answer['secret'] >= document['secret']['pages'] and
       not answer['secret_readable'] and answer['decoys_readable'] == answer['decoys'] > 0,
       'the best backend\'s pages are not in the direct map, and all decoys are', answer)
    result = run('--ordinary', '--json')
    document = json.loads(result.stdout)
    ok(result.returncode == 1 and document['verdict'] == 'violation' and
       document['secret']['seen'] == document['secret']['pages'] > 300 and
       document['secret']['backend'] is None,
       'control: in ordinary memory each page of the secret is seen leaving', result)
    ways = {way['way']: way for way in document['ways']}
    ok(sum(way['attached'] for way in ways.values()) and
       all(way['attached'] or way['why_not'] for way in ways.values()) and
       all(way['secret'] or not way['decoys'] for way in ways.values()),
       'each way by which the decoys were seen saw the secret too; and what could not be '
       'watched says why', ways)
    result = run('--ordinary')
    ok(result.returncode == 1 and re.search(r'^violation: 320 pages', result.stdout, re.M) and
       not result.stderr, 'and so in words', result)
    with small_files():
        seen = [json.loads(run('--ordinary', '--json').stdout)['secret']['seen']
                for _ in range(8)]
    ok(seen == 8 * [320], 'and none twice, while others write to the disk from frames that '
       'were its', seen)
    result = run()
    ok(result.returncode == 0 and re.search(r'^clean: 4096 of 4096', result.stdout, re.M) and
       not result.stderr, 'clean, in words; with no terminal nothing of progress', result)
    ok(run('-v').stderr.count('lethectl: ') >= 6, '-v says what is done')
    ok(left.now('*') is None, 'nothing is left of any of them', left.now('*'))


def test_swap():
    result = run('--json')
    document = json.loads(result.stdout)
    here = [area for area in document['swap'] if area['pages']]
    ok(here, 'where the decoys went is told', result)
    sentences = ('--swap-file: in that directory', 'and it is gone from there',
                 'to zram: no file is made, and zram is named',
                 'zswap: what it keeps is told', 'swap without room: a file is made besides')
    missing = ('swap of this test alone' if not alone() else
               'zram' if not os.path.exists(ZRAM + 'hot_add') else
               'zswap' if not os.path.exists(ZSWAP) else None)
    if missing:
        for sentence in sentences:
            skip(sentence, missing)
        return
    with tempfile.TemporaryDirectory(dir='/var/tmp') as place:
        result = run('--json', '--swap-file', place, '--size', '64')
        areas = [area for area in json.loads(result.stdout)['swap'] if area['temporary']]
        ok(result.returncode == 0 and len(areas) == 1 and areas[0]['kind'] == 'file' and
           areas[0]['name'].startswith(place) and areas[0]['pages'] > 10000,
           sentences[0], result)
        ok(not os.listdir(place), sentences[1])
    with zram(256) as device:
        document = json.loads(run('--json').stdout)
        areas = {area['name']: area for area in document['swap']}
        ok(is_clean(document) and areas[device]['kind'] == 'zram' and
           areas[device]['pages'] >= 4096 and not any(a['temporary'] for a in areas.values()),
           sentences[2], document)
        with zswap():
            result = run('--json')
        document = json.loads(result.stdout)
        ok(is_clean(document) and document['zswap_pages'] > 2000, sentences[3], result)
    with zram(8):
        document = json.loads(run('--json').stdout)
        ok(is_clean(document) and any(area['temporary'] and area['pages'] for area in
                                      document['swap']), sentences[4], document)


def swapped():
    """KiB that are in swap, of whatever kind."""
    with open('/proc/swaps', encoding='ascii', errors='replace') as file:
        return sum(int(line.split()[-2]) for line in list(file)[1:])


def decoys_in(path):
    """Pages that look like decoys: half noise, half one word."""
    found = 0
    with open(path, 'rb') as file:
        while page := file.read(4096):
            word = page[2040:2048]
            found += any(word) and page[2048:] == word * 256 and len(set(page[:2048])) > 200
    return found


def test_overwritten():
    """What came to the file is on the disk as long as it is swap, and not after that."""
    sentences = ('control: decoys are on the disk while it is swap',
                 'and none is when all is undone: the file was overwritten')
    if not alone():
        for sentence in sentences:
            skip(sentence, 'swap of this test alone')
        return
    with tempfile.TemporaryDirectory(dir='/var/tmp') as place:
        disk = f'{place}/disk'
        script = (f'truncate -s 256M {disk} && mkfs.ext4 -q {disk} && mkdir {place}/at && '
                  f'mount -o loop {disk} {place}/at && "$@"; umount {place}/at')
        process = subprocess.Popen(
            ['unshare', '-m', 'sh', '-c', script, 'sh', LETHECTL, 'check', '--size', '64',
             '--swap-file', f'{place}/at'], env=ENVIRONMENT, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None and swapped() < 32 << 10:
            time.sleep(0.001)
        # It takes longer to look for them than they are there.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGSTOP)
        found = decoys_in(disk)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        process.wait()
        left = decoys_in(disk)
    ok(found > 1000, sentences[0], found)
    ok(not left, sentences[1], left)


def unknown(result, word):
    """2, and one line that says why."""
    return (result.returncode == 2 and result.stderr.startswith('lethe') and
            result.stderr.count('\n') <= 2 and re.search(word, result.stderr))


def test_unknown():
    left = Left()

    def case(sentence, word, *args, **more):
        result = run(*args, **more)
        ok(unknown(result, word), sentence, result)

    case('no swap with room and none to be made is 2', 'no swap', '--no-swap-file', *LARGE)
    case('a swap file in memory is 2', 'tmpfs', '--swap-file', '/dev/shm', *LARGE)
    case('one in a directory that there is not is 2', 'No such file', '--swap-file',
         '/nonexistent', *LARGE)
    with tempfile.TemporaryDirectory(dir='/var/tmp') as place:
        disk = f'{place}/disk'
        small = (f'truncate -s 24M {disk} && mkfs.ext4 -q {disk} && mkdir {place}/at && '
                 f'mount -o loop {disk} {place}/at')
        with open(f'{place}/left', 'w', encoding='ascii') as listing:
            result = run('--swap-file', f'{place}/at', *LARGE, before=[
                'unshare', '-m', 'sh', '-c', f'{small} && "$@"; status=$?; ls -A {place}/at '
                f'>{place}/left; umount {place}/at; exit $status', 'sh'])
        with open(f'{place}/left', encoding='ascii') as listing:
            there = listing.read().split()
        ok(unknown(result, 'No space left') and there == ['lost+found'],
           'a full disk is 2, and nothing is left on it', (result, there))
    case('no CAP_BPF is 2', 'cannot be watched', before=[
        'setpriv', '--bounding-set=-bpf,-sys_admin', '--inh-caps=-bpf,-sys_admin'])
    case('another user than root is 2', 'cannot be watched', before=[
        'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'])
    case('a kernel without BTF is 2', 'BTF',
         before=hidden('mount -t tmpfs none /sys/kernel/btf'))
    case('a backend that there is not is 2', 'secret memory', '--backend', 'tape')
    case('RLIMIT_MEMLOCK too small is 2', 'secret', before=[
        'prlimit', '--memlock=65536:65536', 'setpriv', '--bounding-set=-ipc_lock',
        '--inh-caps=-ipc_lock'])
    nowhere = 'mount -t tmpfs none /sys/fs/cgroup'
    result = run('--json', before=hidden(nowhere))
    document = json.loads(result.stdout)
    ok(result.returncode == 0 and is_clean(document) and document['notes'] and
       document['pressure']['by'] == 'process_madvise',
       'no cgroup to be had: pressed without, and a note says so', result)
    result = run('--json', '--seconds', '2', before=hidden(
        f'{nowhere} && set -- setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice "$@"'))
    document = json.loads(result.stdout)
    ok(result.returncode == 2 and document['verdict'] == 'unknown' and
       document['decoys']['left'] < document['decoys']['pages'] and document['reason'],
       'nor any other way to press is 2', result)
    with open('/dev/full', 'w', encoding='ascii') as full:
        ok(run(stdout=full).returncode == 2, 'a report that does not arrive is 2')
    for args in (['--seconds', '0'], ['--size', 'x'], ['--size', '-1'], ['--nonsense'],
                 ['--ordinary', '--backend', 'mlock'], ['--swap-file', '/', '--no-swap-file']):
        ok(run(*args).returncode == 2, f'{" ".join(args)} is 2')
    result = run('--json', '--backend', 'tape')
    document = json.loads(result.stdout)
    ok(document['verdict'] == 'unknown' and document['error'] and result.returncode == 2,
       'with --json too there is an object then', result)
    ok(left.now('*') is None, 'nothing is left of any of them', left.now('*'))


def start():
    """One that takes a while: most of it in each of its steps."""
    return subprocess.Popen(command(['--size', '48']), env=ENVIRONMENT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, start_new_session=True)


def duration():
    begin = time.monotonic()
    start().communicate()
    return time.monotonic() - begin


def kill_at(moment, number, whom, kill=os.kill):
    """Of a check that runs: when it has ended, what it is, what was said, what is left."""
    left = Left()
    process = start()
    time.sleep(moment)
    victim = whom(process.pid)
    if victim:
        with contextlib.suppress(ProcessLookupError):
            kill(victim, number)
    said = process.communicate()[1]
    return process.returncode, said, left.now(process.pid), victim


def guard_of(pid):
    with contextlib.suppress(OSError):
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
            for child in file.read().split():
                with open(f'/proc/{child}/comm', encoding='ascii') as comm:
                    if comm.read() == 'lethectl-guard\n':
                        return int(child)
    return None


def test_kills():
    random.seed()
    takes = duration()

    def moments(number):
        return [random.uniform(0, takes) for _ in range(number)]

    def itself(pid):
        return pid

    rest = [what for moment in moments(KILLS)
            for what in [kill_at(moment, signal.SIGKILL, itself)[2]] if what]
    ok(not rest, f'SIGKILL at {KILLS} moments leaves no process, cgroup, file, swap, BPF '
       'program or mount', rest)
    rest = [what for moment in moments(KILLS)
            for what in [kill_at(moment, signal.SIGKILL, itself, os.killpg)[2]] if what]
    ok(not rest, 'nor does that of its whole process group', rest)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ended = [kill_at(moment, number, itself) for moment in moments(3)]
        # At the very end it may have been too late.
        ok(not any(rest for _, _, rest, _ in ended) and
           all(status in (-number, 0) for status, _, _, _ in ended) and
           any(status == -number for status, _, _, _ in ended),
           f'so {number.name}, of which it dies', ended)
    ended = [end for end in (kill_at(moment, signal.SIGKILL, subject_of)
                             for moment in moments(12)) if end[3]][:4]
    ok(ended and not any(rest for _, _, rest, _ in ended) and
       all(status in (0, 2) for status, _, _, _ in ended) and
       any(status == 2 and 'signal 9' in said for status, said, _, _ in ended),
       'SIGKILL of the process with the secret is 2, says so, and leaves nothing', ended)
    ended = [kill_at(moment, signal.SIGKILL, guard_of) for moment in moments(4)]
    ok(not any(rest for _, _, rest, _ in ended) and
       all(status == 0 for status, _, _, _ in ended),
       'where the guard is killed, all is undone without it', ended)


def test_control():
    """That the looking finds what would be left."""
    left = Left()
    process = start()
    found = [set(), set(), set()]
    while process.poll() is None:
        found[0].update(cgroups(process.pid))
        found[1].update(files(process.pid))
        found[2].update(programs() - left.programs - held())
    process.communicate()
    ok(all(found), 'control: while it runs its cgroup, its file and its programs are found',
       found)


def names_in(value):
    """Every member's name."""
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(names_in, value.values()))


def test_manual():
    with open(os.path.join(os.path.dirname(__file__), '../../user/man/lethectl.1'),
              encoding='ascii') as file:
        manual = file.read()
    names = names_in(json.loads(run('--json').stdout))
    missing = [name for name in names if f'.It Cm {name}' not in manual]
    ok(len(names) > 30 and not missing, 'each member is in the manual', missing)
    # As it is said of check itself.
    manual = manual[manual.index('.Ss lethectl check'):]
    options = re.findall(r'--([a-z-]+)', run('--help').stdout)
    missing = [name for name in options if name not in ('help', 'usage', 'version') and
               not re.search(rf'^\.It .*Fl Fl {name}', manual, re.M)]
    ok(len(options) >= 10 and not missing, 'and each option', missing)


def main():
    if os.geteuid():
        return DOCUMENT.skip_all('root')
    test_verdicts()
    test_swap()
    test_overwritten()
    test_unknown()
    test_control()
    test_kills()
    test_manual()
    return DOCUMENT.end(PLANNED)


if __name__ == '__main__':
    sys.exit(main())
