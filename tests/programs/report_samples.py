# SPDX-License-Identifier: MIT
#
# Reports as lethectl verify could write them, to look at how its page draws them: what
# stands in them was made up here, and nothing was measured.
"""SAMPLES: {name: what makes it}; page(): the page with one in it."""

import copy
import json
import random

MARKER = '@DATA@'
SCRIPT = "</script><script>document.title='owned'</script><img src=x>"
# Each would be an element, an end of the script or a change of the text's direction.
HOSTILE = ('<img src=x onerror=alert(1)>', SCRIPT,
           '<!--<script>', '"><b id=owned>', '\u202egnp.exe', "'; rm -rf /", '\x1b[2J\x07\n',
           '__proto__', 'x' * 3000)
LIBRARIES = ('libcrypto.so.3', 'libssl.so.3', 'libc.so.6', 'libpthread.so.0', 'libz.so.1',
             'ld-linux-x86-64.so.2')


def page(template, data):
    """As lethectl does it: < is \\u003c, or a name could end the script."""
    text = data if isinstance(data, str) else json.dumps(data).replace('<', '\\u003c')
    assert template.count(MARKER) == 1
    return template.replace(MARKER, text)


def mapping(start, length, rights, kind, name=''):
    return {'start': hex(start), 'end': hex(start + length), 'rights': rights, 'kind': kind,
            'name': name}


def mappings(program='/usr/bin/tls-server', threads=3):
    """Of a program with libraries, two secret regions and 100 GiB of which next to nothing is."""
    made, at = [], 0x55d0c8a00000
    for length, rights in ((0x4000, 'r--p'), (0x23000, 'r-xp'), (0x9000, 'r--p'), (0x2000, 'rw-p')):
        made.append(mapping(at, length, rights, 'file', program))
        at += length
    made.append(mapping(0x55d0c9f1a000, 0x84000, 'rw-p', 'heap', '[heap]'))
    made.append(mapping(0x7e0000000000, 100 << 30, 'rw-p', 'anonymous'))
    at = 0x7f31a0000000
    for thread in range(threads):
        made.append(mapping(at, 0x1000, '---p', 'anonymous'))
        made.append(mapping(at + 0x1000, 8 << 20, 'rw-p', 'stack', ''))
        at += (8 << 20) + 0x1000
    at = 0x7f31a8000000
    made.append(mapping(at, 2 << 20, 'rw-s', 'secret', 'anon_inode:[lethe]'))
    made.append(mapping(at + (4 << 20), 0x40000, 'rw-s', 'secret', '/secretmem (deleted)'))
    made.append(mapping(at + (16 << 20), 0x10000, 'rw-s', 'device', '/dev/dri/card0'))
    at += 32 << 20
    for number, library in enumerate(LIBRARIES):
        for length, rights in ((0x26000, 'r--p'), (0x155000 + number * 0x31000, 'r-xp'),
                               (0x53000, 'r--p'), (0x4000, 'r--p'), (0x2000, 'rw-p')):
            made.append(mapping(at, length, rights, 'file', '/usr/lib/x86_64-linux-gnu/' + library))
            at += length
        made.append(mapping(at, 0xd000, 'rw-p', 'anonymous'))
        at += 0xd000 + 0x3000
    made.append(mapping(0x7ffd5c3e0000, 0x22000, 'rw-p', 'stack', '[stack]'))
    made.append(mapping(0x7ffd5c5a2000, 0x4000, 'r--p', 'kernel', '[vvar]'))
    made.append(mapping(0x7ffd5c5a6000, 0x2000, 'r-xp', 'kernel', '[vdso]'))
    made.append(mapping(0xffffffffff600000, 0x1000, '--xp', 'kernel', '[vsyscall]'))
    return made


def finding(form, what, said, address=None, place='', whole=False, **more):
    made = {'form': form, 'what': what, 'whole': whole, 'bytes': said, 'run': said, 'at_byte': 0,
            'in': 'memory', 'place': place, **more}
    if address is not None:
        made['address'] = address
    return made


def stop(number, at, why='section end', **more):
    more = copy.deepcopy(more)
    made = {'number': number, 'at': at, 'pid': 4100, 'thread': 4100, 'why': why,
            'searched_bytes': 23461888, 'register_bytes': 11232, 'stopped_ns': 31200000,
            'complete': True, 'protected': [], 'unreadable': [], 'findings': []}
    if why == 'section end':
        made['section'] = number
    return {**made, **more}


PROTECTED = [{'address': 0x7f31a8000000, 'bytes': 2 << 20, 'mapping': 'anon_inode:[lethe]',
              'why': "a region of Lethe's"},
             {'address': 0x7f31a8400000, 'bytes': 0x40000, 'mapping': '/secretmem (deleted)',
              'why': 'memfd_secret'}]
UNREADABLE = [{'address': 0x7f31a9000000, 'bytes': 0x10000, 'mapping': '/dev/dri/card0',
               'why': "a device's memory, which the kernel reads for nobody"}]
CHECKS = [('control', 'passed', 'the decoy was found at each of 9 stops'),
          ('section ends', 'passed', '8 of 8 were searched'),
          ('exit', 'passed', 'searched as the last thread left'),
          ('core dump', 'not asked', 'the program did not dump core'),
          ('swap', 'passed', '3,201 pages left memory, and none was secret'),
          ('access', 'passed', 'nobody tried to read a secret page'),
          ('level', 'passed', 'unmapped, as required')]


def checks(**other):
    return [{'name': name, 'status': other.get(name.replace(' ', '_'), (status, detail))[0],
             'detail': other.get(name.replace(' ', '_'), (status, detail))[1]}
            for name, status, detail in CHECKS]


def report(verdict, **more):
    return {'schema': 1, 'verb': 'verify', 'verdict': verdict,
            'program': ['/usr/bin/tls-server', '--listen', '127.0.0.1:8443', '--name',
                        "the server's own"],
            'started': '2026-11-26T14:03:22Z', 'seconds': 2.4815,
            'secret': {'given': True, 'bytes': 32, 'patterns': 418}, 'backend': 'kmod',
            'level': 'unmapped', 'exit': {'status': 0},
            'processes': [{'pid': 4100, 'parent': 4099, 'name': 'tls-server', 'from': 0.002,
                           'to': 2.47, 'sections': 8, 'searched_sections': 8}],
            'stops': [], 'maps': [{'pid': 4100, 'at': 0.01, 'mappings': mappings()}], 'events': [],
            'probes': [
                {'name': 'swap', 'attached': True, 'unseen': 'pages that hibernation writes'},
                {'name': 'access', 'attached': True, 'unseen': 'DMA of devices'},
                {'name': 'leaving', 'attached': False,
                 'unseen': 'what is lent to a device: this kernel has no such hook'}],
            'pages': {'seen': 3201, 'secret': 0}, 'checks': checks(), 'notes': [], **more}


def clean():
    stops = [stop(n, 0.2 * n + 0.05, protected=PROTECTED) for n in range(1, 9)]
    return report('clean', stops=stops + [stop(9, 2.461, 'exit')])


def found():
    """Something of everything."""
    heap, stack, crypto = 0x55d0c9f1a000, 0x7f31a0802000, 0x7f31aa000000
    one = finding('plain', 'plain', 32, heap + 0x2a0, '[heap] + 0x2a0', True, offset=0x2a0,
                  mapping='[heap]', rights='rw-p')
    two = finding('aes', 'AES-256 round keys', 20, heap + 0x5f10, '[heap] + 0x5f10', offset=0x5f10,
                  mapping='[heap]', rights='rw-p', at_byte=12)
    three = finding('plain', 'plain', 16, stack + 0x7ff100, 'the stack of thread 4112',
                    thread=4112, offset=0x7ff100, rights='rw-p')
    four = finding('hex', 'hex, upper case', 32, crypto + 0x6f1a0,
                   'libcrypto.so.3: OPENSSL_ia32cap_P', True, symbol='OPENSSL_ia32cap_P',
                   offset=0x20, rights='r-xp',
                   mapping='/usr/lib/x86_64-linux-gnu/libcrypto.so.3')
    five = {**finding('plain', 'plain', 16, None, 'xmm3', thread=4112), 'in': 'register'}
    six = {**finding('plain', 'plain', 32, None, 'the FPU state of thread 4112', True, thread=4112),
           'in': 'kernel'}
    seven = finding('base64', 'base64 at offset 1', 32, 0x7ffd5c401e38,
                    'the environment, variable TOKEN', True, mapping='[stack]', rights='rw-p')
    eight = finding('words', 'words of 8 bytes the other way round', 8, 0xffffffffff600010,
                    '[vsyscall] + 0x10', mapping='[vsyscall]', rights='--xp')
    nine = finding('plain', 'plain', 24, 0x7e0c80000000, 'anonymous memory + 0xc80000000')
    got = {4: [one, two, three, five], 5: [one, two], 6: [one, four, six, nine], 7: [one],
           8: [one, seven]}
    stops = [stop(n, 0.2 * n + 0.05, protected=PROTECTED, unreadable=UNREADABLE if n > 5 else [],
                  complete=n <= 5, thread=(4100, 4112, 4113)[n % 3], findings=got.get(n, []))
             for n in range(1, 9)]
    stops.append(stop(9, 1.1, pid=4120, thread=4120, section=1))
    stops.append(stop(10, 2.30, 'exit', thread=None, findings=[one, seven, eight]))
    stops.append(stop(11, 2.44, 'core', thread=None, findings=[one, seven], register_bytes=None))
    del stops[-1]['thread'], stops[-2]['thread']
    child = {'pid': 4120, 'parent': 4100, 'name': 'worker', 'from': 0.71, 'to': 1.62, 'sections': 3,
             'searched_sections': 1}
    whole = report('found', stops=stops, exit={'signal': 'SIGABRT', 'core': True})
    whole['processes'].append(child)
    whole['maps'].append({'pid': 4120, 'at': 0.72, 'mappings': mappings('/usr/bin/worker', 0)})
    whole['events'] = [
        {'at': 0.9, 'pid': 4100, 'kind': 'swap', 'what': '12 pages went to /dev/nvme0n1p3'},
        {'at': 1.31, 'pid': 4100, 'kind': 'access', 'violation': False,
         'what': 'gdb (4200) tried to read a secret page'},
        {'at': 1.9, 'pid': 4120, 'kind': 'leaving', 'what': 'a secret page was lent to a pipe',
         'violation': True}]
    whole['checks'] = checks(section_ends=('failed', 'copies of the secret after 5 of 9'),
                             exit=('failed', '3 copies of the secret'),
                             core_dump=('failed', '2 copies of the secret in 41 MiB'),
                             access=('unknown', 'the probe lost 4 events'))
    whole['pages'] = {'seen': 3201, 'secret': 1}
    whole['notes'] = ['of 3 sections of worker one was searched: the others ended while it was'
                      ' stopped', 'stripped files have no symbols: libcrypto.so.3']
    return whole


def unknown():
    whole = clean()
    whole['verdict'] = 'unknown'
    whole['checks'] = checks(control=('failed', 'the decoy was not found at stop 3'),
                             access=('unknown', 'the probe could not be attached: no BTF'))
    whole['stops'][2]['complete'] = False
    whole['stops'][2]['unreadable'] = UNREADABLE
    return whole


def huge():
    """10,000 stops of 400 threads in 30 processes, 5,000 mappings, 4,096 findings at one stop."""
    dice = random.Random(7)
    at, some = 0x10000, []
    for number in range(5000):
        length = 4096 << dice.choice((0, 0, 0, 1, 2, 4, 6, 9))
        kind = dice.choice(('file', 'file', 'anonymous', 'anonymous', 'heap'))
        some.append(mapping(at, length, dice.choice(('r--p', 'rw-p', 'r-xp')), kind,
                            '/srv/module%d.so' % (number // 3) if kind == 'file' else ''))
        at += length + dice.choice((0, 0, 4096, 1 << 30))
    places = []
    for number in range(4096):
        # Half of them close together, as a key schedule's heap is.
        one = some[dice.randrange(40) * 3] if number % 2 else some[dice.randrange(5000)]
        start, end = int(one['start'], 16), int(one['end'], 16)
        address = start + dice.randrange(end - start) // 8 * 8
        places.append(finding('plain', 'plain', dice.randrange(8, 33), address, 'somewhere',
                              number % 50 == 0, offset=address % 4096, symbol='symbol_%d' % number))
    places = list({one['address']: one for one in places}.values())
    while len(places) < 4096:
        places.append(finding('hex', 'hex', 9, places[len(places) - 4090]['address'], 'somewhere'))
    stops = []
    for number in range(10000):
        pid = 5000 + (0 if dice.random() < 0.4 else dice.randrange(30) * 100)
        stops.append(stop(number + 1, number * 0.06 + dice.random() * 0.01, pid=pid,
                          thread=pid + dice.randrange(40 if pid == 5000 else 12),
                          why='exit' if number % 500 == 499 else 'section end',
                          findings=places[:3] if number % 97 == 0 and pid == 5000 else []))
    stops[6000].update(pid=5000, thread=5007, findings=places)
    return report('violation', seconds=601.5, stops=stops,
                  processes=[{'pid': 5000 + n * 100, 'parent': 1, 'name': 'worker-%d' % n,
                              'from': n * 0.5, 'to': 600, 'sections': 12000,
                              'searched_sections': 10000} for n in range(30)],
                  maps=[{'pid': 5000, 'at': 0, 'mappings': some}],
                  events=[{'at': dice.random() * 600, 'pid': 5000, 'kind': 'swap', 'what': 'a page',
                           'violation': n % 900 == 0} for n in range(2500)])


def hostile():
    """Names that were chosen for what they would be in HTML."""
    whole, name = found(), iter(HOSTILE * 100)
    whole['program'] = list(HOSTILE)
    whole['backend'], whole['level'], whole['started'] = next(name), next(name), next(name)
    for process in whole['processes']:
        process['name'] = next(name)
    for some in whole['maps']:
        for one in some['mappings'][::4]:
            one['name'] = one['name'] and next(name)
            one['rights'], one['kind'] = next(name), next(name)
    for one in whole['stops']:
        for each in one['findings']:
            each.update(place=next(name), symbol=next(name), mapping=next(name), what=next(name),
                        form=next(name), rights=next(name))
        for each in one['protected'] + one['unreadable']:
            each.update(mapping=next(name), why=next(name))
    whole['stops'][0]['why'] = whole['stops'][1]['section'] = next(name)
    for one in whole['events']:
        one.update(kind=next(name), what=next(name))
    for one in whole['checks']:
        one.update(name=next(name), detail=next(name))
    whole['checks'][0]['status'] = 'toString'
    for one in whole['probes']:
        one.update(name=next(name), unseen=next(name))
    whole['notes'] = list(HOSTILE)
    whole['exit'] = {'signal': next(name)}
    return whole


def empty():
    """No secret given, and a program that had no section."""
    return report('clean', secret={'given': False}, processes=[], maps=[], probes=[],
                  checks=checks(section_ends=('not asked', 'no secret was given')))


def fragment():
    """Members missing, or not what they should be."""
    return {'verdict': 'perhaps', 'program': 'ls', 'seconds': 'long', 'processes': None, 'exit': 7,
            'stops': [{}, {'findings': [{}, None, {'address': 'here', 'bytes': 'x'}]},
                      {'at': 'now', 'pid': 3, 'why': 'core', 'protected': {}, 'unreadable': [{}]}],
            'maps': [{}, {'pid': 3, 'mappings': [{}, {'start': '0x10', 'end': '0x8'},
                                                 {'start': '5', 'end': '0x2000'}]}],
            'events': [{}], 'checks': [{}], 'probes': [{}], 'notes': 'none'}


SAMPLES = {'clean': clean, 'found': found, 'unknown': unknown, 'huge': huge, 'hostile': hostile,
           'empty': empty, 'fragment': fragment, 'nothing': dict, 'unfilled': lambda: MARKER,
           'cut': lambda: json.dumps(found())[:5000]}
