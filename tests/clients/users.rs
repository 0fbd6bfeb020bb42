//! Users with few rights: those of plain clients, and those that the README gives to who runs a job queue.

/// Who may little.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) password: String,
    rules: Vec<String>,
}

impl User {
    /// A user for the suites of plain clients: keys and channels with names that begin with a small letter, the patterns they
    /// subscribe to (a pattern has to be among the rules as it is), and what moves data.
    pub(crate) fn of_clients() -> Self {
        let rules = "~[a-z]* &[a-z]* &news.* &n[e-f]ws.?ech &t* &room:* &__key*@0__:* +@read +@write +@blocking +@pubsub \
             +@transaction +@connection -@dangerous +eval +time";
        Self {
            name: "limited".to_owned(),
            password: "a-long-password".to_owned(),
            rules: rules.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// The user of this name in the README.
    pub(crate) fn of_readme(name: &str) -> Self {
        let start = format!("redis-cli ACL SETUSER {name} on ");
        let page = include_str!("../../README.md");
        let line = page.lines().find_map(|line| line.strip_prefix(&start));
        let words = line.expect("the README has the user").split_whitespace();
        let mut words = words.map(|word| word.trim_matches('\'').to_owned());
        let password = words.next().unwrap();
        Self {
            name: name.to_owned(),
            password: password.trim_start_matches('>').to_owned(),
            rules: words.collect(),
        }
    }

    /// The same with further rules: for what jobs and tests do themselves.
    pub(crate) fn and(mut self, rules: &[&str]) -> Self {
        self.rules.extend(rules.iter().map(|&rule| rule.to_owned()));
        self
    }

    /// What makes it.
    pub(crate) fn command(&self) -> Vec<String> {
        let start = ["ACL", "SETUSER", &self.name, "on"].map(str::to_owned);
        let password = [format!(">{}", self.password)];
        [&start[..], &password, &self.rules].concat()
    }
}
