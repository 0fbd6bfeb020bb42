//! Families of metrics, as the encoder wants them.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Labels by name and value.
pub(super) fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    pairs.iter().map(pair).collect()
}

/// The families, in the order of the text.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// All of them.
    pub(super) fn all(&self) -> &[MetricFamily] {
        &self.0
    }

    /// Adds a family; one without a metric is none.
    pub(super) fn add(&mut self, kind: MetricType, name: &str, help: &str, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    /// Adds what only grows.
    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<LabelPair>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = Metric::from_label(labels);
            metric.set_counter(counter);
            metric
        };
        let metrics = values.into_iter().map(metric).collect();
        self.add(MetricType::COUNTER, name, help, metrics);
    }

    /// Adds what goes up and down.
    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<LabelPair>, f64)>,
    ) {
        let metric = |(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(labels);
            metric.set_gauge(gauge);
            metric
        };
        let metrics = values.into_iter().map(metric).collect();
        self.add(MetricType::GAUGE, name, help, metrics);
    }

    /// Adds one counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help, [(Vec::new(), value)]);
    }

    /// Adds one gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Vec::new(), value)]);
    }
}
