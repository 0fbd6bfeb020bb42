//! The text of a configuration: no panic, and what is accepted is accepted again, with the same settings.

use millrace::config::Configuration;

/// Whether there may be the word `include` in it, however it is quoted: quotes end no word here, so more is seen than there is.
pub(crate) fn may_include(text: &[u8]) -> bool {
    let (mut plain, mut rest) = (Vec::new(), text);
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        if let (b'\\', [b'x', high, low, behind @ ..]) = (first, rest)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            plain.push((high * 16 + low) as u8);
            rest = behind;
        } else if !br#"\"'"#.contains(first) {
            plain.push(*first);
        }
    }
    let mut words = plain.windows(7);
    words.any(|word| word.eq_ignore_ascii_case(b"include"))
}

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    // Other files would be read from this machine.
    if may_include(bytes) {
        return;
    }
    let load = |mut text: &[u8]| Configuration::load(&["-"], &mut text);
    if let Ok(configuration) = load(bytes) {
        let again = load(bytes).expect("what was accepted");
        let (first, second) = (configuration.settings(), again.settings());
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}
