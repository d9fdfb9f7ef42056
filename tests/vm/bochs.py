#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Show what a processor keeps of registers that were zeroed, and that the module
erases it, on an emulator that models it: QEMU's writes every component each time.

    bochs.py [options of vm.py test] -- PROGRAM

The program (tests/residue/stale.c) prints what to search for, needles named "kept",
"wiped" and "at-once", of the caller, and a pair for each other target, of which the
one that was kept is the control; and then executes `xchg %bx, %bx`, where Bochs's debugger stops and writes the memory down. One
processor, with AVX.

The exit status is that of vm.py.
"""

import os
import pty
import shlex
import shutil
import subprocess
import sys
import time

import guest
import kernel
import klog
import result
import tap
import vm
from initramfs import Guest
from machine import MachineError

_MEMORY_MIB = 256
# The firmware's tables lie at the end, and are not in the direct map.
_SEARCHED = (_MEMORY_MIB << 20) - (64 << 10)
# Of the kernel without KASLR, which maps all memory from here on.
_DIRECT_MAP = 0xffff888000000000

# nopti: the debugger reads by the page tables of the program that stopped. An
# emulated line is slow: what is below a warning is not printed.
_PARAMETERS = ('console=ttyS0 nokaslr nopti panic=-1 oops=panic '
               'panic_on_warn=1 no_timer_check loglevel=5')

_BOOT_FILES = ('/usr/lib/ISOLINUX/isolinux.bin',
               '/usr/lib/syslinux/modules/bios/ldlinux.c32')

_CONFIG = '''\
cpu: model={model}, count=1, ips=50000000
memory: guest={memory}, host={memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={directory}/boot.iso, status=inserted
boot: cdrom
display_library: term
com1: enabled=1, mode=file, dev={directory}/console.log
magic_break: enabled=1
clock: sync=none
log: {directory}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
'''

# It has AVX. Of what has AVX-512, see bochs_program.py.
_HASWELL = 'corei7_haswell_4770'

_INIT = '''\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
dmesg | head -n 1
insmod {module}
echo "insmod $?"
exec {program}
'''


def _write_root(path, options):
    """The guest's root: busybox, the module, the program and its libraries."""
    made = Guest(guest.SOURCES, options.build)
    for place in ('dev', 'proc', 'sys', 'tmp'):
        made.archive.directory(f'/{place}')
    made.archive.node('/dev/console', 5, 1)
    made.busybox()
    words = [made.bring(word) if made.is_ours(word) else shlex.quote(word)
             for word in options.words]
    text = _INIT.format(module=made.bring(options.module), program=' '.join(words))
    made.archive.file('/init', text.encode(), 0o755)
    made.archive.write(path)


def write_iso(directory, options, image):
    """What the firmware boots from."""
    files = directory / 'iso'
    files.mkdir()
    _write_root(files / 'initrd', options)
    shutil.copy(image.bzimage, files / 'vmlinuz')
    for name in _BOOT_FILES:
        shutil.copy(name, files)
    (files / 'isolinux.cfg').write_text(
        'default linux\nprompt 0\nlabel linux\nkernel vmlinuz\n'
        f'append {" ".join(["initrd=initrd", _PARAMETERS, *options.append])}\n',
        encoding='ascii')
    subprocess.run(
        ['xorriso', '-as', 'mkisofs', '-quiet', '-o', directory / 'boot.iso',
         '-b', 'isolinux.bin', '-c', 'boot.cat', '-no-emul-boot',
         '-boot-load-size', '4', '-boot-info-table', files],
        check=True, capture_output=True)


def emulate(directory, seconds, model=_HASWELL, dump=True):
    """Run Bochs until its debugger stops, and has written the memory down, if it
    is to; why not, or None. It wants a terminal, and gets one that nobody looks at."""
    (directory / 'bochsrc').write_text(
        _CONFIG.format(memory=_MEMORY_MIB, directory=directory, model=model), 'utf-8')
    memory = directory / 'memory'
    (directory / 'commands').write_text(
        'c\n' + f'writemem "{memory}" {_DIRECT_MAP:#x} {_SEARCHED:#x}\n' * dump
        + 'q\n', 'utf-8')
    ours, theirs = pty.openpty()
    try:
        emulator = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'bochs', '-q',
             '-f', directory / 'bochsrc', '-rc', directory / 'commands'],
            stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, env={**os.environ, 'TERM': 'xterm'})
    except FileNotFoundError as error:
        os.close(ours)
        raise MachineError(f'{error.filename} is not installed') from None
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    end = time.monotonic() + seconds
    while emulator.poll() is None and time.monotonic() < end:
        try:
            while os.read(ours, 65536):
                pass
        except OSError:
            pass    # nothing there now, or its end
        time.sleep(0.1)
    late = emulator.poll() is None
    if late:
        emulator.kill()
        emulator.wait()
    os.close(ours)
    if late:
        return f'it did not come to the breakpoint within {seconds} s'
    if dump and (not memory.exists() or memory.stat().st_size < _SEARCHED):
        return 'its memory was not written down'
    return None


def _search(directory, options, console):
    """{name: copies} of each needle that the program printed."""
    needles = [line for line in console.splitlines()
               if line.startswith('NEEDLE ')]
    searched = subprocess.run(
        [options.ramsearch, directory / 'memory'], check=True, text=True,
        capture_output=True, input='\n'.join([*needles, 'GO\n']))
    return {words[1]: int(words[2])
            for words in map(str.split, searched.stdout.splitlines())
            if words[0] == 'FOUND'}


def _rows(found):
    """The line of the residue table (tests/residue/record.h), of all targets."""
    kept = [copies for name, copies in found.items() if name.endswith('kept')]
    left = [copies for name, copies in found.items() if not name.endswith('kept')]
    # One for each target, and one more that was wiped at once.
    if (len(kept), len(left)) != (3, 4):
        return []
    return ['\t'.join(['residue', 'XSAVE area after preemption', 'kmod',
                       str(sum(kept)), str(sum(left)), str(_SEARCHED), ''])]


def conclude(options, image, begun, console, lost, points, text):
    """Leaves the document, and says what it came to; vm.py's exit status."""
    if options.tap:
        options.tap.parent.mkdir(parents=True, exist_ok=True)
        options.tap.write_text(text, encoding='utf-8')
    else:
        print(text, end='', flush=True)
    verdict = result.Verdict(lost, points, [])
    outcome = f'LOST ({lost})' if lost else verdict.summary()
    vm.say(f'{image.release}: {outcome}, {time.monotonic() - begun:.1f} s')
    if verdict.good:
        return 0
    for good, sentence, notes in points:
        if not good:
            print('\n    '.join([f'not ok - {sentence}', *notes]),
                  file=sys.stderr)
    vm.keep_log(options, console, 'LOST' if lost else 'failed')
    return vm.LOST if lost else vm.FAILED


def judge(options, directory):
    """Run it; vm.py's exit status."""
    image = kernel.fetch(options.kernel, options.build, vm.say)
    options.module = options.module.replace('{kernel}', image.name)
    begun = time.monotonic()
    write_iso(directory, options, image)
    vm.say(f'{options.kernel}: in Bochs')
    lost = emulate(directory, options.timeout)
    log = directory / 'console.log'
    console = log.read_text('utf-8', 'replace').replace('\r', '') \
        if log.exists() else ''
    found = {} if lost else _search(directory, options, console)
    bad = klog.scan(console, vm.allowed(), whole=False)
    told = klog.evidence(console, vm.allowed())

    kept, wiped, at_once = map(found.get, ('kept', 'wiped', 'at-once'))
    points = [
        (not lost, 'the emulated machine comes to the breakpoint',
         [f'LOST: {lost}', *told] if lost else []),
        ('insmod 0' in console.splitlines(), 'lethe.ko loads', []),
        (bool(kept), 'registers that were full at a switch, zeroed, and switched '
         f'from again: the kernel keeps what they held ({kept} copies in '
         f'{_SEARCHED} bytes)', []),
        (wiped == 0, 'after LETHE_WIPE_REGISTERS it keeps nothing of it '
         f'({wiped} copies)', []),
        (at_once == 0, 'nor where nothing had been saved since the zeroing '
         f'({at_once} copies)', []),
    ]
    for target, name in (('thread', 'another thread that was preempted'),
                         ('tracee', 'a tracee')):
        kept, wiped = map(found.get, (f'{target}-kept', f'{target}-wiped'))
        points += [
            (bool(kept), f'{name}: the kernel keeps what its registers held '
             f'({kept} copies)', []),
            (wiped == 0, f'{name}, wiped by others: it keeps nothing of it '
             f'({wiped} copies)', []),
        ]
    points.append((not bad, "the kernel's log is clean",
                   bad if lost or not bad else [*bad, *told]))
    text = tap.write(points, [f'Linux {image.release}, Bochs, Haswell',
                              *_rows(found)])
    return conclude(options, image, begun, console, lost, points, text)


def main(arguments):
    """bochs.py"""
    options = vm.parse_arguments(['test', *arguments])
    return vm.guarded(options, lambda directory: judge(options, directory))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
