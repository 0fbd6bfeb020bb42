//! Inputs and outputs: order, who owns which buffer, what is in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::limits::STORED_PIECE_BYTES;

#[test]
fn input_keeps_what_is_not_consumed() {
    let (mut input, mut spares) = (Input::default(), Spares::of_inputs());
    input.append(b"abcdef", &mut spares);
    input.consume(4, &mut spares);
    input.append(b"gh", &mut spares);
    assert_eq!(input.unparsed(), b"efgh");
    input.consume(4, &mut spares);
    assert!(input.is_empty());
    assert_eq!(
        input.bytes.capacity(),
        0,
        "an idle connection owns no buffer"
    );
}

#[test]
fn input_that_waits_is_parsed_in_order_across_its_blocks() {
    let (mut input, mut spares) = (Input::default(), Spares::of_inputs());
    let sent: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    for (number, read) in sent.chunks(65_000).enumerate() {
        match number {
            0..30 => input.keep(read, &mut spares),
            _ => input.append(read, &mut spares),
        }
    }
    assert_eq!(input.len(), sent.len());
    assert!(input.bytes.capacity() <= 2 * INPUT_BLOCK_BYTES);
    let mut parsed = Vec::new();
    loop {
        // Requests of 1000 bytes.
        let whole = input.unparsed().len() / 1000 * 1000;
        parsed.extend_from_slice(&input.unparsed()[..whole]);
        if !input.consume_and_join(whole, &mut spares) {
            break;
        }
    }
    assert!(input.is_empty());
    assert!(parsed == sent);
    assert_eq!(input.bytes.capacity(), 0);
}

#[test]
fn a_buffer_that_is_no_longer_needed_serves_the_next_and_few_are_kept() {
    let mut spares = Spares::of_inputs();
    let mut inputs: Vec<Input> = (0..100).map(|_| Input::default()).collect();
    for input in &mut inputs {
        input.append(&vec![b'x'; SPARE_BYTES_MAX / 8], &mut spares);
    }
    for input in &mut inputs {
        input.consume(input.len(), &mut spares);
    }
    assert_eq!((spares.buffers.len(), spares.bytes), (8, SPARE_BYTES_MAX));
    let kept: Vec<*const u8> = spares
        .buffers
        .iter()
        .map(|buffer| buffer.as_ptr())
        .collect();
    inputs[0].append(b"a", &mut spares);
    assert_eq!(inputs[0].unparsed(), b"a");
    assert!(kept.contains(&inputs[0].bytes.as_ptr()));
    assert_eq!(spares.buffers.len(), 7);
    spares.give(Vec::with_capacity(SPARE_BYTES_MAX));
    assert_eq!(spares.buffers.len(), 7, "too large to keep");
}

#[test]
fn output_leaves_in_order_whatever_the_pieces() {
    let mut output = Output::default();
    let big = Bytes::from(vec![b'x'; 5000]);
    output.append(b"one");
    output.append_shared(&big);
    output.append(b"two");
    let (mut sent, mut spares) = (Vec::new(), Spares::of_outputs());
    while !output.is_empty() {
        let piece = output.front();
        let count = piece.len().min(700);
        sent.extend_from_slice(&piece[..count]);
        output.consume(count, &mut spares);
    }
    assert_eq!(sent, [b"one".as_slice(), &big, b"two"].concat());
    assert_eq!(output.len(), 0);
}

#[test]
fn pieces_leave_together_however_much_of_them_is_sent() {
    let big = Bytes::from(vec![b'x'; 5000]);
    for step in [1, 3, 999, 5003, 5006, 20_000, usize::MAX] {
        // Few bytes at a time only of few pieces: each time all that is left is looked at.
        let rounds = if step < 100 { 2 } else { 40 };
        let (mut output, mut sent) = (Output::default(), Vec::new());
        let mut spares = Spares::of_outputs();
        for _ in 0..rounds {
            output.append(b"one");
            output.append_shared(&big);
        }
        assert_eq!(
            (output.len(), output.piece_count()),
            (rounds * 5003, 2 * rounds)
        );
        while !output.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE_MAX];
            let count = output.next_pieces(&mut pieces);
            let pieces: Vec<u8> = pieces[..count]
                .iter()
                .flat_map(|piece| piece.to_vec())
                .collect();
            assert!(pieces.starts_with(output.front()) && pieces.len() <= WRITE_BYTES_MAX);
            let taken = pieces.len().min(step);
            sent.extend_from_slice(&pieces[..taken]);
            output.consume(taken, &mut spares);
        }
        assert_eq!(sent, [b"one".as_slice(), &big].concat().repeat(rounds));
        assert_eq!(output.piece_count(), 0);
    }
}

#[test]
fn buffers_go_from_who_has_sent_to_who_sends_next() {
    let mut spares = Spares::of_outputs();
    let mut output = Output::default();
    output.append(&[b'x'; 100]);
    let buffer = output.front().as_ptr();
    output.consume(99, &mut spares);
    assert_eq!((output.front(), spares.buffers.len()), (&b"x"[..], 0));
    output.consume(1, &mut spares);
    assert_eq!(output.own.capacity(), 0, "who is idle owns no buffer");
    let mut next = Output::default();
    next.equip(&mut spares);
    next.append(b"y");
    assert_eq!((next.front(), next.front().as_ptr()), (&b"y"[..], buffer));
    assert_eq!(spares.bytes, 0);
}

#[test]
fn few_and_small_buffers_are_kept() {
    let mut spares = Spares::of_outputs();
    let count = 2 * SPARE_BYTES_MAX / SPARE_OUTPUT_BUFFER_BYTES_MAX;
    let send = |bytes: usize, spares: &mut Spares| {
        let mut output = Output::default();
        output.append(&vec![b'x'; bytes]);
        output.consume(bytes, spares);
    };
    send(SPARE_OUTPUT_BUFFER_BYTES_MAX + 1, &mut spares);
    assert!(spares.buffers.is_empty());
    for _ in 0..count {
        send(SPARE_OUTPUT_BUFFER_BYTES_MAX, &mut spares);
    }
    assert_eq!(spares.buffers.len(), count / 2);
    assert!(spares.bytes <= SPARE_BYTES_MAX);
}

#[test]
fn a_large_payload_is_held_once_by_all_outputs() {
    let (big, small) = (
        Bytes::from(vec![b'x'; SHARED_BYTES_MIN]),
        Bytes::from_static(b"small"),
    );
    let mut outputs: Vec<Output> = (0..10).map(|_| Output::default()).collect();
    for output in &mut outputs {
        output.append_shared(&small);
        output.append_shared(&big);
    }
    let held = |output: &Output| output.segments[0].bytes().map(<[u8]>::as_ptr);
    assert!(
        outputs
            .iter()
            .all(|output| held(output) == Some(big.as_ptr()))
    );
    assert!(!big.is_unique());
    drop(outputs);
    assert!(big.is_unique());
}

/// A file that has fewer bytes than it is said to have.
fn stored(bytes: &'static [u8], said: u64) -> Stored {
    Stored::new(Box::new(bytes), said)
}

#[test]
fn a_stored_file_leaves_in_its_place_and_only_a_piece_of_it_is_in_memory() {
    static FILE: [u8; 3 * STORED_PIECE_BYTES + 7] = [b'x'; 3 * STORED_PIECE_BYTES + 7];
    for step in [700, STORED_PIECE_BYTES, usize::MAX] {
        let (mut output, mut spares) = (Output::default(), Spares::of_outputs());
        output.append(b"before");
        output.append_stored(stored(&FILE, FILE.len() as u64));
        output.append(b"behind");
        output.append_stored(stored(b"", 0));
        let mut sent = Vec::new();
        while !output.is_empty() {
            output.prepare().unwrap();
            assert!(output.len() <= 2 * STORED_PIECE_BYTES, "{}", output.len());
            let count = output.front().len().min(step);
            sent.extend_from_slice(&output.front()[..count]);
            output.consume(count, &mut spares);
        }
        assert_eq!(sent, [b"before".as_slice(), &FILE, b"behind"].concat());
        assert_eq!(output.len(), 0);
        assert!(output.take_spent().is_some(), "somebody else closes it");
    }
}

#[test]
fn a_stored_file_that_ends_too_early_is_an_error() {
    let mut output = Output::default();
    output.append_stored(stored(b"12345", 6));
    let error = output.prepare().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn what_is_kept_beside_the_socket_is_held_no_more_and_counts_as_unsent() {
    let (mut output, mut spares) = (Output::default(), Spares::of_outputs());
    output.append(b"one");
    output.append_shared(&Bytes::from(vec![b'x'; SHARED_BYTES_MIN]));
    let all = 3 + SHARED_BYTES_MIN;
    let kept = Written { sent: 0, kept: all };
    output.note(kept, &mut spares);
    assert_eq!((output.len(), output.piece_count()), (all, 0));
    assert!(output.has_kept() && !output.is_empty() && output.front().is_empty());
    output.append(b"two");
    assert_eq!((output.len(), output.piece_count()), (all + 3, 1));
    output.note(Written::sent(all), &mut spares);
    assert!(!output.has_kept());
    assert_eq!((output.len(), output.front()), (3, &b"two"[..]));
    output.note(Written::sent(3), &mut spares);
    assert!(output.is_empty());
    assert_eq!(output.len(), 0);
}
