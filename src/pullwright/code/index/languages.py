"""Which languages are indexed: by which names, with which grammar, and what in their syntax is a definition.

Definitions are tree-sitter queries (https://tree-sitter.github.io/tree-sitter/using-parsers/queries). In each pattern
`@name` is the identifier, `@owner` a type that the definition belongs to without standing in it, and the one capture
that is left says the kind and spans the whole. `@scope` (of a type) and `@space` (of a module) are no definitions; they
name what stands in them. Nothing is loaded here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

EXTRACTOR = 2
"""Goes up whenever the same bytes would give another extract."""


@dataclass(frozen=True)
class Language:
    """One language as the index reads it."""

    name: str
    module: str = ""  # the package that holds the grammar; empty: read by a pattern alone
    function: str = "language"
    identifiers: tuple[str, ...] = ("identifier",)
    definitions: str = ""
    imports: str = ""
    members_bare: bool = False  # a method may be called by its bare name
    package_scope: bool = False  # the files of a folder see each other without an import


_PYTHON = Language(
    "python",
    "tree_sitter_python",
    definitions="""
(class_definition name: (identifier) @name) @class
(function_definition name: (identifier) @name) @function
(module (expression_statement (assignment left: (identifier) @name)) @variable)
(module (expression_statement (assignment left: (pattern_list (identifier) @name))) @variable)
(class_definition body: (block (expression_statement (assignment left: (identifier) @name)) @field))
((assignment left: (attribute object: (identifier) @self attribute: (identifier) @name)) @attribute
  (#eq? @self "self"))
(type_alias_statement left: (type (identifier) @name)) @type
""",
    imports="[(import_statement) (import_from_statement)] @import",
)

_JAVASCRIPT_DEFINITIONS = """
[(class_declaration name: (_) @name) (class name: (_) @name)] @class
(function_declaration name: (identifier) @name) @function
(generator_function_declaration name: (identifier) @name) @function
(method_definition name: (_) @name) @method
(variable_declarator name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @function
(program [(lexical_declaration (variable_declarator name: (identifier) @name))
          (variable_declaration (variable_declarator name: (identifier) @name))] @variable)
(program (export_statement declaration: [
  (lexical_declaration (variable_declarator name: (identifier) @name))
  (variable_declaration (variable_declarator name: (identifier) @name))]) @variable)
(assignment_expression left: (member_expression property: (property_identifier) @name)
  right: [(arrow_function) (function_expression)]) @function
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @method
"""
_JAVASCRIPT_IMPORTS = """
(import_statement) @import
(export_statement source: (string)) @import
(lexical_declaration (variable_declarator value: (call_expression
  function: (identifier) @require (#eq? @require "require")))) @import
(variable_declaration (variable_declarator value: (call_expression
  function: (identifier) @require (#eq? @require "require")))) @import
((call_expression function: (identifier) @require) @import (#eq? @require "require"))
(call_expression function: (import)) @import
"""
_JAVASCRIPT = Language(
    "javascript",
    "tree_sitter_javascript",
    identifiers=(
        "identifier",
        "property_identifier",
        "private_property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
    ),
    definitions=_JAVASCRIPT_DEFINITIONS + "(class_body (field_definition property: (_) @name) @field)",
    imports=_JAVASCRIPT_IMPORTS,
)
_TYPESCRIPT_DEFINITIONS = (
    _JAVASCRIPT_DEFINITIONS
    + """
(abstract_class_declaration name: (_) @name) @class
(interface_declaration name: (_) @name) @interface
(type_alias_declaration name: (_) @name) @type
(enum_declaration name: (_) @name) @enum
(enum_body name: (property_identifier) @name @constant)
(enum_body (enum_assignment name: (property_identifier) @name) @constant)
(public_field_definition name: (_) @name) @field
(abstract_method_signature name: (_) @name) @method
(method_signature name: (_) @name) @method
(interface_body (property_signature name: (_) @name) @field)
(function_signature name: (identifier) @name) @declaration
(internal_module name: (identifier) @name) @space
(internal_module body: (statement_block (export_statement declaration:
  (lexical_declaration (variable_declarator name: (identifier) @name))) @variable))
"""
)
_TYPESCRIPT = Language(
    "typescript",
    "tree_sitter_typescript",
    "language_typescript",
    identifiers=(*_JAVASCRIPT.identifiers, "type_identifier"),
    definitions=_TYPESCRIPT_DEFINITIONS,
    imports=_JAVASCRIPT_IMPORTS,
)
_TSX = Language(
    "tsx",
    "tree_sitter_typescript",
    "language_tsx",
    identifiers=_TYPESCRIPT.identifiers,
    definitions=_TYPESCRIPT_DEFINITIONS,
    imports=_JAVASCRIPT_IMPORTS,
)

_GO = Language(
    "go",
    "tree_sitter_go",
    identifiers=("identifier", "field_identifier", "type_identifier", "package_identifier"),
    definitions="""
(function_declaration name: (identifier) @name) @function
(method_declaration receiver: (parameter_list (parameter_declaration type: [
  (type_identifier) @owner
  (generic_type type: (type_identifier) @owner)
  (pointer_type (type_identifier) @owner)
  (pointer_type (generic_type type: (type_identifier) @owner))])) name: (field_identifier) @name) @method
(type_spec name: (type_identifier) @name type: (struct_type)) @class
(type_spec name: (type_identifier) @name type: (interface_type)) @interface
((type_spec name: (type_identifier) @name type: (_) @of) @type
  (#not-match? @of "^(struct|interface)\\\\b"))
(type_alias name: (type_identifier) @name) @type
(field_declaration name: (field_identifier) @name) @field
(method_elem name: (field_identifier) @name) @method
(const_spec name: (identifier) @name) @constant
(var_spec name: (identifier) @name) @variable
""",
    imports="(import_spec) @import",
    package_scope=True,
)

_RUST = Language(
    "rust",
    "tree_sitter_rust",
    identifiers=("identifier", "field_identifier", "type_identifier", "shorthand_field_identifier"),
    definitions="""
(struct_item name: (type_identifier) @name) @class
(union_item name: (type_identifier) @name) @class
(enum_item name: (type_identifier) @name) @enum
(enum_variant name: (identifier) @name) @constant
(trait_item name: (type_identifier) @name) @interface
(impl_item type: [(type_identifier) @name (generic_type type: (type_identifier) @name)
  (scoped_type_identifier name: (type_identifier) @name)]) @scope
(mod_item name: (identifier) @name body: (_)) @space
(function_item name: (identifier) @name) @function
(function_signature_item name: (identifier) @name) @function
(field_declaration name: (field_identifier) @name) @field
(const_item name: (identifier) @name) @constant
(static_item name: (identifier) @name) @variable
(type_item name: (type_identifier) @name) @type
(macro_definition name: (identifier) @name) @macro
""",
    imports="[(use_declaration) (mod_item !body)] @import",
)

_JAVA = Language(
    "java",
    "tree_sitter_java",
    identifiers=("identifier", "type_identifier"),
    definitions="""
(class_declaration name: (identifier) @name) @class
(record_declaration name: (identifier) @name) @class
(interface_declaration name: (identifier) @name) @interface
(annotation_type_declaration name: (identifier) @name) @interface
(annotation_type_element_declaration name: (identifier) @name) @method
(enum_declaration name: (identifier) @name) @enum
(enum_constant name: (identifier) @name) @constant
(method_declaration name: (identifier) @name) @method
(constructor_declaration name: (identifier) @name) @method
(field_declaration declarator: (variable_declarator name: (identifier) @name)) @field
(constant_declaration declarator: (variable_declarator name: (identifier) @name)) @field
""",
    imports="(import_declaration) @import",
    members_bare=True,
    package_scope=True,
)

_FUNCTION_DECLARATORS = """[
  (function_declarator declarator: (_) @name)
  (pointer_declarator declarator: (function_declarator declarator: (_) @name))
  (pointer_declarator declarator: (pointer_declarator declarator: (function_declarator declarator: (_) @name)))
  %s]"""
_DECLARATORS = _FUNCTION_DECLARATORS % ""
_VARIABLES = """[
  (identifier) @name
  (pointer_declarator declarator: (identifier) @name)
  (array_declarator declarator: (identifier) @name)
  (init_declarator declarator: [(identifier) @name (pointer_declarator declarator: (identifier) @name)
    (array_declarator declarator: (identifier) @name)])]"""
_C_DEFINITIONS = f"""
(struct_specifier name: (type_identifier) @name body: (_)) @class
(union_specifier name: (type_identifier) @name body: (_)) @class
(enum_specifier name: (type_identifier) @name body: (_)) @enum
(enumerator name: (identifier) @name) @constant
(type_definition declarator: [(type_identifier) @name (pointer_declarator declarator: (type_identifier) @name)
  (function_declarator declarator: (parenthesized_declarator (pointer_declarator
    declarator: (type_identifier) @name)))]) @type
(field_declaration declarator: [(field_identifier) @name (pointer_declarator declarator: (field_identifier) @name)
  (array_declarator declarator: (field_identifier) @name)]) @field
(preproc_def name: (identifier) @name) @macro
(preproc_function_def name: (identifier) @name) @macro
(declaration declarator: {_VARIABLES}) @variable
"""
_C_IDENTIFIERS = ("identifier", "field_identifier", "type_identifier")
_C = Language(
    "c",
    "tree_sitter_c",
    identifiers=_C_IDENTIFIERS,
    definitions=f"""{_C_DEFINITIONS}
(function_definition declarator: {_DECLARATORS}) @function
(declaration declarator: {_DECLARATORS}) @declaration
""",
    imports="(preproc_include) @import",
)
_CPP_DECLARATORS = _FUNCTION_DECLARATORS % "(reference_declarator (function_declarator declarator: (_) @name))"
_CPP = Language(
    "cpp",
    "tree_sitter_cpp",
    identifiers=(*_C_IDENTIFIERS, "namespace_identifier"),
    definitions=f"""{_C_DEFINITIONS}
(class_specifier name: (type_identifier) @name body: (_)) @class
(namespace_definition name: (namespace_identifier) @name) @space
(concept_definition name: (identifier) @name) @type
(alias_declaration name: (type_identifier) @name) @type
(function_definition declarator: {_CPP_DECLARATORS}) @function
(declaration declarator: {_CPP_DECLARATORS}) @declaration
(field_declaration declarator: {_CPP_DECLARATORS}) @declaration
""",
    imports="(preproc_include) @import",
    members_bare=True,
)

# Files that say under which name a folder is imported from elsewhere.
_GO_MODULE = Language("go-module")
_NODE_PACKAGE = Language("node-package")

LANGUAGES = {
    language.name: language
    for language in (_PYTHON, _JAVASCRIPT, _TYPESCRIPT, _TSX, _GO, _RUST, _JAVA, _C, _CPP, _GO_MODULE, _NODE_PACKAGE)
}

_SUFFIXES = {
    **dict.fromkeys(("py", "pyi"), "python"),
    **dict.fromkeys(("js", "jsx", "mjs", "cjs"), "javascript"),
    **dict.fromkeys(("ts", "mts", "cts"), "typescript"),
    "tsx": "tsx",
    "go": "go",
    "rs": "rust",
    "java": "java",
    **dict.fromkeys(("c", "h"), "c"),
    **dict.fromkeys(("cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "h++", "ipp", "inl"), "cpp"),
}
_NAMES = {"go.mod": "go-module", "package.json": "node-package"}

# What nobody who works on a repository reads: generated, minified, brought along from elsewhere.
_NOT_READ = re.compile(
    r"(?:^|/)(?:node_modules|site-packages|bower_components|\.venv|third_party/node_modules)/|\.min\.[cm]?js$"
    r"|[._]pb2?(?:_grpc)?\.(?:py|go|h|cc)$|\.pb\.(?:go|h|cc)$|(?:^|/)\.(?:yarn|pnp)\b"
)


def language_of(path: str, *, headers: str = "c") -> str | None:
    """The language of a file by its name; None where it is not indexed. `headers` is what a `.h` file holds."""
    name = path.rsplit("/", 1)[-1]
    if _NOT_READ.search(path):
        return None
    if name in _NAMES:
        return _NAMES[name]
    suffix = name.rpartition(".")[2] if "." in name else ""
    return headers if suffix == "h" else _SUFFIXES.get(suffix)


def header_language(paths: Collection[str]) -> str:
    """What `.h` files hold in a tree with these paths: C++ where there is any other file of it."""
    return "cpp" if any(_SUFFIXES.get(path.rpartition(".")[2]) == "cpp" for path in paths) else "c"


_TEST_FILE = re.compile(
    r"(?:^|/)(?:test_[^/]*\.py|[^/]*_tests?\.(?:py|go|cc|cpp|cxx|c|rs)|tests?\.(?:py|rs|[cm]?[jt]s)"
    r"|[^/]*[._-](?:test|spec|tests|specs)\.[cm]?[jt]sx?|[^/]*(?:Test|Tests|TestCase|IT|Spec)\.java"
    r"|test[-_][^/]*\.(?:[cm]?[jt]sx?|c|cc|cpp|rs))$|(?:^|/)__tests__/|(?:^|/)src/test/java/|^tests/[^/]+\.rs$"
)
_NO_TESTS = re.compile(r"(?:^|/)(?:conftest|__init__)\.py$|\.d\.ts$|(?:^|/)(?:__mocks__|__snapshots__|fixtures)/")


def is_test(path: str) -> bool:
    """Whether a file holds tests, by its name."""
    return _TEST_FILE.search(path) is not None and not _NO_TESTS.search(path)
