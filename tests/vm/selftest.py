# SPDX-License-Identifier: MIT
"""Run the harness's own tests and print them as KTAP. A test is a function
whose docstring is the guarantee, and which raises where that does not hold.
"""

import traceback

import tap


def run(tests):
    """Run them, print the document, return the exit status."""
    points = []
    for test in tests:
        try:
            test()
            why = []
        except Exception:   # any way to fail is a failure
            why = traceback.format_exc().splitlines()
        points.append((not why, test.__doc__, why))
    print(tap.write(points), end='')
    return int(not all(good for good, _, _ in points))


def equal(got, wanted):
    """Fail unless they are equal, and show both."""
    if got != wanted:
        raise AssertionError(f'{got!r} is not {wanted!r}')


def raises(kind, function, *arguments):
    """Fail unless the call raises; return what it raised."""
    try:
        function(*arguments)
    except kind as error:
        return error
    raise AssertionError(f'{function.__name__}{arguments} did not raise')
