//! Strings, numbers and comments, as Lua reads them.

use super::{Argument, analyse, constant};
use crate::script::analysis::lexer::{Lexer, Token};

/// What an expression is as the argument of a command.
fn argument(expression: &str) -> Argument {
    let source = format!("redis.call('x', {expression}, 1)");
    let calls = analyse(source.as_bytes()).unwrap_or_else(|| panic!("{expression}"));
    calls[0].arguments[0].clone()
}

#[test]
fn escapes_are_resolved() {
    for (text, meant) in [
        (r"'\115et'", "set"),
        (r"'\0650'", "A0"),
        (r"'\x41'", "x41"),
        (r"'\z'", "z"),
        (r"'a\\b'", r"a\b"),
        (r"'\'\34'", "'\""),
        ("'a\\\nb'", "a\nb"),
        ("'a\\\r\nb'", "a\nb"),
        ("[[\nx]]", "x"),
        ("[[\r\nx\r\ny\rz]]", "x\ny\nz"),
        ("[[\n\nx]]", "\nx"),
        ("[==[x]]y]=]z]==]", "x]]y]=]z"),
        ("[[x]=]]", "x]="),
        ("''", ""),
        ("--[[ ' ]] 'a'", "a"),
        ("--[ '\n 'a'", "a"),
        ("--[=[ ]] \n ]=] 'a'", "a"),
        ("('a')", "a"),
    ] {
        assert_eq!(argument(text), constant(meant), "{text}");
    }
}

#[test]
fn integers_are_constants_and_other_numbers_are_not() {
    for (text, meant) in [
        ("1", "1"),
        ("007", "7"),
        ("0", "0"),
        ("00", "0"),
        ("-5", "-5"),
        ("999999999999999", "999999999999999"),
    ] {
        assert_eq!(argument(text), constant(meant), "{text}");
    }
    for text in [
        "1.0",
        "1e1",
        "0x10",
        ".5",
        "-0",
        "- -5",
        "-'5'",
        "9999999999999999",
        "1 + 1",
        "-2 ^ 2",
    ] {
        assert_eq!(argument(text), Argument::Other, "{text}");
    }
}

#[test]
fn an_escaped_name_is_a_name() {
    let calls = analyse(br"redis['\099all']('\071ET', KEYS[1])").unwrap();
    assert_eq!(&*calls[0].name, b"get");
}

#[test]
fn words_are_cut_as_lua_cuts_them() {
    let words = |source: &'static str| {
        let mut lexer = Lexer::new(source.as_bytes());
        let mut words = Vec::new();
        while let Ok(token) = lexer.next() {
            if token == Token::End {
                break;
            }
            words.push(token);
        }
        words
    };
    assert_eq!(words("a...").len(), 2);
    assert_eq!(words("0xe+1").len(), 3);
    assert_eq!(words("1e+1").len(), 1);
    assert_eq!(words("1..2").len(), 1);
    assert_eq!(words("a[b[1]]").len(), 7);
    assert_eq!(words("a--[[x\n]]b").len(), 2);
    assert_eq!(words("a--x\rb").len(), 2);
    assert_eq!(words("goto and_ end").len(), 3);
}
