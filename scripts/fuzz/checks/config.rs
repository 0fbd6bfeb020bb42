//! The text of a configuration: no panic, and what is accepted is accepted again, with the same settings.

use millrace::config::Configuration;

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    // Other files would be read from this machine.
    if bytes
        .windows(7)
        .any(|word| word.eq_ignore_ascii_case(b"include"))
    {
        return;
    }
    let load = |mut text: &[u8]| Configuration::load(&["-"], &mut text);
    if let Ok(configuration) = load(bytes) {
        let again = load(bytes).expect("what was accepted");
        let (first, second) = (configuration.settings(), again.settings());
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}
