"""Layering: includes under csrc/ go down only, and packages of mmhash do not import in a cycle.

    python .ci/check_layers.py [ROOT]    # status 1 and one line for each violation

C++: a file may include what lies in its own room or in one below (ROOMS), and there is no cycle of
files. A quoted include is found beside the file or under csrc/, or CMake makes it.

Python: every import counts that is executed at some time, so also one inside a function, but not
one under `if TYPE_CHECKING`. A module belongs to the package that is its folder, and there is no
cycle of packages. `from mmhash import name` is an import of the module that mmhash/__init__.py has
the name from. That file itself, which hands out names, and `__main__.py`, which nobody imports, are
above all packages.
"""

from __future__ import annotations

import ast
import graphlib
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: From the top down. Rooms of one row must not include each other either.
ROOMS = (
    ("module",),
    ("values",),
    ("cache", "devices", "packages"),
    ("intake",),
    ("identity",),
    ("algorithms",),
)
SOURCES = {".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
GENERATED = re.compile(r"configure_file\(\S+\s+(?:\S*/)?([^\s/)]+)")

Graph = Mapping[str, set[str]]


def cycle(graph: Graph) -> list[str]:
    """A way round in a graph of who needs whom, or nothing; others may show when it is gone."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        way: list[str] = error.args[1]
        return way[::-1]  # it is given from what is needed to who needs it
    return []


# C++.


def room(file: str) -> str:
    """`values` of values/text.cpp, `algorithms/xxh3` of its files, `module` of what is in none."""
    folder, _, rest = file.partition("/")
    if not rest:
        return "module"
    return f"{folder}/{rest.partition('/')[0]}" if folder == "algorithms" else folder


def level(name: str) -> int:
    """Counted from the top; -1: no room has this name."""
    kind = name.partition("/")[0]
    return next((at for at, row in enumerate(ROOMS) if kind in row), -1)


def includes(root: Path) -> tuple[dict[str, set[str]], list[str]]:
    """What each file under csrc/ includes of the others, and what is wrong with single includes."""
    csrc = root / "csrc"
    generated = set(GENERATED.findall((root / "CMakeLists.txt").read_text()))
    files = sorted(path for path in csrc.rglob("*") if path.suffix in SOURCES)
    graph: dict[str, set[str]] = {}
    wrong = [] if files else [f"{csrc}: expected sources, found none"]
    for path in files:
        file = path.relative_to(csrc).as_posix()
        graph[file] = set()
        if level(room(file)) < 0:
            rooms = ", ".join(name for row in ROOMS for name in row)
            wrong.append(f"csrc/{file}: in no room; expected one of {rooms}")
        for quote, name in INCLUDE.findall(path.read_text()):
            beside = (path.parent / name).resolve()
            target = beside if beside.is_file() else (csrc / name).resolve()
            if target.is_file() and target.is_relative_to(csrc.resolve()):
                graph[file].add(target.relative_to(csrc.resolve()).as_posix())
            elif quote == '"' and name not in generated:
                wrong.append(f'csrc/{file}: includes "{name}", which is not under csrc/')
    return graph, wrong


def check_includes(root: Path) -> Iterator[str]:
    graph, wrong = includes(root)
    yield from wrong
    for file, targets in graph.items():
        for target in sorted(targets):
            here, there = room(file), room(target)
            if here == there or -1 in (level(here), level(there)):
                continue
            if level(here) == level(there):
                yield f"csrc/{file}: includes {target}, but {here} and {there} stand side by side"
            elif level(here) > level(there):
                yield f"csrc/{file}: includes {target}, but {there} is above {here}"
    if way := cycle(graph):
        yield f"csrc: include cycle: {' -> '.join(way)}"


# Python.


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and is_type_checking(node.test):
        children = node.orelse
    for child in children:
        yield from executed(child)


def imported(module: str, path: Path, tree: ast.AST) -> Iterator[str]:
    """Dotted names, of modules or of something in one."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def imports(root: Path) -> dict[str, set[str]]:
    """Which modules of mmhash each of them imports."""
    paths = {}
    for path in sorted((root / "mmhash").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    if "mmhash" not in paths:
        return {}
    trees = {module: ast.parse(path.read_text()) for module, path in paths.items()}
    # What mmhash/__init__.py hands out when it is imported or, of `_LATER`, asked for.
    handed_out = {
        f"mmhash.{name.rpartition('.')[2]}": name.rpartition(".")[0]
        for name in imported("mmhash", paths["mmhash"], trees["mmhash"])
    }
    for node in ast.walk(trees["mmhash"]):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_LATER":
            later = ast.literal_eval(node.value)
            handed_out |= {f"mmhash.{name}": f"mmhash.{module}" for name, module in later.items()}

    def module_of(name: str) -> str:
        if name not in paths:
            name = handed_out.get(name, name)
        while name not in paths and "." in name:
            name = name.rpartition(".")[0]
        return name

    graph: dict[str, set[str]] = {}
    for module, tree in trees.items():
        names = imported(module, paths[module], tree)
        graph[module] = {module_of(name) for name in names} & paths.keys() - {module, "mmhash"}
    return graph


def folder(root: Path, module: str) -> str:
    path = root.joinpath(*module.split("."))
    return module if path.is_dir() else module.rpartition(".")[0]


def check_imports(root: Path) -> Iterator[str]:
    modules = imports(root)
    if not modules:
        yield f"{root / 'mmhash'}: expected modules, found none"
    packages: dict[str, set[str]] = {}
    example: dict[tuple[str, str], str] = {}
    for module, targets in modules.items():
        if module == "mmhash" or module.endswith(".__main__"):
            continue
        here = folder(root, module)
        for target in sorted(targets):
            there = folder(root, target)
            if here != there:
                packages.setdefault(here, set()).add(there)
                example.setdefault((here, there), f"{module} imports {target}")
    if way := cycle(packages):
        steps = "; ".join(example[pair] for pair in itertools.pairwise(way))
        yield f"mmhash: import cycle of packages: {' -> '.join(way)} ({steps})"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    wrong = [*check_includes(root), *check_imports(root)]
    print("\n".join(wrong), file=sys.stderr) if wrong else print(
        "includes and imports go down only"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
