//! What the server does not use any more goes back to the system.

use super::support::{Server, shard_counts};

#[test]
fn pieces_of_the_size_of_a_page_lie_four_at_a_time() {
    let server = Server::millrace(1);
    let report = server.connect().run("MEMORY MALLOC-STATS").text();
    let rows = report.lines().map(|line| line.split_whitespace());
    let regions = rows
        .filter_map(|mut row| (row.next() == Some("4096")).then(|| row.nth(12).map(str::to_owned)));
    // The first table of the report has sizes first, and how many of them a slab has in the 14th column.
    assert_eq!(regions.flatten().next().as_deref(), Some("4"), "{report}");
}

#[test]
fn a_quiet_thread_keeps_no_pieces_that_hold_up_pages() {
    for shards in shard_counts() {
        let server = Server::millrace(shards);
        let mut client = server.connect();
        let load = |client: &mut super::Client, from: usize, count: usize| {
            let padding = "x".repeat(300);
            let lines: Vec<String> = (from..from + count)
                .map(|n| format!("SCRIPT LOAD return{{{n}}}--{padding}"))
                .collect();
            client.pipeline(&lines);
        };
        load(&mut client, 0, 100);
        client.run("SCRIPT FLUSH");
        let before = server.resident_bytes();
        (0..30).for_each(|round| load(&mut client, 1000 * round, 1000));
        assert!(server.resident_bytes() > before + (10 << 20));
        client.run("SCRIPT FLUSH");
        let growth = server.growth_below(before, 3 << 20);
        assert!(growth < 3 << 20, "{growth}");
    }
}
