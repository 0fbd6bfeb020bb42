//! Both directions against the client of rustls, with records cut and taken anyhow.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{ErrorKind, Read, Write};
use std::sync::OnceLock;

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};

use super::*;

/// What both sides know.
fn configs(is_1_3: bool) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    static CONFIGS: [OnceLock<(Arc<ServerConfig>, Arc<ClientConfig>)>; 2] =
        [const { OnceLock::new() }; 2];
    let made = CONFIGS[usize::from(is_1_3)].get_or_init(|| {
        let versions = [if is_1_3 { &TLS13 } else { &TLS12 }];
        configs_of(&versions, ring::default_provider())
    });
    made.clone()
}

/// The same with AES-GCM alone, where a key is worn out after so many records.
fn configs_with_limit(is_1_3: bool, limit: u64) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    use ring::cipher_suite::{TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256};
    let suite = match (
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS13_AES_128_GCM_SHA256,
    ) {
        (SupportedCipherSuite::Tls12(suite), _) if !is_1_3 => {
            let common = rustls::crypto::CipherSuiteCommon {
                confidentiality_limit: limit,
                ..suite.common
            };
            let suite = rustls::Tls12CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
        (_, SupportedCipherSuite::Tls13(suite)) => {
            let common = rustls::crypto::CipherSuiteCommon {
                confidentiality_limit: limit,
                ..suite.common
            };
            let suite = rustls::Tls13CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        other => panic!("{other:?}"),
    };
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: vec![suite],
        ..ring::default_provider()
    };
    configs_of(&[if is_1_3 { &TLS13 } else { &TLS12 }], provider)
}

fn configs_of(
    versions: &[&'static rustls::SupportedProtocolVersion],
    provider: rustls::crypto::CryptoProvider,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let provider = Arc::new(provider);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server.unwrap()), Arc::new(client))
}

/// Two ends and what is on its way between them.
struct Pair {
    server: Tls,
    client: ClientConnection,
    room: TlsRoom,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What the server has to write, and has read.
    unsent: Vec<u8>,
    kept: usize,
    read: Vec<u8>,
    has_ended: bool,
}

impl Pair {
    fn new(is_1_3: bool) -> Self {
        Self::with(configs(is_1_3))
    }

    fn with((server, client): (Arc<ServerConfig>, Arc<ClientConfig>)) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        Self {
            server: Tls::new(server).unwrap(),
            client: ClientConnection::new(client, name).unwrap(),
            room: TlsRoom::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            unsent: Vec::new(),
            kept: 0,
            read: Vec::new(),
            has_ended: false,
        }
    }

    /// Shakes hands, so many bytes at a time.
    fn shake(&mut self, cut: usize) {
        while self.server.is_handshaking() || self.client.is_handshaking() {
            self.client_sends();
            let count = self.to_server.len().min(cut);
            let records: Vec<u8> = self.to_server.drain(..count).collect();
            if !records.is_empty() {
                self.server.shake(&records).unwrap();
            }
            let to_client = &mut self.to_client;
            self.server
                .flush(|bytes| take(to_client, bytes, cut))
                .unwrap();
            self.client_receives();
        }
    }

    fn client_sends(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.to_server).unwrap();
        }
    }

    /// Gives what the client has read.
    fn client_receives(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        let mut records = self.to_client.as_slice();
        while !records.is_empty() {
            self.client.read_tls(&mut records).unwrap();
            self.client.process_new_packets().unwrap();
            // WouldBlock when it has read all there is.
            let _ = self.client.reader().read_to_end(&mut got);
        }
        self.to_client.clear();
        got
    }

    /// The server reads once, from a socket that has so many bytes at a time, into a buffer of this size.
    fn server_reads(&mut self, cut: usize, size: usize) -> Poll<Arrived> {
        self.try_server_reads(cut, size).map(|arrived| {
            let arrived = arrived.unwrap();
            self.has_ended |= arrived == Arrived::End;
            arrived
        })
    }

    fn try_server_reads(&mut self, cut: usize, size: usize) -> Poll<io::Result<Arrived>> {
        let mut buffer = vec![0; size];
        let mut buffer = ReadBuf::new(&mut buffer);
        let queue = &mut self.to_server;
        let arrived = self
            .server
            .poll_read(&mut self.room, &mut buffer, |records| {
                let count = queue.len().min(cut).min(records.remaining());
                if count == 0 {
                    return Poll::Pending;
                }
                let taken: Vec<u8> = queue.drain(..count).collect();
                records.put_slice(&taken);
                Poll::Ready(Ok(()))
            });
        self.read.extend_from_slice(buffer.filled());
        arrived
    }

    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.kept > 0
    }

    /// The server writes once, to a socket that takes so many bytes.
    fn server_writes(&mut self, pieces: usize, taken: usize) {
        if !self.has_unsent() {
            return;
        }
        let length = self.unsent.len().div_ceil(pieces).max(1);
        let cut: Vec<IoSlice<'_>> = self.unsent.chunks(length).map(IoSlice::new).collect();
        let (to_client, mut left) = (&mut self.to_client, taken);
        let written = self.server.write(&cut, &mut self.room, |bytes| {
            let count = take(to_client, bytes, left)?;
            left -= count;
            Ok(count)
        });
        match written {
            Ok(written) if self.kept > 0 => {
                assert_eq!(written, Written::sent(self.kept));
                self.kept = 0;
            }
            Ok(written) => {
                self.unsent.drain(..written.sent + written.kept);
                self.kept = written.kept;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// A socket with room for so many bytes.
fn take(queue: &mut Vec<u8>, bytes: &[u8], room: usize) -> io::Result<usize> {
    if room == 0 {
        return Err(ErrorKind::WouldBlock.into());
    }
    let count = bytes.len().min(room);
    queue.extend_from_slice(&bytes[..count]);
    Ok(count)
}

#[derive(Clone, Debug)]
enum Step {
    ClientWrites(usize),
    ServerReads { cut: usize, size: usize },
    ServerHasToWrite(usize),
    ServerWrites { pieces: usize, taken: usize },
    ClientReads,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![
        1usize..50,
        1usize..40_000,
        Just(16_384usize),
        60_000usize..200_000
    ];
    let cut = prop_oneof![1usize..40, 1usize..70_000];
    let step = prop_oneof![
        bytes.clone().prop_map(Step::ClientWrites),
        (cut.clone(), 1usize..70_000).prop_map(|(cut, size)| Step::ServerReads { cut, size }),
        bytes.prop_map(Step::ServerHasToWrite),
        (1usize..5, prop_oneof![Just(0), cut])
            .prop_map(|(pieces, taken)| Step::ServerWrites { pieces, taken }),
        Just(Step::ClientReads),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(crate::property::cases(64))]

    #[test]
    fn bytes_arrive_as_they_were_written_however_records_are_cut(
        is_1_3: bool, cut in 1usize..3000, steps in steps()
    ) {
        let mut pair = Pair::new(is_1_3);
        pair.client.set_buffer_limit(None);
        pair.shake(cut);
        let (mut written, mut answered, mut got) = (Vec::new(), Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::ClientWrites(length) => {
                    let bytes = vec![number as u8; length];
                    pair.client.writer().write_all(&bytes).unwrap();
                    written.extend(bytes);
                    pair.client_sends();
                }
                Step::ServerReads { cut, size } => {
                    let _ = pair.server_reads(cut, size);
                }
                Step::ServerHasToWrite(length) => {
                    let bytes = vec![number as u8; length];
                    pair.unsent.extend_from_slice(&bytes);
                    answered.extend(bytes);
                }
                Step::ServerWrites { pieces, taken } => pair.server_writes(pieces, taken),
                Step::ClientReads => got.extend(pair.client_receives()),
            }
        }
        pair.client.send_close_notify();
        pair.client_sends();
        while !pair.has_ended {
            prop_assert!(pair.server_reads(50_000, 64 * 1024).is_ready(), "nothing stays behind");
        }
        prop_assert!(pair.read == written);
        // Who has said that nothing more comes still reads.
        while pair.has_unsent() {
            pair.server_writes(3, 70_000);
        }
        let to_client = &mut pair.to_client;
        pair.server.close(|bytes| take(to_client, bytes, usize::MAX));
        got.extend(pair.client_receives());
        prop_assert!(got == answered);
        prop_assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0, "the end was said");
    }

    #[test]
    fn damaged_records_give_nothing_but_what_came_whole_before_them(
        is_1_3: bool,
        cut in 1usize..70_000,
        lengths in proptest::collection::vec(1usize..20_000, 1..6),
        at: proptest::sample::Index,
        damage in 1u8..,
        noise in proptest::collection::vec(any::<u8>(), 0..100),
        is_damaged: bool,
    ) {
        let mut pair = Pair::new(is_1_3);
        pair.shake(usize::MAX);
        let mut written = Vec::new();
        for (number, length) in lengths.into_iter().enumerate() {
            let bytes = vec![number as u8; length];
            pair.client.writer().write_all(&bytes).unwrap();
            pair.client_sends();
            written.extend(bytes);
        }
        if is_damaged {
            let at = at.index(pair.to_server.len());
            pair.to_server[at] ^= damage;
        }
        pair.to_server.extend_from_slice(&noise);
        let failed = loop {
            match pair.try_server_reads(cut, 64 * 1024) {
                Poll::Pending => break false,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => break true,
            }
        };
        prop_assert!(written.starts_with(&pair.read));
        prop_assert!(is_damaged || pair.read == written);
        prop_assert!(is_damaged || !noise.is_empty() || !failed);
        // Whatever is asked of it then, it does not look into what is gone.
        pair.unsent = vec![1; 10];
        if failed {
            prop_assert!(pair.try_server_reads(cut, 100) .is_ready());
            let unsent = [IoSlice::new(&pair.unsent)];
            let written = pair.server.write(&unsent, &mut pair.room, |bytes| Ok(bytes.len()));
            prop_assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        pair.server.close(|bytes| Ok(bytes.len()));
    }

    #[test]
    fn noise_is_an_error_and_the_peer_is_told(noise in proptest::collection::vec(any::<u8>(), 5..300)) {
        let mut server = Tls::new(configs(true).0).unwrap();
        let result = server.shake(&noise);
        prop_assert!(server.is_handshaking());
        prop_assert!(result.is_err() == server.has_unsent() || result.is_ok());
    }
}

#[test]
fn what_a_key_may_encrypt_with_tls_1_2_suffices_to_end_in_good_order() {
    let mut pair = Pair::with(configs_with_limit(false, 64));
    pair.shake(usize::MAX);
    let (mut count, mut got) = (0, Vec::new());
    while !pair.server.is_worn_out() {
        pair.unsent = vec![count; 100];
        count += 1;
        pair.server_writes(1, 100_000);
        assert!(!pair.has_unsent());
    }
    assert_eq!(count, 60);
    pair.unsent = vec![count; 2 * RECORD_BYTES];
    pair.server_writes(1, 100_000);
    let to_client = &mut pair.to_client;
    pair.server
        .close(|bytes| take(to_client, bytes, usize::MAX));
    got.extend(pair.client_receives());
    assert_eq!(got.len(), 6000 + 2 * RECORD_BYTES);
    assert_eq!(
        pair.client.reader().read(&mut [0]).unwrap(),
        0,
        "the end was said"
    );
    // Beyond the limit nothing is sent.
    let mut pair = Pair::with(configs_with_limit(false, 64));
    pair.shake(usize::MAX);
    for _ in 0..200 {
        let _ = pair
            .server
            .write(&[IoSlice::new(b"x")], &mut pair.room, |bytes| {
                Ok(bytes.len())
            });
    }
    let more = pair
        .server
        .write(&[IoSlice::new(b"x")], &mut pair.room, |bytes| {
            Ok(bytes.len())
        });
    assert_eq!(more.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn with_tls_1_3_keys_are_changed_before_they_are_worn_out() {
    let mut pair = Pair::with(configs_with_limit(true, 64));
    pair.shake(usize::MAX);
    let mut got = Vec::new();
    for n in 0..1000 {
        pair.unsent = vec![n as u8; 100 + n * 50];
        while pair.has_unsent() {
            pair.server_writes(1, if n % 3 == 0 { 5000 } else { 100_000 });
        }
        assert!(!pair.server.is_worn_out());
        got.extend(pair.client_receives());
    }
    assert_eq!(got.len(), 1000 * 100 + 50 * 999 * 1000 / 2);
}

#[test]
fn an_idle_connection_owns_no_buffer() {
    let mut pair = Pair::new(true);
    pair.shake(usize::MAX);
    pair.client.writer().write_all(&[7; 50_000]).unwrap();
    pair.client_sends();
    while pair.server_reads(10_000, 64 * 1024).is_ready() {}
    pair.unsent = vec![1; 100_000];
    while pair.has_unsent() {
        pair.server_writes(1, 30_000);
    }
    assert_eq!(pair.read.len(), 50_000);
    let server = &pair.server;
    let owned = [&server.incoming, &server.outgoing, &server.early];
    assert!(owned.iter().all(|buffer| buffer.capacity() == 0));
}
