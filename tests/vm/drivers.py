# SPDX-License-Identifier: MIT
"""Which of a kernel's own modules a guest has to load for a driver, and in what
order. It reads what each module says of itself, for there is no list: Debian makes
modules.dep only where a kernel is installed.
"""

import re


class DriverError(Exception):
    """No such driver, and who wants it."""


def plain(name):
    """A module's name as the kernel compares it."""
    return name.replace('-', '_')


def needs(module):
    """What a module (its bytes) says that it needs: (what must be there, what is
    to be there before it if it can be had)."""
    depends = re.search(rb'\0depends=([^\0]*)\0', module)
    before = re.search(rb'\0softdep=pre:\s*([^\0]*?)\s*(?:post:[^\0]*)?\0', module)
    return ([name for name in depends[1].decode().split(',') if name]
            if depends else [], before[1].decode().split() if before else [])


def _provider(name, modules):
    """The module of that name, or the first that goes by it too; or None."""
    if plain(name) in modules:
        return plain(name)
    alias = f'\0alias={name}\0'.encode()
    return next((key for key in sorted(modules) if alias in modules[key]), None)


def in_order(names, modules, has_built_in):
    """[(name, bytes)] of the modules for the drivers `names`, those that others
    need before them. `modules` has the bytes by plain name, or makes them."""
    chosen = {}

    def add(name, wanted_by, path=()):
        key = plain(name)
        if key in chosen or has_built_in(name):
            return
        if key not in modules:
            raise DriverError(f'{wanted_by} needs the driver {name}, which is '
                              'neither built in nor a module that is kept')
        if key in path:
            raise DriverError(f'{name} needs itself')
        data = modules[key]
        must, might = needs(data)
        for other in must:
            add(other, name, (*path, key))
        for other in filter(None, (_provider(name, modules) for name in might)):
            add(other, name, (*path, key))
        chosen[key] = data

    for name in names:
        add(name, 'a program')
    return list(chosen.items())
