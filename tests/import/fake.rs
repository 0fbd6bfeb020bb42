//! A source that shows payloads of the test's own.
//!
//! Answers what the tool asks a source for, and no more; anything else is an unknown command.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// Strings of this name and payload, in this order; the address of a server that has them. It ends with the test process.
pub(crate) fn source(keys: Vec<(String, Vec<u8>)>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &keys);
        }
    });
    format!("redis://127.0.0.1:{port}")
}

fn serve(mut stream: TcpStream, keys: &[(String, Vec<u8>)]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(words) = request(&mut reader) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if stream.write_all(&answer(&words, keys)).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let number = |reader: &mut dyn BufRead| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let count = number(reader)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(reader)? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).unwrap());
    }
    Some(words)
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn answer(words: &[&str], keys: &[(String, Vec<u8>)]) -> Vec<u8> {
    match words {
        ["PING"] => b"+PONG\r\n".to_vec(),
        ["CLIENT", ..] | ["SELECT", _] => b"+OK\r\n".to_vec(),
        ["INFO", "keyspace"] => bulk(format!("db0:keys={},expires=0\r\n", keys.len()).as_bytes()),
        ["INFO", _] => bulk(b"run_id:fake\r\n"),
        ["TIME"] => b"*2\r\n$10\r\n4000000000\r\n$1\r\n0\r\n".to_vec(),
        ["DUMP"] | ["PEXPIRETIME"] => b"-ERR wrong number of arguments\r\n".to_vec(),
        ["DBSIZE"] => format!(":{}\r\n", keys.len()).into_bytes(),
        ["SCAN", ..] => {
            let names: Vec<u8> = keys
                .iter()
                .flat_map(|(name, _)| bulk(name.as_bytes()))
                .collect();
            let head = format!("*2\r\n$1\r\n0\r\n*{}\r\n", keys.len());
            [head.as_bytes(), &names].concat()
        }
        ["MEMORY", "USAGE", _] => b":100\r\n".to_vec(),
        ["PEXPIRETIME" | "PTTL", _] => b":-1\r\n".to_vec(),
        ["TYPE", _] => b"+string\r\n".to_vec(),
        ["DUMP", key] => match keys.iter().find(|(name, _)| name == key) {
            Some((_, payload)) => bulk(payload),
            None => b"$-1\r\n".to_vec(),
        },
        _ => b"-ERR unknown command\r\n".to_vec(),
    }
}
