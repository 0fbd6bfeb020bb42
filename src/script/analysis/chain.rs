//! What is reached by a chain of fields, indices and calls.
//!
//! ```text
//! redis ── .call ──► Command ── (…) ──► one value, and a CommandCall
//! KEYS  ── [x] ────► an element of KEYS
//! f     ── (…) ────► what f returns; its parameters get the arguments
//! unpack ─ (KEYS) ─► any number of elements of KEYS
//! anything else ───► anything; what stands in brackets and parentheses goes anywhere
//! ```

use super::fact::{Fact, Rest};
use super::flow::Flow;
use super::globals::{Builtin, Role};
use super::refusal::Outcome;
use super::syntax::{Expression, Link};

/// What a part of a chain stands for.
pub(super) enum Reached {
    /// Something with a role, or a plain value if the role is that.
    Role(Role),
    /// One value.
    Value(Fact),
    /// The results of a call.
    Results(Rest),
}

impl<'p> Flow<'p> {
    /// What a chain stands for.
    pub(super) fn chain(
        &mut self,
        base: &'p Expression<'p>,
        links: &'p [Link<'p>],
    ) -> Outcome<Reached> {
        let mut reached = match base {
            Expression::Local(_) | Expression::Global(_) => match self.role(base)? {
                Role::Plain => Reached::Value(self.value(base)?),
                role => Reached::Role(role),
            },
            other => Reached::Value(self.value(other)?),
        };
        for link in links {
            reached = self.follow(reached, link)?;
        }
        Ok(reached)
    }

    /// All values of an expression that may have many, or its one value.
    pub(super) fn open(&mut self, expression: &'p Expression<'p>) -> Outcome<Result<Rest, Fact>> {
        match expression {
            Expression::Chain(base, links) => match self.chain(base, links)? {
                Reached::Results(rest) => Ok(Ok(rest)),
                one => Ok(Err(self.plain(one)?)),
            },
            Expression::Varargs => Ok(Ok(Rest::all(Fact::anything()))),
            other => Ok(Err(self.value(other)?)),
        }
    }

    fn follow(&mut self, from: Reached, link: &'p Link<'p>) -> Outcome<Reached> {
        match (from, link) {
            (Reached::Role(Role::Redis), Link::Field(name)) => {
                Ok(Reached::Role(self.field_of_redis(name)?))
            }
            (Reached::Role(Role::Redis), _) => Err(self.refuse("it uses redis in an unknown way")),
            (Reached::Role(Role::Keys), Link::Field(_)) => Ok(Reached::Value(Fact::key())),
            (Reached::Role(Role::Keys), Link::Index(index)) => {
                self.value(index)?;
                Ok(Reached::Value(Fact::key()))
            }
            (Reached::Role(Role::Command), Link::Call(arguments)) => {
                let values = self.list(arguments, &[])?;
                self.command(&values)?;
                Ok(Reached::Value(Fact::anything()))
            }
            (Reached::Role(Role::Function(function)), Link::Call(arguments)) => {
                let values = self.list(arguments, &[])?;
                self.bind(function, &values);
                Ok(Reached::Results(self.results[function].clone()))
            }
            (Reached::Role(Role::Builtin(builtin)), Link::Call(arguments)) => {
                self.builtin(builtin, arguments)
            }
            (other, link) => {
                self.plain(other)?;
                self.follow_plain(link)
            }
        }
    }

    /// A link from a value of which nothing is known.
    fn follow_plain(&mut self, link: &'p Link<'p>) -> Outcome<Reached> {
        match link {
            Link::Field(_) => Ok(Reached::Value(Fact::anything())),
            Link::Index(index) => {
                self.value(index)?;
                Ok(Reached::Value(Fact::anything()))
            }
            Link::Call(arguments) | Link::Method(arguments) => {
                self.list(arguments, &[])?;
                Ok(Reached::Results(Rest::all(Fact::anything())))
            }
        }
    }

    fn builtin(&mut self, builtin: Builtin, arguments: &'p [Expression<'p>]) -> Outcome<Reached> {
        let unknown = Rest::all(Fact::anything());
        let Some((first, others)) = arguments.split_first() else {
            return Ok(Reached::Results(unknown));
        };
        match (builtin, self.role(first)?) {
            (Builtin::Unpack, _) => {
                if let Some(elements) = self.elements(first)? {
                    self.list(others, &[])?;
                    return Ok(Reached::Results(Rest::all(elements)));
                }
            }
            (Builtin::Protected, Role::Command) => {
                let values = self.list(others, &[])?;
                self.command(&values)?;
                return Ok(Reached::Results(unknown));
            }
            (Builtin::Protected, Role::Function(function)) => {
                let values = self.list(others, &[])?;
                self.bind(function, &values);
                return Ok(Reached::Results(unknown));
            }
            _ => {}
        }
        self.list(arguments, &[])?;
        Ok(Reached::Results(unknown))
    }
}
