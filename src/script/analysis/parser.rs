//! From words to statements, with names resolved.
//!
//! ```text
//! source ─ Lexer ─ words ─ Parser (statements: here, expressions: expressions.rs) ─ Program
//!                            └ Scope: name → local
//! ```
//!
//! The grammar of Lua 5.1. What Lua refuses may be accepted here (such a script never runs); what Lua accepts is read
//! as Lua reads it, or refused. Nesting has a limit, as in Lua itself: the parser is recursive, and so is all that walks
//! over its trees.

use super::NESTING_MAX;
use super::lexer::{Lexer, Token};
use super::refusal::{Outcome, Refusal};
use super::scope::Scope;
use super::syntax::{Expression, Function, FunctionId, Kind, Program, Statement};

/// Local variables of a function, as in Lua.
const LOCALS_MAX: usize = 200;

/// Reads a script.
///
/// # Errors
/// What is no Lua 5.1, or nested too deep.
pub(super) fn parse(source: &[u8]) -> Outcome<Program<'_>> {
    let mut lexer = Lexer::new(source);
    let token = lexer.next()?;
    let mut parser = Parser {
        line: lexer.line(),
        last_line: 1,
        lexer,
        token,
        ahead: None,
        scope: Scope::default(),
        functions: Vec::new(),
        depth: 0,
    };
    let main = parser.block()?;
    if parser.token != Token::End {
        return Err(parser.refuse("a syntax error"));
    }
    Ok(Program {
        main,
        functions: parser.functions,
        assigned: parser.scope.into_assigned(),
    })
}

/// Reads words, builds trees.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word that is not taken yet.
    pub(super) token: Token<'a>,
    /// Its line.
    pub(super) line: u32,
    /// The line of the word before.
    pub(super) last_line: u32,
    /// The word behind, and its line, where one had to be looked at.
    ahead: Option<(Token<'a>, u32)>,
    /// Locals that can be seen here.
    pub(super) scope: Scope<'a>,
    functions: Vec<Function<'a>>,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A refusal here.
    pub(super) fn refuse(&self, why: &'static str) -> Refusal {
        Refusal::new(self.line, why)
    }

    /// Takes the word.
    pub(super) fn advance(&mut self) -> Outcome<Token<'a>> {
        let (next, line) = match self.ahead.take() {
            Some(next) => next,
            None => (self.lexer.next()?, self.lexer.line()),
        };
        self.last_line = self.line;
        self.line = line;
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// The word behind the one that is not taken yet.
    pub(super) fn behind(&mut self) -> Outcome<&Token<'a>> {
        if self.ahead.is_none() {
            self.ahead = Some((self.lexer.next()?, self.lexer.line()));
        }
        Ok(self.ahead.as_ref().map_or(&Token::End, |(token, _)| token))
    }

    /// Whether a mark is next.
    pub(super) fn at(&self, mark: &str) -> bool {
        matches!(&self.token, Token::Mark(next) if *next == mark)
    }

    /// Takes a mark if it is next.
    pub(super) fn eat(&mut self, mark: &str) -> Outcome<bool> {
        let found = self.at(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Takes a mark that must be next.
    pub(super) fn expect(&mut self, mark: &str) -> Outcome<()> {
        if self.eat(mark)? {
            Ok(())
        } else {
            Err(self.refuse("a syntax error"))
        }
    }

    /// Takes a name that must be next.
    pub(super) fn name(&mut self) -> Outcome<&'a [u8]> {
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.refuse("a syntax error")),
        }
    }

    /// Runs a part of the parser one level deeper.
    pub(super) fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= NESTING_MAX {
            return Err(self.refuse("it is nested too deep"));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// A block with a scope of its own.
    fn block(&mut self) -> Outcome<Vec<Statement<'a>>> {
        let opened = self.scope.open();
        let block = self.statements();
        self.scope.close(opened);
        block
    }

    /// Statements up to the end of the block; their locals stay visible.
    fn statements(&mut self) -> Outcome<Vec<Statement<'a>>> {
        let mut block = Vec::new();
        loop {
            let ends = ["end", "else", "elseif", "until"];
            if self.token == Token::End || ends.into_iter().any(|end| self.at(end)) {
                return Ok(block);
            }
            let line = self.line;
            let kind = self.deeper(Self::statement)?;
            let last = matches!(kind, Kind::Return(_) | Kind::Break);
            block.push(Statement { line, kind });
            self.eat(";")?;
            if last {
                return Ok(block);
            }
        }
    }

    fn statement(&mut self) -> Outcome<Kind<'a>> {
        let Token::Mark(mark) = self.token else {
            return self.expression_statement();
        };
        match mark {
            "(" => return self.expression_statement(),
            "if" => return self.conditional(),
            "function" => return self.function_statement(),
            _ => {}
        }
        self.advance()?;
        match mark {
            "while" => {
                let condition = self.expression()?;
                self.expect("do")?;
                let body = self.block_to_end()?;
                Ok(Kind::Blocks(vec![condition], vec![body]))
            }
            "do" => Ok(Kind::Blocks(Vec::new(), vec![self.block_to_end()?])),
            "for" => self.loop_over(),
            "repeat" => self.repeat(),
            "local" => self.local(),
            "return" => {
                let ends = ["end", "else", "elseif", "until", ";"];
                let empty = self.token == Token::End || ends.into_iter().any(|end| self.at(end));
                Ok(Kind::Return(if empty {
                    Vec::new()
                } else {
                    self.expressions()?
                }))
            }
            "break" => Ok(Kind::Break),
            _ => Err(self.refuse("a syntax error")),
        }
    }

    fn block_to_end(&mut self) -> Outcome<Vec<Statement<'a>>> {
        let body = self.block()?;
        self.expect("end")?;
        Ok(body)
    }

    fn conditional(&mut self) -> Outcome<Kind<'a>> {
        let (mut conditions, mut blocks) = (Vec::new(), Vec::new());
        while self.eat("if")? || self.eat("elseif")? {
            conditions.push(self.expression()?);
            self.expect("then")?;
            blocks.push(self.block()?);
        }
        if self.eat("else")? {
            blocks.push(self.block()?);
        }
        self.expect("end")?;
        Ok(Kind::Blocks(conditions, blocks))
    }

    /// `repeat`: its condition sees the locals of the block.
    fn repeat(&mut self) -> Outcome<Kind<'a>> {
        let opened = self.scope.open();
        let mut body = self.statements()?;
        self.expect("until")?;
        let line = self.line;
        let condition = self.expression()?;
        self.scope.close(opened);
        // Behind the block, for the locals that it names.
        let kind = Kind::Blocks(vec![condition], Vec::new());
        body.push(Statement { line, kind });
        Ok(Kind::Blocks(Vec::new(), vec![body]))
    }

    fn loop_over(&mut self) -> Outcome<Kind<'a>> {
        let mut names = vec![self.name()?];
        if self.eat("=")? {
            let bounds = self.expressions()?;
            let (variables, body) = self.loop_body(&names)?;
            let variable = variables.first().copied();
            let variable = variable.ok_or_else(|| self.refuse("a syntax error"))?;
            return Ok(Kind::NumericFor(variable, bounds, body));
        }
        while self.eat(",")? {
            names.push(self.name()?);
        }
        self.expect("in")?;
        let values = self.expressions()?;
        let (variables, body) = self.loop_body(&names)?;
        Ok(Kind::GenericFor(variables, values, body))
    }

    fn loop_body(&mut self, names: &[&'a [u8]]) -> Outcome<(Vec<usize>, Vec<Statement<'a>>)> {
        self.expect("do")?;
        let opened = self.scope.open();
        let variables = names.iter().map(|name| self.scope.declare(name)).collect();
        let body = self.block()?;
        self.scope.close(opened);
        self.expect("end")?;
        Ok((variables, body))
    }

    fn local(&mut self) -> Outcome<Kind<'a>> {
        if self.eat("function")? {
            let name = self.name()?;
            let variable = self.scope.declare(name);
            return Ok(Kind::LocalFunction(variable, self.function(false)?));
        }
        let mut names = vec![self.name()?];
        while self.eat(",")? {
            names.push(self.name()?);
        }
        let values = if self.eat("=")? {
            self.expressions()?
        } else {
            Vec::new()
        };
        // The values do not see the names.
        let variables = names.iter().map(|name| self.scope.declare(name)).collect();
        Ok(Kind::Local(variables, values))
    }

    /// `function a.b:c()` assigns a function to a field, `function a()` to a variable.
    fn function_statement(&mut self) -> Outcome<Kind<'a>> {
        self.expect("function")?;
        let (target, method) = self.function_name()?;
        self.note_assignment(&target);
        let function = self.function(method)?;
        Ok(Kind::Assign(
            vec![target],
            vec![Expression::Function(function)],
        ))
    }

    fn note_assignment(&mut self, target: &Expression<'a>) {
        if let Expression::Local(variable) = target {
            self.scope.assign(*variable);
        }
    }

    fn expression_statement(&mut self) -> Outcome<Kind<'a>> {
        let first = self.suffixed()?;
        if !self.at("=") && !self.at(",") {
            return if first.is_open() {
                Ok(Kind::Call(first))
            } else {
                Err(self.refuse("a syntax error"))
            };
        }
        let mut targets = vec![first];
        while self.eat(",")? {
            targets.push(self.suffixed()?);
        }
        self.expect("=")?;
        let values = self.expressions()?;
        for target in &targets {
            self.note_assignment(target);
        }
        Ok(Kind::Assign(targets, values))
    }

    /// Parameters and body of a function; `self` is the first parameter of a method.
    pub(super) fn function(&mut self, method: bool) -> Outcome<FunctionId> {
        let opened = self.scope.open();
        let mut function = Function::default();
        if method {
            function.parameters.push(self.scope.declare(b"self"));
        }
        self.expect("(")?;
        while !self.eat(")")? {
            if self.eat("...")? {
                // Lua 5.1 declares the table `arg` in such a function, whatever `arg` means outside.
                function.arg = Some(self.scope.declare(b"arg"));
                self.expect(")")?;
                break;
            }
            let name = self.name()?;
            function.parameters.push(self.scope.declare(name));
            if !self.at(")") {
                self.expect(",")?;
            }
        }
        if function.parameters.len() > LOCALS_MAX {
            return Err(self.refuse("a function with too many parameters"));
        }
        function.body = self.block_to_end()?;
        self.scope.close(opened);
        self.functions.push(function);
        Ok(self.functions.len() - 1)
    }
}
