#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The order of drivers' own tests, with modules that are made up. Run on the host;
no machine is started.
"""

import sys

import drivers
import selftest


def module(depends='', before='', alias='y'):
    """As much of a module as says what it needs."""
    return f'\x7fELF\0name=x\0depends={depends}\0alias={alias}\0' \
        f'{f"softdep=pre: {before}" if before else "alias=z"}\0'.encode()


def order(names, modules, built_in=()):
    """The names in the order in which they are loaded."""
    return [name for name, _ in drivers.in_order(
        names, {name: module(*said) for name, said in modules.items()},
        built_in.__contains__)]


def needed_first():
    """what a module needs is loaded before it, and once"""
    selftest.equal(order(['zram', 'b'], {'zram': ('zs,b',), 'zs': ('c',),
                                         'b': ('c',), 'c': ()}),
                   ['c', 'zs', 'b', 'zram'])


def built_in():
    """what is built in is not loaded, and not missed"""
    selftest.equal(order(['nvme'], {}, ['nvme']), [])
    selftest.equal(order(['zram'], {'zram': ('zs',)}, ['zs']), ['zram'])


def dashes():
    """a dash and an underscore in a name are the same"""
    selftest.equal(order(['lzo-rle'], {'lzo_rle': ('nvme-core',),
                                       'nvme_core': ()}),
                   ['nvme_core', 'lzo_rle'])


def soft():
    """what is only to be there before is loaded if a module goes by that name"""
    selftest.equal(order(['ext4'], {'ext4': ('jbd2', 'crc32c other'), 'jbd2': (),
                                    'other': ()}), ['jbd2', 'other', 'ext4'])
    selftest.equal(order(['ext4'], {'ext4': ('', 'crc32c'), 'a': (),
                                    'generic': ('', '', 'crc32c')}),
                   ['generic', 'ext4'])


def missing():
    """a driver that is nowhere is an error that names it and who wants it"""
    for names, modules in ((['zram'], {}), (['a'], {'a': ('zram',)})):
        error = selftest.raises(drivers.DriverError, order, names, modules)
        selftest.equal('zram' in str(error), True)
    selftest.raises(drivers.DriverError, order, ['a'], {'a': ('b',), 'b': ('a',)})


if __name__ == '__main__':
    sys.exit(selftest.run([needed_first, built_in, dashes, soft, missing]))
