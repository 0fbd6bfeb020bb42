//! Prometheus' text format, read strictly: anything that Prometheus or its linter would stumble over is a failure.
//!
//! Source: "Exposition formats" of Prometheus, version 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a number.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> String {
        self.labels[name].clone()
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        let has =
            |(name, value): &(&str, &str)| self.labels.get(*name).is_some_and(|of| of == value);
        labels.iter().all(has)
    }
}

#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// By the name of the line: of a histogram there are three.
    samples: BTreeMap<String, Vec<Sample>>,
}

/// A histogram, checked.
#[derive(Debug)]
pub(crate) struct HistogramSample {
    pub(crate) count: f64,
    pub(crate) sum: f64,
}

/// All metrics of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    families: BTreeMap<String, Family>,
}

impl Exposition {
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n') && !text.contains("\n\n"));
        let mut all = Self::default();
        let mut present = String::new();
        let (mut helped, mut series) = (BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                present = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, present, "HELP, then TYPE, then samples: {line}");
                check_name(name, kind);
                let family = Family {
                    kind: kind.to_owned(),
                    samples: BTreeMap::new(),
                };
                assert!(
                    all.families.insert(name.to_owned(), family).is_none(),
                    "{line}"
                );
            } else {
                let (name, sample) = parse_sample(line);
                let family = all.families.get_mut(&present).unwrap();
                assert!(belongs(&name, &present, &family.kind), "{line}");
                assert!(
                    series.insert((name.clone(), sample.labels.clone())),
                    "twice: {line}"
                );
                assert!(family.kind != "counter" || sample.value >= 0.0, "{line}");
                family.samples.entry(name).or_default().push(sample);
            }
        }
        assert!(
            all.families
                .values()
                .all(|family| !family.samples.is_empty())
        );
        all
    }

    pub(crate) fn families(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }

    /// The samples of a family that is no histogram; none when there is no such family.
    pub(crate) fn samples(&self, name: &str) -> Vec<Sample> {
        let family = self.families.get(name);
        family
            .and_then(|family| family.samples.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// The one sample with these labels.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<Sample> = self
            .samples(name)
            .into_iter()
            .filter(|sample| sample.has(labels))
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}");
        found[0].value
    }

    /// The sum of a family's samples, of which there must be some.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let samples = self.samples(name);
        assert!(!samples.is_empty(), "no {name}");
        samples.iter().map(|sample| sample.value).sum()
    }

    /// The histogram with these labels: its buckets ascend to the count.
    #[track_caller]
    pub(crate) fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> HistogramSample {
        let family = &self.families[name];
        assert_eq!(family.kind, "histogram");
        let of = |suffix: &str| -> Vec<&Sample> {
            let samples = family.samples[&format!("{name}{suffix}")].iter();
            samples.filter(|sample| sample.has(labels)).collect()
        };
        let bound = |sample: &Sample| -> f64 {
            let text = sample.label("le");
            text.replace("+Inf", "inf").parse().unwrap()
        };
        let buckets = of("_bucket");
        for pair in buckets.windows(2) {
            assert!(bound(pair[0]) < bound(pair[1]) && pair[0].value <= pair[1].value);
        }
        let [count, sum] = [of("_count")[0].value, of("_sum")[0].value];
        let last = buckets.last().unwrap();
        assert_eq!((bound(last), last.value), (f64::INFINITY, count));
        HistogramSample { count, sum }
    }
}

/// What the linter wants of names.
fn check_name(name: &str, kind: &str) {
    assert!(
        ["counter", "gauge", "histogram"].contains(&kind),
        "{name} {kind}"
    );
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    assert!(
        name.starts_with("millrace_") && name.chars().all(fits),
        "{name}"
    );
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name} {kind}");
    let words: Vec<&str> = name.split('_').collect();
    for word in [
        "ms",
        "us",
        "milliseconds",
        "microseconds",
        "kb",
        "mb",
        "minutes",
        "gauge",
        "counter",
        "histogram",
    ] {
        assert!(!words.contains(&word), "{name}");
    }
    assert!(
        kind == "histogram"
            || !["_count", "_sum", "_bucket"]
                .iter()
                .any(|end| name.ends_with(end))
    );
}

fn belongs(name: &str, family: &str, kind: &str) -> bool {
    match kind {
        "histogram" => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(family)),
        _ => name == family,
    }
}

/// `name{label="value",…} number`
#[track_caller]
fn parse_sample(line: &str) -> (String, Sample) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        while !inner.starts_with('}') {
            let (label, behind) = inner.split_once("=\"").unwrap();
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(!label.is_empty() && label.chars().all(fits), "{line}");
            let (value, behind) = unquote(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            inner = behind.strip_prefix(',').unwrap_or(behind);
        }
        rest = &inner[1..];
    }
    let value = rest.strip_prefix(' ').unwrap().replace("+Inf", "inf");
    let value: f64 = value.parse().unwrap();
    assert!(value.is_finite(), "{line}");
    (name.to_owned(), Sample { labels, value })
}

/// A value up to its quote, and what is behind it.
#[track_caller]
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => match letters.next().unwrap().1 {
                'n' => value.push('\n'),
                letter @ ('\\' | '"') => value.push(letter),
                other => panic!("\\{other} in {text}"),
            },
            letter => value.push(letter),
        }
    }
    panic!("no end of {text}");
}
