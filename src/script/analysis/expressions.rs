//! From words to expressions: the other half of the parser.
//!
//! ```text
//! expression ─ operand (operator operand)*           binding as in Lua: or < and < comparison < .. < + < * < unary < ^
//!                 └ simple ─ suffixed ─ name or ( ), then .name [x] (x) :name(x)
//! ```

use std::rc::Rc;

use super::lexer::Token;
use super::parser::Parser;
use super::refusal::Outcome;
use super::syntax::{Expression, Link};

/// How strongly the unary operators bind.
const UNARY: u8 = 8;

/// How strongly an operator binds to its left and to its right.
fn binding(mark: &str) -> Option<(u8, u8)> {
    Some(match mark {
        "or" => (1, 1),
        "and" => (2, 2),
        "<" | ">" | "<=" | ">=" | "~=" | "==" => (3, 3),
        ".." => (5, 4),
        "+" | "-" => (6, 6),
        "*" | "/" | "%" => (7, 7),
        "^" => (10, 9),
        _ => return None,
    })
}

/// Both operands under an operator; what is chained to the left becomes one list.
fn combine<'a>(mark: &str, left: Expression<'a>, right: Expression<'a>) -> Expression<'a> {
    let (mut operands, kind): (_, fn(_) -> _) = match (mark, left) {
        ("and", Expression::And(operands)) => (operands, Expression::And),
        ("and", left) => (vec![left], Expression::And),
        ("or", Expression::Or(operands)) => (operands, Expression::Or),
        ("or", left) => (vec![left], Expression::Or),
        (_, Expression::Mixed(operands)) => (operands, Expression::Mixed),
        (_, left) => (vec![left], Expression::Mixed),
    };
    operands.push(right);
    kind(operands)
}

impl<'a> Parser<'a> {
    /// One expression.
    pub(super) fn expression(&mut self) -> Outcome<Expression<'a>> {
        self.operators(0)
    }

    /// Expressions with commas between them, one at least.
    pub(super) fn expressions(&mut self) -> Outcome<Vec<Expression<'a>>> {
        let mut list = vec![self.expression()?];
        while self.eat(",")? {
            list.push(self.expression()?);
        }
        Ok(list)
    }

    /// Operators that bind more strongly than `limit`, and their operands.
    fn operators(&mut self, limit: u8) -> Outcome<Expression<'a>> {
        self.deeper(|parser| {
            let mut left = parser.unary()?;
            while let Token::Mark(mark) = parser.token {
                let Some((_, to_right)) = binding(mark).filter(|(to_left, _)| *to_left > limit)
                else {
                    break;
                };
                parser.advance()?;
                let right = parser.operators(to_right)?;
                left = combine(mark, left, right);
            }
            Ok(left)
        })
    }

    fn unary(&mut self) -> Outcome<Expression<'a>> {
        if self.eat("not")? {
            return Ok(Expression::Mixed(vec![self.operators(UNARY)?]));
        }
        if self.eat("#")? {
            return Ok(Expression::Length(Box::new(self.operators(UNARY)?)));
        }
        if !self.eat("-")? {
            return self.simple();
        }
        Ok(match self.operators(UNARY)? {
            // A zero with a sign is left to those who print it.
            Expression::Integer(text) if *text != *b"0" && !text.starts_with(b"-") => {
                Expression::Integer([b"-", &*text].concat().into())
            }
            operand => Expression::Mixed(vec![operand]),
        })
    }

    fn simple(&mut self) -> Outcome<Expression<'a>> {
        let value = match &self.token {
            Token::Number(None) => Expression::Value,
            Token::Number(Some(text)) => Expression::Integer(Rc::clone(text)),
            Token::Text(text) => Expression::Text(Rc::clone(text)),
            Token::Mark("nil" | "false") => Expression::Falsy,
            Token::Mark("true") => Expression::Value,
            Token::Mark("...") => Expression::Varargs,
            Token::Mark("{") => return self.table(),
            Token::Mark("function") => {
                self.advance()?;
                return Ok(Expression::Function(self.function(false)?));
            }
            _ => return self.suffixed(),
        };
        self.advance()?;
        Ok(value)
    }

    fn table(&mut self) -> Outcome<Expression<'a>> {
        self.expect("{")?;
        let (mut values, mut names, mut open) = (Vec::new(), Vec::new(), false);
        while !self.eat("}")? {
            open = false;
            if self.eat("[")? {
                names.push(self.expression()?);
                self.expect("]")?;
                self.expect("=")?;
            } else if matches!(self.token, Token::Name(_)) && *self.behind()? == Token::Mark("=") {
                self.advance()?;
                self.advance()?;
            } else {
                open = true;
            }
            values.push(self.expression()?);
            if !self.eat(",")? && !self.eat(";")? && !self.at("}") {
                return Err(self.refuse("a syntax error"));
            }
        }
        Ok(Expression::Table {
            values,
            names,
            open,
        })
    }

    fn named(&mut self, name: &'a [u8]) -> Expression<'a> {
        match self.scope.find(name) {
            Some(variable) => Expression::Local(variable),
            None => Expression::Global(name),
        }
    }

    /// The name behind `function`, and whether it ends as a method's.
    pub(super) fn function_name(&mut self) -> Outcome<(Expression<'a>, bool)> {
        let name = self.name()?;
        let base = self.named(name);
        let (mut links, mut method) = (Vec::new(), false);
        while !method && (self.at(".") || self.at(":")) {
            method = self.at(":");
            self.advance()?;
            links.push(Link::Field(self.name()?.into()));
        }
        if links.is_empty() {
            Ok((base, false))
        } else {
            Ok((Expression::Chain(Box::new(base), links), method))
        }
    }

    /// A name or something in parentheses, and what is done to it.
    pub(super) fn suffixed(&mut self) -> Outcome<Expression<'a>> {
        let base = if self.eat("(")? {
            let inner = self.expression()?;
            self.expect(")")?;
            if inner.is_open() {
                Expression::First(Box::new(inner))
            } else {
                inner
            }
        } else {
            let name = self.name()?;
            self.named(name)
        };
        let (base, mut links) = match base {
            Expression::Chain(base, links) => (base, links),
            base => (Box::new(base), Vec::new()),
        };
        while let Some(link) = self.link()? {
            links.push(link);
        }
        Ok(if links.is_empty() {
            *base
        } else {
            Expression::Chain(base, links)
        })
    }

    fn link(&mut self) -> Outcome<Option<Link<'a>>> {
        Ok(Some(match self.token {
            Token::Mark(".") => {
                self.advance()?;
                Link::Field(self.name()?.into())
            }
            Token::Mark("[") => {
                self.advance()?;
                let index = self.expression()?;
                self.expect("]")?;
                match index {
                    Expression::Text(name) => Link::Field(name),
                    index => Link::Index(index),
                }
            }
            Token::Mark(":") => {
                self.advance()?;
                self.name()?;
                Link::Method(self.arguments()?)
            }
            Token::Mark("(" | "{") | Token::Text(_) => Link::Call(self.arguments()?),
            _ => return Ok(None),
        }))
    }

    fn arguments(&mut self) -> Outcome<Vec<Expression<'a>>> {
        if !self.at("(") {
            return match self.token {
                Token::Mark("{") | Token::Text(_) => Ok(vec![self.simple()?]),
                _ => Err(self.refuse("a syntax error")),
            };
        }
        if self.line != self.last_line {
            return Err(self.refuse("a call with its parenthesis on the next line"));
        }
        self.advance()?;
        if self.eat(")")? {
            return Ok(Vec::new());
        }
        let list = self.expressions()?;
        self.expect(")")?;
        Ok(list)
    }
}
