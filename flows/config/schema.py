"""Frozen spec dataclasses → a pydantic schema: validation with every mistake at once, and a JSON Schema for editors.

The schema is built from the classes' own annotations with pydantic-core, because the specs live in `sorigil`, which
does not know pydantic: here unions are told apart by `kind` (or `by`, `over`), `kind` alone may stand for a spec without
options (`model: cnn2d`; or the key that a class calls `ALONE`), and a field marked FLAT takes its keys from the mapping
around it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from flows.config.faults import MARK, TAGS, covers, fault_of, removable, remove, spelled_out
from flows.config.problems import Fault, KeyPath, one_of
from sorigil.errors import SorigilError

if TYPE_CHECKING:
    from pydantic_core import CoreSchema, SchemaValidator

FLAT: dict[str, Any] = {"flat": True}  # the field's own fields are keys beside the others
HIDDEN: dict[str, Any] = {"hidden": True}  # filled in by us, not a key of the file
Construct = Callable[[type[Any], dict[str, Any]], Any]


class Schema:
    """Validates plain values into `cls`. `names` resolves annotations that their module imports for type checks only."""

    def __init__(self, cls: type[Any], names: Mapping[str, Any]) -> None:
        self.cls = cls
        self.names = names

    def validate(self, data: Any) -> tuple[Any, list[Fault]]:
        """Return the finished object and no faults, or None and all of them.

        A spec checks its ranges only after its types, and stops at the first: so what is wrong is taken out, and the
        rest looked at again (whether or not something is missing now), until nothing new turns up.
        """
        value, faults = _validated(self._strict, data)
        data, removed, new = copy.deepcopy(data), set[KeyPath](), faults
        while new:
            gone = {path for fault in new if (path := removable(data, fault.path)) is not None}
            for path in gone:
                remove(data, path)
            removed |= gone
            new = [
                fault
                for fault in _validated(self._lenient, data)[1]
                if fault not in faults and not any(covers(path, fault) for path in removed)
            ]
            faults = [*faults, *new]
        return value, faults

    def json_schema(self) -> dict[str, Any]:
        from pydantic.json_schema import GenerateJsonSchema

        return GenerateJsonSchema().generate(_Builder(self.names, lenient=False).dataclass(self.cls))

    @cached_property
    def _strict(self) -> SchemaValidator:
        return self._validator(lenient=False)

    @cached_property
    def _lenient(self) -> SchemaValidator:
        return self._validator(lenient=True)

    def _validator(self, lenient: bool) -> SchemaValidator:
        from pydantic_core import SchemaValidator

        return SchemaValidator(_Builder(self.names, lenient).dataclass(self.cls))


class _Builder:
    """One rule per form of annotation; each returns a pydantic-core schema. `lenient`: nothing is required."""

    def __init__(self, names: Mapping[str, Any], lenient: bool) -> None:
        from pydantic_core import core_schema

        self.cs = core_schema
        self.construct = _construct_in_part if lenient else _construct
        self.lenient = lenient
        self.names = dict(names)
        self.leaves: dict[Any, Callable[[], CoreSchema]] = {
            int: partial(core_schema.int_schema, strict=True),
            float: partial(core_schema.float_schema, strict=True, allow_inf_nan=False),
            bool: partial(core_schema.bool_schema, strict=True),
            str: partial(core_schema.str_schema, strict=True),
            Any: core_schema.any_schema,
            NoneType: core_schema.none_schema,
        }

    def any(self, hint: Any) -> CoreSchema:
        origin, args = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self.any(args[0])
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            return self._or_one_key_alone([hint], self.dataclass(hint))
        if origin in (Union, UnionType):
            return self._union(args)
        if origin is Literal:
            return self._choice(self.cs.literal_schema(list(args)), args, [])
        if origin is tuple:
            return self._tuple(args)
        if origin is dict:
            return self.cs.dict_schema(self.cs.str_schema(), self.any(args[1]))
        if hint in self.leaves:
            return self.leaves[hint]()
        raise TypeError(f"no rule for the annotation {hint!r}: add one to flows/config/schema.py")

    def dataclass(self, cls: type[Any]) -> CoreSchema:
        """Keys are the fields' names, unknown ones are refused; the class itself is called with what was given."""
        about = (cls.__doc__ or "").strip().split("\n\n")[0]
        said = {"title": cls.__name__, "description": " ".join(about.split()), "additionalProperties": False}
        fields = self._fields(cls)
        # No value of an extra key is right; unlike extra_behavior="forbid", this can say which keys there are.
        unknown = self.cs.custom_error_schema(
            self.cs.literal_schema([MARK]),
            "unknown",
            custom_error_message="unknown",
            custom_error_context=typing.cast("Any", {"known": list(fields)}),
        )
        keys = self.cs.typed_dict_schema(
            fields, extra_behavior="allow", extras_schema=unknown, metadata={"pydantic_js_updates": said}
        )
        hints = self._hints(cls)
        return self.cs.no_info_after_validator_function(
            lambda values: _checked(self.construct, cls, hints, values), keys
        )

    def _fields(self, cls: type[Any]) -> dict[str, Any]:
        hints = self._hints(cls)
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if "flat" in field.metadata:
                inner = self._fields(hints[field.name])
                fields = {**inner, **fields}
            elif field.init and "hidden" not in field.metadata:
                fields[field.name] = self._field(field, hints[field.name])
        return fields

    def _field(self, field: dataclasses.Field[Any], hint: Any) -> Any:
        schema = self.any(hint)
        if isinstance(field.default, str | int | float):  # the class fills defaults in; this is for the JSON Schema
            schema = self.cs.with_default_schema(schema, default=field.default)
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        return self.cs.typed_dict_field(schema, required=required and not self.lenient)

    def _hints(self, cls: type[Any]) -> dict[str, Any]:
        return typing.get_type_hints(cls, localns=self.names)

    def _tuple(self, args: tuple[Any, ...]) -> CoreSchema:
        items = [self.any(each) for each in args if each is not Ellipsis]
        if self.lenient:
            items = [self.cs.nullable_schema(each) for each in items]
        return self.cs.tuple_variable_schema(items[0]) if Ellipsis in args else self.cs.tuple_positional_schema(items)

    def _union(self, args: tuple[Any, ...]) -> CoreSchema:
        members = [each for each in args if each is not NoneType]
        specs = [each for each in members if dataclasses.is_dataclass(each)]
        if specs and len(specs) < len(members):
            raise TypeError(f"a union of specs and other values cannot be told apart: {args}")
        if len(members) == 1:
            schema = self.any(members[0])
        elif specs:
            schema = self._tagged(typing.cast("list[type[Any]]", specs))
        else:
            schema = self._plain_union(members)
        return self.cs.nullable_schema(schema) if len(members) < len(args) else schema

    def _plain_union(self, members: list[Any]) -> CoreSchema:
        choices = [value for each in members if get_origin(each) is Literal for value in get_args(each)]
        others = [_described(each) for each in members if get_origin(each) is not Literal]
        return self._choice(self.cs.union_schema([self.any(each) for each in members]), choices, others)

    def _choice(self, schema: CoreSchema, choices: Sequence[Any], others: list[str]) -> CoreSchema:
        expected = " or ".join([*([one_of(choices)] if choices else []), *others])
        context = {"expected": expected, "choices": [str(each) for each in choices]}
        return self.cs.custom_error_schema(
            schema, "choice", custom_error_message="choice", custom_error_context=typing.cast("Any", context)
        )

    def _tagged(self, specs: list[type[Any]]) -> CoreSchema:
        tag = next(name for name in TAGS if name in {field.name for field in dataclasses.fields(specs[0])})
        by_tag = {value: spec for spec in specs for value in get_args(self._hints(spec)[tag])}
        tagged = self.cs.tagged_union_schema(
            {MARK + value: self.dataclass(spec) for value, spec in by_tag.items()},
            lambda value: _discriminate(tag, value),
            custom_error_type="tag",
            custom_error_message="tag",
            custom_error_context=typing.cast("Any", {"tag": tag, "known": list(by_tag)}),
        )
        return self._or_one_key_alone(specs, tagged)

    def _or_one_key_alone(self, specs: list[type[Any]], schema: CoreSchema) -> CoreSchema:
        """`cnn2d` means `{kind: cnn2d}`."""
        key = getattr(specs[0], "ALONE", "kind")
        if not all(key in self._hints(spec) for spec in specs):
            return schema
        kinds = [value for spec in specs for value in get_args(self._hints(spec)[key])]
        alone = self.cs.literal_schema(kinds) if kinds else self.cs.str_schema()
        return self.cs.json_or_python_schema(
            json_schema=self.cs.union_schema([alone, schema]),
            python_schema=self.cs.no_info_before_validator_function(partial(spelled_out, key=key), schema),
        )


def _discriminate(tag: str, value: Any) -> str | None:
    kind = value.get(tag) if isinstance(value, dict) else None
    return MARK + kind if isinstance(kind, str) else None


def _checked(construct: Construct, cls: type[Any], hints: dict[str, Any], values: dict[str, Any]) -> Any:
    """An object of the class, with the fields of its FLAT ones gathered into objects of theirs."""
    try:
        for field in dataclasses.fields(cls):
            if "flat" in field.metadata:
                inner, own = hints[field.name], {each.name for each in dataclasses.fields(cls)}
                flat = {each.name: values[each.name] for each in dataclasses.fields(inner) if each.name in values}
                values = {name: value for name, value in values.items() if name in own}
                values[field.name] = construct(inner, flat)
        return construct(cls, values)
    except SorigilError as error:
        raise ValueError(str(error)) from error


def _construct(cls: type[Any], values: dict[str, Any]) -> Any:
    return cls(**values)


def _construct_in_part(cls: type[Any], values: dict[str, Any]) -> Any:
    """An object that may lack fields, checked as far as it goes: only for finding mistakes, never returned to anyone."""
    part = object.__new__(cls)
    for field in dataclasses.fields(cls):
        if field.name in values:
            object.__setattr__(part, field.name, values[field.name])
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(part, field.name, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            object.__setattr__(part, field.name, field.default_factory())
    with contextlib.suppress(AttributeError, TypeError):  # the check reached what is missing
        getattr(part, "__post_init__", lambda: None)()
    return part


def _validated(validator: SchemaValidator, data: Any) -> tuple[Any, list[Fault]]:
    from pydantic_core import ValidationError

    try:
        return validator.validate_python(data), []
    except ValidationError as error:
        return None, [fault_of(each, data) for each in error.errors(include_url=False)]


def _described(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if get_origin(hint) is tuple:
        return "a list"
    return words.get(hint, "a mapping")
