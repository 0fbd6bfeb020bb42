//! What the locals of a script can be, and which commands it calls.
//!
//! ```text
//! round 1   local function lock(k, v) redis.call('set', k, v) end     k: nothing yet    → call reported, thrown away
//!           lock(KEYS[1], ARGV[1])                                    k ∪= KEYS element → changed
//! round 2   …                                                         k: KEYS element   → set Key Other
//!           …                                                         nothing changed   → done
//! ```
//!
//! Each round walks over all statements once, in the order of the text, and over the body of each function where it
//! stands. Facts are joined, never replaced, so the order of a run does not matter. A local that is another name of
//! something guarded has a role in place of a fact: it is never assigned, so the name can be read as what it stands for.

use super::chain::Reached;
use super::fact::{Fact, Rest, Values};
use super::globals::{self, Builtin, Role};
use super::refusal::{Outcome, Refusal};
use super::syntax::{Expression, FunctionId, Kind, Link, Program, Statement, VariableId};
use super::{CALLS_MAX, CommandCall, ROUNDS_MAX, VISITS_MAX};

/// The commands that a program can call.
///
/// # Errors
/// Why that cannot be told.
pub(super) fn calls(program: &Program<'_>) -> Outcome<Vec<CommandCall>> {
    let mut flow = Flow {
        program,
        facts: vec![Fact::default(); program.assigned.len()],
        roles: vec![Role::Plain; program.assigned.len()],
        results: vec![Rest::default(); program.functions.len()],
        calls: Vec::new(),
        inside: None,
        changed: false,
        visits: 0,
        line: 1,
    };
    for _ in 0..ROUNDS_MAX {
        flow.changed = false;
        flow.calls.clear();
        flow.block(&program.main)?;
        if !flow.changed {
            return Ok(flow.calls);
        }
    }
    Err(flow.refuse("its functions call each other too deep"))
}

/// What is known, while the rounds go on.
pub(super) struct Flow<'p> {
    program: &'p Program<'p>,
    /// By variable.
    facts: Vec<Fact>,
    /// By variable.
    roles: Vec<Role>,
    /// By function: what it returns.
    pub(super) results: Vec<Rest>,
    /// Of this round.
    calls: Vec<CommandCall>,
    /// The function whose body is walked.
    inside: Option<FunctionId>,
    /// Whether this round learned anything.
    changed: bool,
    visits: usize,
    line: u32,
}

impl<'p> Flow<'p> {
    /// A refusal at the statement.
    pub(super) fn refuse(&self, why: &'static str) -> Refusal {
        Refusal::new(self.line, why)
    }

    fn block(&mut self, block: &'p [Statement<'p>]) -> Outcome<()> {
        block.iter().try_for_each(|statement| {
            self.line = statement.line;
            self.statement(&statement.kind)
        })
    }

    fn statement(&mut self, kind: &'p Kind<'p>) -> Outcome<()> {
        match kind {
            Kind::Local(variables, values) => {
                let values = self.list(values, variables)?;
                for (index, variable) in variables.iter().enumerate() {
                    self.learn(*variable, &values.at(index));
                }
            }
            Kind::LocalFunction(variable, function) => {
                if !self.name(*variable, Role::Function(*function)) {
                    self.escape(*function);
                    self.learn(*variable, &Fact::anything());
                }
                self.body(*function)?;
            }
            Kind::Assign(targets, values) => self.assign(targets, values)?,
            Kind::Call(call) => drop(self.value(call)?),
            Kind::Blocks(values, blocks) => {
                self.list(values, &[])?;
                blocks.iter().try_for_each(|block| self.block(block))?;
            }
            Kind::NumericFor(variable, bounds, body) => {
                self.list(bounds, &[])?;
                self.learn(*variable, &Fact::anything());
                self.block(body)?;
            }
            Kind::GenericFor(variables, values, body) => {
                let element = self.iterated(values)?;
                for (index, variable) in variables.iter().enumerate() {
                    match (index, &element) {
                        (1, Some(element)) => self.learn(*variable, element),
                        _ => self.learn(*variable, &Fact::anything()),
                    }
                }
                self.block(body)?;
            }
            Kind::Return(values) => {
                let values = self.list(values, &[])?;
                if let Some(function) = self.inside {
                    self.changed |= values.join_into(&mut self.results[function]);
                }
            }
            Kind::Break => {}
        }
        Ok(())
    }

    /// `f().x, y = 1, 2`
    fn assign(
        &mut self,
        targets: &'p [Expression<'p>],
        values: &'p [Expression<'p>],
    ) -> Outcome<()> {
        let values = self.list(values, &[])?;
        for (index, target) in targets.iter().enumerate() {
            match target {
                Expression::Local(variable) => self.learn(*variable, &values.at(index)),
                Expression::Chain(base, links) => {
                    let Some((last, before)) = links.split_last() else {
                        return Err(self.refuse("a syntax error"));
                    };
                    let table = self.chain(base, before)?;
                    self.plain(table)?;
                    match last {
                        Link::Field(_) => {}
                        Link::Index(name) => drop(self.value(name)?),
                        Link::Call(_) | Link::Method(_) => {
                            return Err(self.refuse("a syntax error"));
                        }
                    }
                }
                Expression::Global(_) => return Err(self.refuse("it assigns a global")),
                _ => return Err(self.refuse("a syntax error")),
            }
        }
        Ok(())
    }

    /// The body of a function, where it stands.
    fn body(&mut self, function: FunctionId) -> Outcome<()> {
        let program = self.program;
        let outside = self.inside.replace(function);
        let line = self.line;
        if let Some(arg) = program.functions[function].arg {
            self.learn(arg, &Fact::anything());
        }
        let result = self.block(&program.functions[function].body);
        self.inside = outside;
        if result.is_ok() {
            self.line = line;
        }
        result
    }

    /// Joins a fact into that of a variable.
    pub(super) fn learn(&mut self, variable: VariableId, fact: &Fact) {
        self.changed |= self.facts[variable].join(fact);
    }

    /// Lets a variable stand for something, if no statement assigns it.
    fn name(&mut self, variable: VariableId, role: Role) -> bool {
        if self.program.assigned[variable] {
            return false;
        }
        self.roles[variable] = role;
        true
    }

    /// A function becomes a value: whoever has it may call it with anything.
    fn escape(&mut self, function: FunctionId) {
        let program = self.program;
        for parameter in &program.functions[function].parameters {
            self.learn(*parameter, &Fact::anything());
        }
    }

    /// A call of a function by its name.
    pub(super) fn bind(&mut self, function: FunctionId, values: &Values) {
        let program = self.program;
        for (index, parameter) in program.functions[function].parameters.iter().enumerate() {
            self.learn(*parameter, &values.at(index));
        }
    }

    /// What an expression stands for.
    pub(super) fn role(&self, expression: &Expression<'_>) -> Outcome<Role> {
        match expression {
            Expression::Local(variable) => Ok(self.roles[*variable]),
            Expression::Global(name) => globals::role(name)
                .ok_or_else(|| self.refuse("it names a global that is not known")),
            Expression::Chain(base, links) => match (self.role(base)?, &links[..]) {
                (Role::Redis, [Link::Field(name)]) => self.field_of_redis(name),
                _ => Ok(Role::Plain),
            },
            _ => Ok(Role::Plain),
        }
    }

    /// What `redis.name` stands for.
    pub(super) fn field_of_redis(&self, name: &[u8]) -> Outcome<Role> {
        globals::field_of_redis(name)
            .ok_or_else(|| self.refuse("it names a field of redis that is not known"))
    }

    /// A value of a `local`: whether its name stands for it from here on.
    fn alias(&mut self, variable: VariableId, value: &'p Expression<'p>) -> Outcome<bool> {
        let role = match value {
            Expression::Function(function) => Role::Function(*function),
            // `local unpack = unpack or table.unpack`: a function is never false.
            Expression::Or(operands) => match operands.split_first() {
                Some((first, others)) => match self.role(first)? {
                    role @ Role::Builtin(_) => {
                        self.list(others, &[])?;
                        role
                    }
                    _ => Role::Plain,
                },
                None => Role::Plain,
            },
            other => self.role(other)?,
        };
        let named = role != Role::Plain && self.name(variable, role);
        if let (true, Expression::Function(function)) = (named, value) {
            self.body(*function)?;
        }
        Ok(named)
    }

    /// The values of a list of expressions; the first of them are those of `local` variables.
    pub(super) fn list(
        &mut self,
        expressions: &'p [Expression<'p>],
        variables: &[VariableId],
    ) -> Outcome<Values> {
        let mut values = Values::default();
        for (index, expression) in expressions.iter().enumerate() {
            if let Some(variable) = variables.get(index)
                && self.alias(*variable, expression)?
            {
                values.fixed.push(Fact::default());
            } else if index + 1 == expressions.len() && expression.is_open() {
                match self.open(expression)? {
                    Ok(rest) => values.rest = Some(rest),
                    Err(fact) => values.fixed.push(fact),
                }
            } else {
                values.fixed.push(self.value(expression)?);
            }
        }
        Ok(values)
    }

    /// The value of an expression, where it may go anywhere: nothing that is guarded may stand here.
    pub(super) fn value(&mut self, expression: &'p Expression<'p>) -> Outcome<Fact> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Err(self.refuse("it takes too long to look at"));
        }
        Ok(match expression {
            Expression::Falsy => Fact::default(),
            Expression::Text(text) | Expression::Integer(text) => Fact::constant(text),
            Expression::Value | Expression::Varargs => Fact::anything(),
            Expression::Function(function) => {
                self.escape(*function);
                self.body(*function)?;
                Fact::anything()
            }
            Expression::Local(variable) => match self.roles[*variable] {
                Role::Plain => self.facts[*variable].clone(),
                role => self.plain(Reached::Role(role))?,
            },
            Expression::Global(_) => {
                let role = self.role(expression)?;
                self.plain(Reached::Role(role))?
            }
            Expression::Chain(base, links) => {
                let reached = self.chain(base, links)?;
                self.plain(reached)?
            }
            Expression::Table { values, names, .. } => {
                self.list(names, &[])?;
                self.list(values, &[])?;
                Fact::anything()
            }
            Expression::And(operands) => {
                let values = self.each(operands)?;
                values.last().cloned().unwrap_or_default()
            }
            Expression::Or(operands) => {
                let mut union = Fact::default();
                for fact in self.each(operands)? {
                    union.join(&fact);
                }
                union
            }
            Expression::Mixed(operands) => {
                self.each(operands)?;
                Fact::anything()
            }
            Expression::Length(operand) => {
                if self.role(operand)? != Role::Keys {
                    self.value(operand)?;
                }
                Fact::anything()
            }
            Expression::First(inner) => self.value(inner)?,
        })
    }

    fn each(&mut self, operands: &'p [Expression<'p>]) -> Outcome<Vec<Fact>> {
        operands.iter().map(|operand| self.value(operand)).collect()
    }

    /// What has been reached becomes a value as any other: refused if it is guarded.
    pub(super) fn plain(&mut self, reached: Reached) -> Outcome<Fact> {
        match reached {
            Reached::Value(fact) => Ok(fact),
            Reached::Results(rest) => Ok(rest.at(0).clone()),
            Reached::Role(Role::Plain | Role::Builtin(_)) => Ok(Fact::anything()),
            Reached::Role(Role::Function(function)) => {
                self.escape(function);
                Ok(Fact::anything())
            }
            Reached::Role(Role::Redis) => Err(self.refuse("it hands redis out")),
            Reached::Role(Role::Keys) => Err(self.refuse("it hands KEYS out")),
            Reached::Role(Role::Command) => Err(self.refuse("it hands redis.call out")),
        }
    }

    /// What a `for` with `ipairs` or `pairs` gives as its second variable, if it goes over KEYS or a new table.
    fn iterated(&mut self, values: &'p [Expression<'p>]) -> Outcome<Option<Fact>> {
        if let [Expression::Chain(base, links)] = values
            && let [Link::Call(arguments)] = &links[..]
            && let [argument] = &arguments[..]
            && self.role(base)? == Role::Builtin(Builtin::Pairs)
            && let Some(elements) = self.elements(argument)?
        {
            return Ok(Some(elements));
        }
        self.list(values, &[])?;
        Ok(None)
    }

    /// What is in KEYS or in a table that is made on the spot and that nobody else can see.
    pub(super) fn elements(&mut self, table: &'p Expression<'p>) -> Outcome<Option<Fact>> {
        if self.role(table)? == Role::Keys {
            return Ok(Some(Fact::key()));
        }
        let Expression::Table {
            values,
            names,
            open,
        } = table
        else {
            return Ok(None);
        };
        self.list(names, &[])?;
        let facts = if *open {
            self.list(values, &[])?
        } else {
            Values {
                fixed: self.each(values)?,
                rest: None,
            }
        };
        Ok(Some(facts.union()))
    }

    /// A command is called with these: the name, then its arguments.
    pub(super) fn command(&mut self, values: &Values) -> Outcome<()> {
        let Some(name) = values.fixed.first() else {
            return match values.rest {
                Some(_) => Err(self.refuse("the name of a command is not constant")),
                // Without a name no command runs.
                None => Ok(()),
            };
        };
        let Some(names) = name.constants() else {
            return Err(self.refuse("the name of a command is not constant"));
        };
        let arguments = values.clone().without_first().arguments();
        for name in names {
            if self.calls.len() >= CALLS_MAX {
                return Err(self.refuse("it calls too many commands"));
            }
            self.calls.push(CommandCall {
                name: name.to_ascii_lowercase().into(),
                arguments: arguments.clone(),
                line: self.line,
            });
        }
        Ok(())
    }
}
