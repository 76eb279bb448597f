"""Collects every error and warning that the program can raise, from its code, for docs/reference/messages.md."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path

import orderctl
from orderctl.errors import OrderctlError

_SOURCES = Path(orderctl.__file__).parent
_SAYS = {"_": 0, "N_": 0, "ngettext": 1}
_ALOUD = {"warn", "insist"}
_SQL = re.compile(r"\b(SELECT|UPDATE|SET)\b")


_ABOUT = (
    "Every error and warning that the program can give, collected from its code. `{...}` stands for a value. *Next* is"
    " said on a line of its own. What `{problem}` stands for is listed below."
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Listed:
    """One message: the module that says it, the class of the error, what is said, and what to do next."""

    module: str
    error: str
    says: str
    next: str = ""
    has_hint: bool = False


@dataclass(slots=True)
class _Module:
    """One file: its tree, what is in it at any depth, and what its names stand for."""

    name: str
    tree: ast.Module
    modules: Mapping[str, "_Module"]
    around: dict[ast.AST, ast.FunctionDef | None] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    functions: list[ast.FunctionDef] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    imported: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._note(self.tree, None)

    def _note(self, node: ast.AST, function: ast.FunctionDef | None) -> None:
        for child in ast.iter_child_nodes(node):
            self.around[child] = function
            within = function
            match child:
                case ast.ClassDef():
                    self.classes.append(child.name)
                case ast.FunctionDef():
                    self.functions.append(within := child)
                case ast.Call():
                    self.calls.append(child)
                case ast.ImportFrom():
                    for each in child.names:
                        self.imported.setdefault(each.name, []).append(child.module or "")
            self._note(child, within)

    def function(self, name: str) -> ast.FunctionDef | None:
        """The function of that name, here or where it is imported from."""
        found = next((each for each in self.functions if each.name == name), None)
        return found or next((f for other in self._origins(name) if (f := other.function(name))), None)

    def constant(self, name: str) -> ast.expr | None:
        """The value of a constant of that name, here or where it is imported from."""
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    return node.value
                if isinstance(target, ast.Tuple):
                    for part, value in zip(target.elts, getattr(node.value, "elts", ()), strict=False):
                        if isinstance(part, ast.Name) and part.id == name:
                            return value
        return next((value for other in self._origins(name) if (value := other.constant(name))), None)

    def _origins(self, name: str) -> Iterator["_Module"]:
        origins = (self.modules.get(module) for module in self.imported.get(name, ()))
        return (origin for origin in origins if origin is not None and origin is not self)


class Collector:
    """Reads the sources once."""

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        for path in sorted(_SOURCES.rglob("*.py")):
            parts = path.relative_to(_SOURCES.parent).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self._modules[name] = _Module(name, ast.parse(path.read_text("utf-8")), self._modules)

    @cached_property
    def kinds(self) -> dict[str, type[OrderctlError]]:
        """The classes of errors by name."""
        for name, module in self._modules.items():
            if any(each.endswith("Error") for each in module.classes):
                import_module(name)
        found: list[type[OrderctlError]] = [OrderctlError]
        for kind in found:
            found += [each for each in kind.__subclasses__() if each not in found]
        return {kind.__name__: kind for kind in found}

    def errors(self) -> list[Listed]:
        """Every place that raises an error, each message once."""
        return sorted({each for module in self._modules.values() for each in self._errors_in(module)})

    def problems(self) -> list[str]:
        """What can be wrong with a value: the parts that errors and reports of bad rows name it by."""
        found: set[str] = set()
        for module in self._modules.values():
            raisers = {"ValueError", *_makers(module, {"ValueError"})}
            for call in module.calls:
                if call.args and _called(call) in raisers:
                    found.update(text for arg in call.args for text in self._texts(arg, module))
        return sorted(found)

    def warnings(self) -> list[Listed]:
        """What is said aloud, and stops nothing."""
        return sorted(
            {
                Listed(module=module.name, error="", says=text)
                for module in self._modules.values()
                for call in module.calls
                if isinstance(call.func, ast.Attribute) and call.func.attr in _ALOUD and call.args
                for text in self._texts(call.args[0], module)
            }
        )

    def _errors_in(self, module: _Module) -> Iterator[Listed]:
        makers = _makers(module, self.kinds)
        for call in module.calls:
            name = _called(call)
            if name in self.kinds:
                hint = next((keyword.value for keyword in call.keywords if keyword.arg == "hint"), None)
                yield from self._listed(module, name, call.args[:1], hint)
            elif name in makers and isinstance(module.around[call], ast.FunctionDef):
                said = [arg for arg in call.args if isinstance(arg, ast.Name) or any(map(_is_say, ast.walk(arg)))]
                said = [arg for arg in said if self._texts(arg, module)]
                if said and said[0] is call.args[0]:
                    hint = said[1] if len(said) > 1 else _given_hint(call, module, name) or _default_hint(module, name)
                    yield from self._listed(module, makers[name], said[:1], hint)

    def _listed(self, module: _Module, kind: str, message: list[ast.expr], hint: ast.expr | None) -> Iterator[Listed]:
        says = self._texts(message[0], module) if message else [self.kinds[kind].exit_code.about]
        hints = " / ".join(dict.fromkeys(self._texts(hint, module))) if hint is not None else ""
        if isinstance(hint, ast.Constant):
            hints = str(hint.value)
        for text in says:
            if not text.startswith("{") or " " in text:
                yield Listed(
                    module=module.name, error=kind, says=text.splitlines()[0], next=hints, has_hint=hint is not None
                )

    def _texts(self, node: ast.AST, module: _Module) -> list[str]:
        """The templates that an expression may come to."""
        match node:
            case ast.Call() if _called(node) in _SAYS:
                template = node.args[_SAYS[_called(node)]]
                return [str(template.value)] if isinstance(template, ast.Constant) else self._texts(template, module)
            case ast.IfExp():
                return [*self._texts(node.body, module), *self._texts(node.orelse, module)]
            case ast.Name():
                return self._of_name(node, module)
            case ast.JoinedStr():
                return self._joined(node, module)
            case ast.Call() if function := module.function(_called(node)):
                inside = [text for each in ast.walk(function) if _is_say(each) for text in self._texts(each, module)]
                return [*inside, *(text for arg in node.args for text in self._texts(arg, module))]
            case _:
                return [text for child in ast.iter_child_nodes(node) for text in self._texts(child, module)]

    def _joined(self, node: ast.JoinedStr, module: _Module) -> list[str]:
        """An f-string: what is said in it, or itself with the names of its values."""
        if said := [text for part in node.values for text in self._texts_of_value(part, module)]:
            return said
        parts = [
            str(part.value) if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value).split(".")[-1] + "}"
            for part in node.values
        ]
        return [] if _SQL.search("".join(parts)) else ["".join(parts)]

    def _texts_of_value(self, part: ast.expr, module: _Module) -> list[str]:
        return self._texts(part.value, module) if isinstance(part, ast.FormattedValue) else []

    def _of_name(self, node: ast.Name, module: _Module) -> list[str]:
        function = module.around.get(node)
        values = [
            each.value
            for each in (ast.walk(function) if function else ())
            if isinstance(each, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)
        ]
        constant = None if values else module.constant(node.id)
        if isinstance(constant, ast.Dict) or (constant is not None and _is_say(constant)):
            values = [constant]
        return [text for value in values for text in self._texts(value, module)]


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def _is_say(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in _SAYS


def _makers(module: _Module, kinds: Iterable[str]) -> dict[str, str]:
    """The functions of a module that give an error, with its class."""
    given = ((each.name, getattr(each.returns, "id", "")) for each in module.functions)
    return {name: kind for name, kind in given if kind in kinds}


def _given_hint(call: ast.Call, module: _Module, name: str) -> ast.expr | None:
    """What stands in a call where a function of that name takes its `hint`."""
    for function in module.functions:
        if function.name == name:
            taken = [each.arg for each in function.args.args if each.arg != "self"]
            at = taken.index("hint") if "hint" in taken else len(call.args)
            if at < len(call.args):
                return call.args[at]
    return None


def _default_hint(module: _Module, name: str) -> ast.expr | None:
    """The hint that a function of that name gives where its caller says none."""
    function = module.function(name)
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call)) if function else ()
    return next((key.value for call in calls for key in call.keywords if key.arg == "hint"), None)


def page() -> str:
    """The page: every error by its exit code, what can be wrong with a value, and the warnings."""
    collector = Collector()
    by_code: dict[int, list[Listed]] = {}
    for each in collector.errors():
        by_code.setdefault(collector.kinds[each.error].exit_code, []).append(each)
    parts = [
        "# Every error and warning, and what to do next",
        _ABOUT,
    ]
    for code in sorted(by_code):
        rows = [f"| {_cell(each.says)} | {_cell(each.next)} |" for each in _once(by_code[code])]
        parts += [f"## Exit code {code}", "\n".join(["| what is said | next |", "| --- | --- |", *rows])]
    problems = [f"- {_cell(text)}" for text in collector.problems()]
    warnings = [f"- {_cell(each.says)}" for each in collector.warnings()]
    parts += ["## Problems of a value", "\n".join(problems), "## Warnings", "\n".join(warnings)]
    return "\n\n".join(parts) + "\n"


def _once(listed: Iterable[Listed]) -> list[Listed]:
    return list({(each.says, each.next): each for each in listed}.values())


def _cell(text: str) -> str:
    shown = text.replace("|", "\\|").replace("\n", " ")
    return f"`{shown}`" if shown and "`" not in shown else shown
