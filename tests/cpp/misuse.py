#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What must not compile does not, and says why; what differs from it by that alone does.

    misuse.py DIRECTORY COMPILER ...

DIRECTORY has lethe.hpp; a compiler is one word, as g++. Of each snippet the right way is
compiled first, which is the control, and then the wrong one. Then that the header is clean, as each standard
from C++17 on has it that the compiler knows, under the warnings that its users may have, and
without RTTI or exceptions. Never links or runs anything.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

STRICT = ("-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast "
          "-Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wundef -Werror").split()
STANDARDS = ("c++17", "c++20", "c++23")

# What is told, the right way, the wrong one, and a part of what compilers say to that.
SNIPPETS = [
    ("a basic_string on lethe::allocator, which would keep short ones in itself",
     "lethe::string s;",
     "std::basic_string<char, std::char_traits<char>, lethe::allocator<char>> s;",
     "use lethe::string"),
    ("a wide one", "std::vector<int, lethe::allocator<int>> v;",
     "std::vector<wchar_t, lethe::allocator<wchar_t>> v;", "use lethe::string"),
    ("a buffer of what has an end of its own", "lethe::buffer<int> b(1);",
     "lethe::buffer<std::string> b(1);", "its elements are of a trivial type"),
    ("a buffer of what is not zero at first", "struct A { int n; }; lethe::buffer<A> b(1);",
     "struct A { int n = 1; }; lethe::buffer<A> b(1);", "its elements are of a trivial type"),
    ("a buffer of pointers", "lethe::buffer<char> b(1);", "lethe::buffer<char *> b(1);",
     "nothing that they point to"),
    ("a buffer of what is constant", "lethe::buffer<char> b(1);",
     "lethe::buffer<const char> b(1);", "an unqualified type"),
    ("a copied buffer", "lethe::buffer<char> a(1), b(std::move(a));",
     "lethe::buffer<char> a(1), b(a);", "deleted"),
    ("two buffers compared by their padding",
     "struct A { int a, b; }; lethe::buffer<A> a(1), b(1); (void)(a == b);",
     "struct A { int a; char b; }; lethe::buffer<A> a(1), b(1); (void)(a == b);",
     "elements with padding"),
    ("an access that is closed before its data are used",
     "lethe::buffer<char> b(1); auto access = b.read(); (void)access.data();",
     "lethe::buffer<char> b(1); (void)b.read().data();", "deleted"),
    ("one of its elements likewise",
     "lethe::buffer<char> b(1); auto access = b.read(); (void)access[0];",
     "lethe::buffer<char> b(1); (void)b.read()[0];", "deleted"),
    ("an access that nobody has", "lethe::buffer<char> b(1); auto access = b.read();",
     "lethe::buffer<char> b(1); b.read();", "nodiscard|warn_unused_result"),
    ("to write by an access that reads",
     "lethe::buffer<char> b(1); auto access = b.write(); access[0] = 1;",
     "lethe::buffer<char> b(1); auto access = b.read(); access[0] = 1;",
     "read-only|const-qualified|not assignable|assignment of"),
    ("a section that returns an initializer_list", "lethe::run([] { return 1; });",
     "(void)lethe::run([]() -> std::initializer_list<int> { return {}; });",
     "refers to the section's stack"),
    ("a section that returns what cannot be moved",
     "struct A { A() = default; A(A &&) {} }; (void)lethe::run([] { return A(); });",
     "struct A { A() = default; A(A &&) = delete; }; (void)lethe::run([] { return A(); });",
     "must be movable"),
    ("try_run() of what returns something", "(void)lethe::try_run([] {});",
     "(void)lethe::try_run([] { return 1; });", "for what returns nothing"),
    ("an error that nobody looks at", "(void)lethe::try_run([] {});", "lethe::try_run([] {});",
     "nodiscard|warn_unused_result"),
    ("a paused that ends at once", "lethe::paused paused;", "lethe::paused();",
     "nodiscard|warn_unused_result|unused|temporary"),
    ("a lethe::string that is printed", "lethe::string s; std::cout << s.view();",
     "lethe::string s; std::cout << s;", "no match|invalid operands"),
    ("one that is hashed",
     "lethe::string s; (void)std::hash<std::string_view>()(s.view());",
     "lethe::string s; (void)std::hash<lethe::string>()(s);", "deleted"),
    ("two that are ordered", "lethe::string a, b; (void)(a == b);",
     "lethe::string a, b; (void)(a < b);", "no match|invalid operands"),
    ("one that is seen as a string_view unasked",
     "lethe::string s; std::string_view v(s); (void)v;",
     "lethe::string s; std::string_view v = s; (void)v;", "conversion|convert"),
    ("one that is made of a literal unasked", 'lethe::string s("x");', 'lethe::string s = "x";',
     "conversion|convert"),
    ("one that is made of nothing", "lethe::string s;", "lethe::string s(nullptr);", "deleted"),
]

HEADERS = "initializer_list iostream string string_view utility vector lethe.hpp".split()
OPTIONS = ("-std=c++17", "-Wall", "-Werror=unused-result", "-Werror=unused-value",
           "-Wno-unused-variable")


def compiled(compiler, directory, source, *options):
    """Does it compile, and what was said."""
    done = subprocess.run([compiler, "-fsyntax-only", "-I", directory, "-x", "c++", *options, "-"],
                          input=source, text=True, capture_output=True, check=False,
                          env=dict(os.environ, LC_ALL="C"))
    return done.returncode == 0, done.stderr


def precompiled(compiler, directory, scratch):
    """What every snippet includes, read by the compiler once; and how to give it that."""
    prefix = os.path.join(scratch, f"{os.path.basename(compiler)}.hpp")
    with open(prefix, "w", encoding="ascii") as file:
        file.write("".join(f"#include <{header}>\n" for header in HEADERS))
    subprocess.run([compiler, "-I", directory, *OPTIONS, "-x", "c++-header", prefix,
                    "-o", f"{prefix}.gch"], check=True)
    return ("-include-pch", f"{prefix}.gch") if "clang" in compiler else ("-include", prefix)


def try_snippet(compiler, directory, include, case):
    """(good, sentence, what was said)."""
    what, right, wrong, words = case
    options = (*include, *OPTIONS)
    control, said = compiled(compiler, directory, f"int main() {{ {right} }}\n", *options)
    if not control:
        return False, f"{compiler}: control: what differs from {what} compiles", said
    refused, said = compiled(compiler, directory, f"int main() {{ {wrong} }}\n", *options)
    good = not refused and re.search(words, said)
    return bool(good), f"{compiler}: {what} does not compile, and the reason is told", said


def try_clean(compiler, directory, options):
    """Likewise, of the header alone."""
    good, said = compiled(compiler, directory, "#include <lethe.hpp>\nint main() {}\n", *STRICT,
                          *options)
    return good, f"{compiler}: lethe.hpp is clean with {' '.join(options)}", said


def try_older(compiler, directory):
    """And before C++17."""
    good, said = compiled(compiler, directory, "#include <lethe.hpp>\n", "-std=c++14")
    return not good and "lethe.hpp is C++17" in said, f"{compiler}: C++14 is told what is wanted", said


def tries(compiler, directory, include):
    """All that one compiler is asked, as functions of nothing."""
    for case in SNIPPETS:
        yield lambda case=case: try_snippet(compiler, directory, include, case)
    for standard in STANDARDS:
        if compiled(compiler, directory, "", f"-std={standard}")[0]:
            yield lambda standard=standard: try_clean(compiler, directory, [f"-std={standard}"])
    yield lambda: try_clean(compiler, directory, ["-std=c++17", "-fno-rtti", "-fno-exceptions"])
    yield lambda: try_older(compiler, directory)


def main(directory, *compilers):
    failed = 0
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        waiting = [pool.submit(each) for compiler in compilers
                   for each in tries(compiler, directory, precompiled(compiler, directory, scratch))]
        print(f"TAP version 13\n1..{len(waiting)}")
        for number, each in enumerate(waiting, 1):
            good, sentence, said = each.result()
            if not good:
                failed += 1
                print("\n".join(f"# {line}" for line in said.splitlines()[:12]))
            print(f"{'ok' if good else 'not ok'} {number} - {sentence}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
