"""Finds the program in what a model wrote: fenced blocks, prose around, a bare function body, missing imports.

Texts are parsed with `ast`, never run, and never changed by deleting from them: a program is whole lines of the text,
in their order, with at most the problem's starter or missing imports before them. Runs inside the sandbox, since
parsing a hostile text may exhaust a process.
"""

from __future__ import annotations

import ast
import builtins

TYPE_CHECKING = False  # not from typing, whose import would slow down the start of every program
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TAIL = 200_000  # characters at a text's end that are read
TRIES = 60  # cuts that are tried to make a run of lines parse
STARTS = 40  # lines that begin like code from which a run is tried
_LANGUAGES = ("", "python", "python3", "py", "py3", "python2", "pycon", "code")
_STARTS = ("def ", "class ", "import ", "from ", "@", "async def ")

_HOMES = {
    "typing": "Any Callable Dict DefaultDict Deque FrozenSet Generator Iterable Iterator List Mapping NamedTuple "
    "Optional Sequence Set Tuple Type TypeVar Union",
    "collections": "Counter OrderedDict defaultdict deque namedtuple ChainMap",
    "functools": "cache lru_cache reduce partial cmp_to_key cached_property total_ordering",
    "itertools": "accumulate chain combinations combinations_with_replacement count cycle groupby islice "
    "permutations product repeat starmap takewhile dropwhile zip_longest pairwise",
    "math": "sqrt gcd lcm ceil floor factorial inf pi comb isqrt log2 hypot prod",
    "heapq": "heapify heappop heappush heappushpop heapreplace nlargest nsmallest",
    "bisect": "bisect_left bisect_right insort insort_left insort_right",
    "copy": "deepcopy",
    "string": "ascii_lowercase ascii_uppercase ascii_letters digits punctuation",
    "dataclasses": "dataclass field",
    "fractions": "Fraction",
    "decimal": "Decimal",
    "operator": "itemgetter attrgetter",
}
MODULES: tuple[str, ...] = (
    *(
        "abc",
        "array",
        "bisect",
        "calendar",
        "cmath",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
    ),
    *(
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "io",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
    ),
    *(
        "os",
        "queue",
        "random",
        "re",
        "statistics",
        "string",
        "struct",
        "sys",
        "textwrap",
        "threading",
        "time",
    ),
    "typing",
)
"""Modules that a program may use without importing them."""


class Program:
    """A program found in a text: its source, where in the text its code begins, and whether a cut may have hurt it."""

    def __init__(self, source: str, start: int, complete: bool) -> None:
        self.source, self.start, self.complete = source, start, complete


class _Piece:
    """Some lines of the text that parse; `start` is their place in it."""

    def __init__(self, source: str, start: int, complete: bool, tree: ast.Module) -> None:
        self.source, self.start, self.complete, self.tree = source, start, complete, tree
        self.defined = _defined(tree)


def find_program(
    text: str, entry_point: str | None = None, starter: str = "", known: Iterable[str] = ()
) -> Program | None:
    """Return the program that a text gives, or None.

    Args:
        text: what was written.
        entry_point: the name that the program must define (`f`, or `Solution().f`, where either form will do); None
            where it is run whole.
        starter: what the writer was given to go on from; tried before a text that is no program of its own.
        known: names that the problem's setup defines.
    """
    offset = max(0, len(text) - TAIL)
    text = (
        text[offset:].expandtabs(4) if "\t" in text[offset:] and not _parsed(text[offset:]) else text[offset:]
    )
    fenced = list(_fenced(text))
    wanted = entry_point.replace("Solution().", "") if entry_point else None
    for look in (_pieces_of_fences, _pieces_of_text, _pieces_of_bodies):
        pieces = look(fenced, text, starter, wanted)
        chosen = next((p for p in reversed(pieces) if _answers(p.tree, wanted)), None)
        if chosen is not None:
            return _assembled(chosen, pieces, known, offset)
    return None


def _pieces_of_fences(
    fenced: list[tuple[str, int, bool]], text: str, starter: str, wanted: str | None
) -> list[_Piece]:
    return _pieces(fenced)


def _pieces_of_text(
    fenced: list[tuple[str, int, bool]], text: str, starter: str, wanted: str | None
) -> list[_Piece]:
    return _pieces(_unfenced(text, fenced))


def _answers(tree: ast.Module, wanted: str | None) -> bool:
    """Whether a piece is a program for this problem: it defines what is wanted, or does anything at all."""
    if wanted is None:
        return any(not isinstance(s, ast.Expr) or isinstance(s.value, ast.Call) for s in tree.body)
    for statement in tree.body:
        solution = isinstance(statement, ast.ClassDef) and statement.name == "Solution"
        if solution and any(getattr(s, "name", None) == wanted for s in statement.body):  # type: ignore[attr-defined]
            return True
    return wanted in _defined(tree)


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _defined(tree: ast.Module) -> set[str]:
    """Names that top-level statements define, including those in `if` and `try`."""
    names: set[str] = set()
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        statement = todo.pop()
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in statement.names)
        elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            todo.extend(s for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt))
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            names.update(n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and _stores(n))
    return names


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def defined_names(source: str) -> set[str]:
    """Names that a source's top-level statements define; none of one that does not parse."""
    tree = _parsed(source)
    return _defined(tree) if tree else set()


def imported(source: str) -> set[str]:
    """Which of the usual modules a source imports, anywhere in it."""
    tree, found = _parsed(source), set[str]()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found & set(MODULES)


def missing_names(tree: ast.AST) -> set[str]:
    """Names that a program reads and neither defines anywhere nor finds among the builtins."""
    read, bound = set[str](), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (bound if _stores(node) else read).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            bound.add(node.name)
    return read - bound


def _assembled(chosen: _Piece, pieces: list[_Piece], known: Iterable[str], offset: int) -> Program:
    """The chosen piece, after those before it that define what it misses, after the imports that all of them miss."""
    used, missing = [chosen], missing_names(chosen.tree)
    for piece in reversed(pieces[: pieces.index(chosen)]):
        if missing & piece.defined and not piece.defined & chosen.defined:
            used.insert(0, piece)
            missing = (missing - piece.defined) | missing_names(piece.tree)
    source = "\n\n".join(piece.source for piece in used)
    needed = _imports_for(missing - set(known)) if not _stars(chosen.tree) else []
    if needed:
        source = _with_imports(source, needed)
    return Program(source, offset + used[0].start, chosen.complete)


def _stars(tree: ast.Module) -> bool:
    return any(isinstance(s, ast.ImportFrom) and s.names[0].name == "*" for s in tree.body)


def _imports_for(names: set[str]) -> list[str]:
    lines = [f"import {name}" for name in sorted(names) if name in MODULES]
    for home, members in _HOMES.items():
        wanted = sorted(names & set(members.split()))
        if wanted:
            lines.append(f"from {home} import {', '.join(wanted)}")
    return lines


def _with_imports(source: str, lines: list[str]) -> str:
    """Before everything but what must come first: `from __future__` imports, and the docstring before those."""
    tree = _parsed(source)
    future = [
        s.end_lineno or 0 for s in (tree.body if tree else ()) if getattr(s, "module", None) == "__future__"
    ]
    at = max(future, default=0)
    own = source.split("\n")
    return "\n".join([*own[:at], *lines, *own[at:]])


# --- pieces of text that may be programs --------------------------------------------------------------------


def _fenced(text: str) -> Iterator[tuple[str, int, bool]]:
    """Yield (code, start, closed) of each fenced block in Python or in no named language, in order."""
    at, opened = 0, None  # opened: (fence, language, where its code starts)
    for line in text.split("\n"):
        bare = line.strip()
        fence = next((f for f in ("```", "~~~") if bare.startswith(f)), None)
        if opened is None and fence:
            rest = bare.lstrip(fence[0])
            language = rest.split()[0].lower().strip("{}.") if rest.strip() else ""
            if rest.endswith(fence) and rest[:-3].strip():  # all in one line
                inner = rest[:-3]
                skip = len(inner.split()[0]) if inner.split()[0].lower() in _LANGUAGES else 0
                yield inner[skip:].strip(), at + line.index(inner) + skip, True
            else:
                opened = (fence, language, at + len(line) + 1)
        elif opened is not None and (bare.rstrip(opened[0][0]) == "" and fence == opened[0]):
            if opened[1] in _LANGUAGES:
                yield text[opened[2] : at], opened[2], True
            opened = None
        elif opened is not None and bare.endswith(opened[0]):  # closed at the end of a line of code
            if opened[1] in _LANGUAGES:
                yield text[opened[2] : at + len(line.rstrip()) - 3], opened[2], True
            opened = None
        at += len(line) + 1
    if opened is not None and opened[1] in _LANGUAGES:
        yield text[opened[2] :], opened[2], False


def _unfenced(text: str, fenced: list[tuple[str, int, bool]]) -> Iterator[tuple[str, int, bool]]:
    """Yield what may be code outside of fences: runs of lines that begin like code, what follows an answer label."""
    if _parsed(text):
        yield text, 0, False
        return
    inside = [(start, start + len(code)) for code, start, _ in fenced]
    at = ends = tried = 0
    for line in text.split("\n"):
        begins = tried < STARTS and at >= ends and line.startswith(_STARTS)
        if begins and not any(a <= at < b for a, b in inside):
            tried += 1
            run = _longest_run(text[at:])
            if run:
                ends = at + len(run)
                yield run, at, ends < len(text)
        at += len(line) + 1
    label = text.lower().rfind("answer:")
    if label >= 0:
        start = label + len("answer:")
        start += len(text[start:]) - len(text[start:].lstrip(" \t*`\n"))
        run = _longest_run(text[start:])
        if run:
            yield run, start, start + len(run) < len(text)


def _longest_run(text: str, before: str = "") -> str:
    """The longest beginning of a text, in whole lines, that parses after `before`; nothing where none does."""
    lines, head = text.split("\n"), before.count("\n")
    for _ in range(TRIES):
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            return ""
        source = "\n".join(lines)
        try:
            ast.parse(before + source)
            return source
        except SyntaxError as error:
            line = (error.lineno or 1) - 1 - head
            lines = lines[: min(max(line, 0), len(lines) - 1)]
        except (ValueError, RecursionError, MemoryError):
            return ""
    return ""


def _pieces(candidates: Iterable[tuple[str, int, bool]]) -> list[_Piece]:
    found = []
    for code, start, complete in candidates:
        for source in (code, _dedented(code)):
            tree = _parsed(source)
            if tree is None:
                run = _longest_run(source)
                tree, source = (_parsed(run), run) if run else (None, source)
            if tree is not None and tree.body:
                found.append(_Piece(source, start, complete, tree))
                break
    return found


def _pieces_of_bodies(
    fenced: list[tuple[str, int, bool]], text: str, starter: str, wanted: str | None
) -> list[_Piece]:
    """Pieces that are the rest of what the starter began."""
    if not starter.strip() or wanted is None:
        return []
    indent = _body_indent(starter)
    found = []
    whole = [] if fenced else [(text, 0, False)]
    for code, start, complete in [*fenced, *whole]:
        lines = _dedented(code.strip("\n")).split("\n")
        # Some strip the first line's indentation along with the space before it, and leave that of the others.
        rest = _dedented("\n".join(lines[1:])).split("\n")
        tries = [code, _indented(lines, indent), _indented([lines[0].strip(), *rest], indent)]
        head = starter if starter.endswith("\n") else starter + "\n"
        pieces = []
        for body in tries:
            run = _longest_run(body, head)
            tree = _parsed(head + run) if run else None
            if tree is not None and _goes_on(tree, wanted, head.count("\n")):
                pieces.append(_Piece(head + run, start, complete or len(run) < len(body.rstrip()), tree))
        if pieces:  # the one that keeps most lines; of equals the one that changes least
            found.append(max(pieces, key=lambda piece: piece.source.count("\n")))
    return found


def _goes_on(tree: ast.Module, wanted: str, lines: int) -> bool:
    """Whether the function itself goes on after the starter's lines: a docstring alone is a body too."""
    functions = (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return any(f.name == wanted and (f.end_lineno or 0) > lines for f in functions)


def _body_indent(starter: str) -> int:
    heads = [line for line in starter.split("\n") if line.lstrip().startswith(("def ", "async def "))]
    return (len(heads[-1]) - len(heads[-1].lstrip()) + 4) if heads else 4


def _dedented(code: str) -> str:
    lines = code.split("\n")
    depths = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    depth = min(depths, default=0)
    return "\n".join(line[depth:] if line.strip() else "" for line in lines)


def _indented(lines: list[str], depth: int) -> str:
    return "\n".join(" " * depth + line if line.strip() else "" for line in lines)
