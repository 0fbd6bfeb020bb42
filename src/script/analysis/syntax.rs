//! What a script is made of, as far as the analysis asks.
//!
//! ```text
//! local k = KEYS[1]; redis.call('set', k, ARGV[1] .. 'x')
//!
//! Local [v0] = [Chain KEYS ─ Index 1]
//! Call   Chain redis ─ Field call ─ Call [Text set, Local v0, Mixed [Chain ARGV ─ Index 1, Text x]]
//! ```
//!
//! Invariants: names are resolved (a local is a number, whatever else is a global) · no tree is deeper than a few times the
//! limit of nesting: what Lua chains to the left (`a.b.c`, `a + b + c`, `a or b or c`) is a list here, so every walk may
//! be recursive · operators whose result is no key are not told apart.

use std::rc::Rc;

/// A local variable, parameters and loop variables included, numbered over the whole script.
pub(super) type VariableId = usize;
/// A function, numbered over the whole script.
pub(super) type FunctionId = usize;

/// A whole script.
#[derive(Debug)]
pub(super) struct Program<'a> {
    /// What runs.
    pub(super) main: Vec<Statement<'a>>,
    /// Its functions.
    pub(super) functions: Vec<Function<'a>>,
    /// By variable: whether a statement other than its declaration assigns it.
    pub(super) assigned: Vec<bool>,
}

/// A function's parameters and body.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    /// The named ones.
    pub(super) parameters: Vec<VariableId>,
    /// The table `arg`, which Lua 5.1 declares in functions with `...`.
    pub(super) arg: Option<VariableId>,
    /// What runs.
    pub(super) body: Vec<Statement<'a>>,
}

/// A statement and its line.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    /// From 1.
    pub(super) line: u32,
    /// What it is.
    pub(super) kind: Kind<'a>,
}

/// Statements by kind.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// `local a, b = x, y`
    Local(Vec<VariableId>, Vec<Expression<'a>>),
    /// `local function f`
    LocalFunction(VariableId, FunctionId),
    /// `a, t.b = x, y`, and `function t.b` as an assignment of a function.
    Assign(Vec<Expression<'a>>, Vec<Expression<'a>>),
    /// A call whose results nobody takes.
    Call(Expression<'a>),
    /// What evaluates some expressions and then runs blocks, in whatever order and however often: `do`, `while`, `repeat`, `if`.
    Blocks(Vec<Expression<'a>>, Vec<Vec<Statement<'a>>>),
    /// `for i = a, b, c do`
    NumericFor(VariableId, Vec<Expression<'a>>, Vec<Statement<'a>>),
    /// `for a, b in x, y do`
    GenericFor(Vec<VariableId>, Vec<Expression<'a>>, Vec<Statement<'a>>),
    /// `return x, y`
    Return(Vec<Expression<'a>>),
    /// `break`
    Break,
}

/// Expressions by kind.
#[derive(Debug)]
pub(super) enum Expression<'a> {
    /// `nil` and `false`
    Falsy,
    /// A string.
    Text(Rc<[u8]>),
    /// An integer, as a command's argument.
    Integer(Rc<[u8]>),
    /// `true`, and numbers that are no plain integers.
    Value,
    /// `...`
    Varargs,
    /// `function(…) … end`
    Function(FunctionId),
    /// A local variable.
    Local(VariableId),
    /// A global variable.
    Global(&'a [u8]),
    /// A value and what is done to it, from left to right.
    Chain(Box<Expression<'a>>, Vec<Link<'a>>),
    /// Values of a table constructor, in order, and the computed names of its fields.
    Table {
        /// Values in order, those of named fields as well.
        values: Vec<Expression<'a>>,
        /// `x` of `[x] = y`
        names: Vec<Expression<'a>>,
        /// Whether the last value stands without a name, so that it may be many.
        open: bool,
    },
    /// `a and b and c`
    And(Vec<Expression<'a>>),
    /// `a or b or c`
    Or(Vec<Expression<'a>>),
    /// Operands of operators whose result is a new value: arithmetic, comparison, `..`, `not`.
    Mixed(Vec<Expression<'a>>),
    /// `#x`
    Length(Box<Expression<'a>>),
    /// `(x)` where it matters: the first of many values.
    First(Box<Expression<'a>>),
}

/// What is done to a value.
#[derive(Debug)]
pub(super) enum Link<'a> {
    /// `.name` and `['name']`
    Field(Rc<[u8]>),
    /// `[x]`
    Index(Expression<'a>),
    /// `(x, y)`
    Call(Vec<Expression<'a>>),
    /// `:name(x, y)`
    Method(Vec<Expression<'a>>),
}

impl Expression<'_> {
    /// Whether it may have none or many values.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Varargs => true,
            Self::Chain(_, links) => {
                matches!(links.last(), Some(Link::Call(_) | Link::Method(_)))
            }
            _ => false,
        }
    }
}
