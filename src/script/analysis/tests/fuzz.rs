//! Random scripts run by a real Lua: what is proved must be true.
//!
//! ```text
//! tape of bytes ─ Writer ─ script ─┬─ analysis: provable?
//!                                  └─ Lua, redis.call records ─ keys touched  ⊆  KEYS, if provable
//! ```
//!
//! And canaries: variants of the analysis with one reason of its proof taken away must be caught.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{HookTriggers, Lua, MultiValue, Value, VmState};
use proptest::prelude::*;

use super::script::Writer;
use super::table::{declared, provable, touched};
use crate::script::analysis::syntax::{Expression, Kind, Link, Program, Statement};
use crate::script::analysis::{Argument, CommandCall, flow, parser};

/// KEYS and ARGV of a run. Some of them look like counts, keywords and names of commands.
const WORLDS: [(&[&str], &[&str]); 4] = [
    (&["k1", "k2", "k3"], &["a1", "a2", "a3"]),
    (&["streams", "k2", "count", "k4"], &["2", "streams", "a3"]),
    (&["2", "1", "3", "k4"], &["del", "get", "2", "x"]),
    (&["k1"], &["streams", "1"]),
];

/// What one argument of a command is to it: its bytes, or none if the command refuses it.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// What catches errors, made to throw again once the script has run too long: else a recursion keeps it running. And made
/// to return few values: a stack that is full makes the assertions in pcall of Lua 5.1 fail.
const CATCHERS: &str = "
    local pcall_of_lua, xpcall_of_lua, error, select, stopped = pcall, xpcall, error, select, ...
    local function few(...)
        if select('#', ...) > 10 then error('too many') end
        return ...
    end
    local function caught(...)
        if stopped() then error('too long') end
        return ...
    end
    pcall = function(f, ...)
        return caught(pcall_of_lua(function(...) return few(f(...)) end, ...))
    end
    xpcall = function(f, handler)
        return caught(xpcall_of_lua(function() return few(f()) end, handler))
    end";

/// Catches of a script before it is stopped: each coroutine counts its own instructions.
const CATCHES_MAX: u32 = 300;

/// Ends a script after so many instructions.
fn stop_after(lua: &Lua, instructions: u32) -> mlua::Result<()> {
    let stopped = Rc::new(Cell::new(false));
    let told = Rc::clone(&stopped);
    let catches = Cell::new(0);
    let tell = lua.create_function(move |_, ()| {
        catches.set(catches.get() + 1);
        Ok(told.get() || catches.get() > CATCHES_MAX)
    })?;
    lua.load(CATCHERS).call::<()>(tell)?;
    let every = HookTriggers::new().every_nth_instruction(instructions);
    lua.set_global_hook(every, move |_, _| -> mlua::Result<VmState> {
        stopped.set(true);
        Err(mlua::Error::runtime("too long"))
    })
}

/// Runs a script and tells the commands that ran.
fn run(script: &str, keys: &[&str], arguments: &[&str]) -> Vec<Vec<Vec<u8>>> {
    let lua = Lua::new();
    let commands = Rc::new(RefCell::new(Vec::new()));
    let record = Rc::clone(&commands);
    let command = move |lua: &Lua, arguments: MultiValue| {
        let words: Option<Vec<Vec<u8>>> = arguments.iter().map(bytes).collect();
        match words.filter(|words| !words.is_empty()) {
            Some(words) => {
                record.borrow_mut().push(words);
                let count = record.borrow().len();
                // All kinds of answers.
                Ok(match count % 4 {
                    0 => Value::Boolean(false),
                    1 => Value::String(lua.create_string("answer")?),
                    2 => Value::Integer(2),
                    _ => Value::Table(lua.create_sequence_from(["a", "b"])?),
                })
            }
            None => Err(mlua::Error::runtime("bad argument")),
        }
    };
    let prepare = || -> mlua::Result<()> {
        let redis = lua.create_table()?;
        redis.set("call", lua.create_function(command.clone())?)?;
        redis.set("pcall", lua.create_function(command)?)?;
        let globals = lua.globals();
        globals.set("redis", redis)?;
        globals.set("KEYS", lua.create_sequence_from(keys.iter().copied())?)?;
        globals.set("ARGV", lua.create_sequence_from(arguments.iter().copied())?)?;
        lua.set_memory_limit(16 << 20)?;
        stop_after(&lua, 5_000)
    };
    prepare().unwrap();
    // It may fail at any place: what ran before counts.
    drop(lua.load(script).set_name("script").exec());
    drop(lua);
    commands.take()
}

/// A command that ran with a key that is not one of KEYS.
fn wrong(script: &str) -> Option<String> {
    for (keys, arguments) in WORLDS {
        for command in run(script, keys, arguments) {
            for key in touched(&command) {
                if !keys.iter().any(|known| known.as_bytes() == key) {
                    let words: Vec<_> = command
                        .iter()
                        .map(|word| String::from_utf8_lossy(word))
                        .collect();
                    return Some(format!("{words:?} with {keys:?} {arguments:?}"));
                }
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(crate::property::cases(4000))]

    #[test]
    fn what_is_proved_is_true(tape in proptest::collection::vec(any::<u8>(), 0..120)) {
        let script = Writer::script(&tape);
        if provable(&script)
            && let Some(wrong) = wrong(&script)
        {
            prop_assert!(false, "{wrong}\n{script}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic(source in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::script::analysis::analyse(&source);
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(0..WORDS.len(), 0..60)) {
        let words: Vec<&str> = words.into_iter().map(|word| WORDS[word]).collect();
        crate::script::analysis::analyse(words.join(" ").as_bytes());
    }
}

const WORDS: [&str; 44] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "until", "while", "KEYS", "redis", "call", "x",
    "(", ")", "{", "}", "[", "]", ".", ":", ",", ";", "=", "==", "...", "..", "-", "#", "1", "'s'",
    "[[l]]", "--[[c]]",
];

/// A simple generator, for scripts without proptest.
struct Dice(u64);

impl Dice {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[4]
    }

    fn script(&mut self) -> String {
        let length = usize::from(self.byte()) / 2;
        let tape: Vec<u8> = (0..length).map(|_| self.byte()).collect();
        Writer::script(&tape)
    }
}

#[test]
fn the_random_scripts_are_worth_their_time() {
    let mut dice = Dice(7);
    let (mut lua, mut proved, mut keys, mut many) = (0, 0, 0, 0);
    for _ in 0..1000 {
        let script = dice.script();
        lua += u32::from(Lua::new().load(&script[..]).into_function().is_ok());
        if !provable(&script) {
            continue;
        }
        proved += 1;
        let (known, arguments) = WORLDS[0];
        let ran = run(&script, known, arguments);
        keys += u32::from(ran.iter().any(|command| !touched(command).is_empty()));
        many += u32::from(ran.len() > 3);
    }
    // Of 1000: what is Lua, what is proved, what touches keys, what runs several commands.
    let seen = (lua, proved, keys, many);
    assert!(
        lua > 950 && proved > 200 && keys > 150 && many > 15,
        "{seen:?}"
    );
}

/// Changes every statement of a program.
fn change<'a>(program: &mut Program<'a>, by: &mut impl FnMut(&mut Statement<'a>)) {
    fn block<'a>(statements: &mut [Statement<'a>], by: &mut impl FnMut(&mut Statement<'a>)) {
        for statement in statements {
            match &mut statement.kind {
                Kind::Blocks(_, blocks) => blocks.iter_mut().for_each(|inner| block(inner, by)),
                Kind::NumericFor(_, _, body) | Kind::GenericFor(_, _, body) => block(body, by),
                _ => {}
            }
            by(statement);
        }
    }
    block(&mut program.main, by);
    for function in &mut program.functions {
        block(&mut function.body, by);
    }
}

/// How many random scripts it takes to catch a variant of the analysis.
fn caught(
    weaken: impl Fn(&mut Program<'_>),
    forget: impl Fn(&mut CommandCall),
) -> Option<(usize, String)> {
    let mut dice = Dice(99);
    for tried in 0..40_000 {
        let script = dice.script();
        let Ok(mut program) = parser::parse(script.as_bytes()) else {
            continue;
        };
        weaken(&mut program);
        let Ok(mut calls) = flow::calls(&program) else {
            continue;
        };
        calls.iter_mut().for_each(&forget);
        if calls.iter().all(declared) && wrong(&script).is_some() {
            return Some((tried, script));
        }
    }
    None
}

#[track_caller]
fn expect_caught(what: &str, weaken: impl Fn(&mut Program<'_>), forget: impl Fn(&mut CommandCall)) {
    assert!(caught(weaken, forget).is_some(), "not caught: {what}");
}

#[test]
fn an_analysis_that_overlooks_assignments_is_caught() {
    let no_assignments = |program: &mut Program<'_>| {
        change(program, &mut |statement| {
            if matches!(&statement.kind, Kind::Assign(targets, _)
                if matches!(targets[..], [Expression::Local(_)]))
            {
                statement.kind = Kind::Break;
            }
        });
    };
    expect_caught("assignments of locals", no_assignments, |_| {});
    let no_roles = |program: &mut Program<'_>| program.assigned.fill(false);
    expect_caught("aliases that are assigned", no_roles, |_| {});
}

#[test]
fn an_analysis_that_overlooks_the_table_arg_is_caught() {
    let script = "local arg = KEYS
        local function f(...) redis.call('get', arg[1]) end
        f('zz')";
    let mut program = parser::parse(script.as_bytes()).unwrap();
    assert!(flow::calls(&program).is_ok_and(|calls| !calls.iter().all(declared)));
    // As if `arg` inside of the function were the local outside.
    let body = vec![Statement {
        line: 2,
        kind: Kind::Call(Expression::Chain(
            Box::new(Expression::Global(b"redis")),
            vec![
                Link::Field(b"call".as_slice().into()),
                Link::Call(vec![
                    Expression::Text(b"get".as_slice().into()),
                    Expression::Chain(
                        Box::new(Expression::Local(0)),
                        vec![Link::Index(Expression::Value)],
                    ),
                ]),
            ],
        )),
    }];
    program.functions[0].body = body;
    assert!(flow::calls(&program).is_ok_and(|calls| calls.iter().all(declared)));
    assert!(wrong(script).is_some());
}

#[test]
fn an_analysis_that_overlooks_calls_is_caught() {
    let no_calls = |program: &mut Program<'_>| {
        change(program, &mut |statement| {
            if let Kind::Call(Expression::Chain(base, links)) = &statement.kind
                && matches!(
                    (&**base, &links[..]),
                    (Expression::Local(_), [Link::Call(_)])
                )
            {
                statement.kind = Kind::Break;
            }
        });
    };
    expect_caught("calls of functions", no_calls, |_| {});
    let no_returns = |program: &mut Program<'_>| {
        change(program, &mut |statement| {
            if matches!(&statement.kind, Kind::Return(_)) {
                statement.kind = Kind::Break;
            }
        });
    };
    expect_caught("results of functions", no_returns, |_| {});
    let no_loops = |program: &mut Program<'_>| {
        change(program, &mut |statement| {
            if let Kind::GenericFor(_, values, _) = &mut statement.kind {
                *values = vec![Expression::Chain(
                    Box::new(Expression::Global(b"ipairs")),
                    vec![Link::Call(vec![Expression::Global(b"KEYS")])],
                )];
            }
        });
    };
    expect_caught("what a loop goes over", no_loops, |_| {});
}

#[test]
fn a_check_that_overlooks_arguments_is_caught() {
    let no_many = |call: &mut CommandCall| {
        call.arguments
            .retain(|argument| *argument != Argument::Many);
    };
    expect_caught("many arguments", |_| {}, no_many);
    let no_other = |call: &mut CommandCall| {
        for argument in &mut call.arguments {
            if *argument == Argument::Other {
                *argument = Argument::Constant(b"1".as_slice().into());
            }
        }
    };
    expect_caught("counts that are not constant", |_| {}, no_other);
    let no_constant = |call: &mut CommandCall| {
        for argument in &mut call.arguments {
            if matches!(argument, Argument::Constant(text) if &**text == b"zz") {
                *argument = Argument::Key;
            }
        }
    };
    expect_caught("constants as keys", |_| {}, no_constant);
}
